"""With which words and settings a playbook is called, and called again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from coldproof.cli.run import add_variables, variables
from coldproof.errors import InputError
from coldproof.live import last, places

CAMPAIGN = "20261123T215900Z-0123456789ab"


def campaign(folder: Path, command: str | None, *nodes: str) -> Path:
    folder.mkdir(parents=True)
    document = {
        "schema": "coldproof.campaign/1", "campaign": folder.name, "digest": "0" * 64,
        "settings": {}, "demo": False, "command": command,
        "nodes": {name: {"status": "pending"} for name in nodes},
    }  # fmt: skip
    (folder / "campaign.json").write_text(json.dumps(document), "utf-8")
    return folder


def test_a_campaign_goes_on_as_it_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="holds no campaign"):
        last.newest(None)
    old = campaign(tmp_path / "reports" / CAMPAIGN, None)
    command = "ansible-playbook probe.yml -i 'my inventory/a' -i b -l 'gpu-nodes:!gpu-09'"
    folder = tmp_path / "reports" / CAMPAIGN.replace("2026", "2027")
    new = campaign(folder, command, "gpu-02", "gpu-01")
    assert last.newest(None) == new
    assert last.newest(old) == old
    named = json.dumps(
        {"coldproof_campaign": new.name, "coldproof_reports_dir": f"{tmp_path}/reports"}
    )
    with pytest.raises(InputError, match="its inventory my inventory/a is not there, seen from"):
        last.arguments(new, [], None)
    for name in ("my inventory/a", "b"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    # Of all its nodes, also those that joined by a later command.
    words = ["-i", "my inventory/a", "-i", "b", "-l", "gpu-01,gpu-02"]
    assert last.arguments(new, [], None) == [*words, "-e", named]
    assert last.arguments(new, ["mine"], None) == [*words[4:], "-e", named]
    assert last.arguments(new, ["mine"], "gpu-01") == ["-e", named]
    # A word has its bounds; then those that the command left out are left out.
    monkeypatch.setattr(last, "MOST_OF_A_WORD", 10)
    assert last.arguments(new, ["mine"], None) == ["-l", "gpu-nodes:!gpu-09", "-e", named]
    assert last.arguments(old, [], None)[:-1] == ["-e"]


def test_ansible_gets_the_collection_s_own_settings_unless_the_user_has_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ANSIBLE_STDOUT_CALLBACK", "ANSIBLE_CALLBACK_PLUGINS", "ANSIBLE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name in ("probe", "status", "stop"):
        assert Path(places.playbook(name)).is_file()
    given = places.environment()
    assert Path(given["ANSIBLE_CONFIG"]).is_file()
    assert (Path(given["ANSIBLE_CALLBACK_PLUGINS"]) / "live.py").is_file()
    monkeypatch.setenv("ANSIBLE_CONFIG", "/etc/own.cfg")
    assert places.environment()["ANSIBLE_CONFIG"] == "/etc/own.cfg"


def test_what_ansible_s_configuration_says_of_host_keys_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ANSIBLE_HOST_KEY_CHECKING", raising=False)
    own = tmp_path / "ansible.cfg"
    monkeypatch.setenv("ANSIBLE_CONFIG", str(own))
    for text, checked in (
        ("[defaults]\nhost_key_checking = no\n", "False"),
        ("[defaults]\nhost_key_checking = off ; here\n", "False"),
        ("[defaults]\nhost_key_checking = True ; keep\n", "True"),
        ("[defaults]\nhost_key_checking = nonsense\n", "True"),
        ("[defaults]\nhost_key_checking = no\n[ssh_connection]\nhost_key_checking = yes", "True"),
        ("[ssh_connection]\nhost_key_checking = no", "False"),
        ("[defaults]\nforks = 5%\n", "True"),
        ("no configuration", "True"),
    ):
        own.write_text(text, "utf-8")
        assert places.environment()["ANSIBLE_HOST_KEY_CHECKING"] == checked


@pytest.mark.parametrize("own", [None, "False"])
def test_host_keys_are_checked_unless_the_user_says_no(
    monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    monkeypatch.delenv("ANSIBLE_HOST_KEY_CHECKING", raising=False)
    if own:
        monkeypatch.setenv("ANSIBLE_HOST_KEY_CHECKING", own)
    assert places.environment()["ANSIBLE_HOST_KEY_CHECKING"] == (own or "True")


def test_what_opens_a_vault_is_given_to_ansible_playbook() -> None:
    parser = argparse.ArgumentParser()
    add_variables(parser)
    given = ["-e", "@vault.yml", "--vault-password-file", "a file", "--vault-id", "prod@b"]
    assert variables(parser.parse_args(given)) == given
