"""How a node is reached: by what OpenSSH itself says of configuration files and words."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from coldproof.live.ssh import (
    Connection,
    UnreachableError,
    config_of,
    known_keys,
    proxy_command,
    settings,
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    (tmp_path / "more").write_text("Host pc\n  ProxyCommand nc -X %% %r@%h %p\n", "utf-8")
    path.write_text(
        f"Include {tmp_path}/more\n"
        "Host gpu-*\n  ProxyJump me@one:2222,two\n  HostName %h.lan\n  User u\n",
        "utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("host", "words", "command"),
    [
        ("gpu-1", [], "ssh -F {} -o BatchMode=yes -J me@one:2222 -W '[gpu-1.lan]:22' -- ssh://two"),
        ("gpu-1", ["-o", "Port=77"],
         "ssh -F {} -o BatchMode=yes -J me@one:2222 -W '[gpu-1.lan]:77' -- ssh://two"),
        ("gpu-1", ["-J", "three:9"],
         "ssh -F {} -o BatchMode=yes -W '[gpu-1.lan]:22' -- ssh://three:9"),
        ("gpu-1", ["-o", "ProxyJump=none"], ""),
        ("pc", ["-o", "User=x", "-p", "5"], "nc -X % x@pc 5"),
        ("other", [], ""),
    ],
)  # fmt: skip
def test_the_way_through_a_jump_host(
    config: Path, host: str, words: list[str], command: str
) -> None:
    given = [*words, "-F", str(config)]
    assert proxy_command(settings(given, host), config_of(given), host) == command.format(config)


@pytest.mark.parametrize("given", [["-F", "x"], ["-Fx"], ["-C", "-F", "y", "-F", "x"]])
def test_another_configuration_file_holds_for_the_jump_too(given: list[str]) -> None:
    assert config_of(given) == ["-F", "x"]


def test_words_that_ssh_does_not_take_are_said() -> None:
    with pytest.raises(UnreachableError, match=r"(?i)ssh -G: .*nonsense"):
        settings(["-F", "/dev/null", "-o", "Nonsense=yes"], "host")


def test_files_of_keys_that_are_not_there_know_nobody(tmp_path: Path) -> None:
    assert known_keys((str(tmp_path / "none"), str(tmp_path))).lookup("host") is None


def test_a_key_that_is_added_meanwhile_is_known(tmp_path: Path) -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")]
    subprocess.run(words, check=True)
    known = tmp_path / "known_hosts"
    assert known_keys((str(known),)).lookup("host") is None
    known.write_text(f"host {(tmp_path / 'key.pub').read_text('utf-8')}", "utf-8")
    assert known_keys((str(known),)).lookup("host") is not None
    with pytest.raises(UnreachableError, match="is not in known_hosts") as caught:
        Connection(["-F", "/dev/null", "-o", f"UserKnownHostsFile={known}", "-p", "9"], "other")
    assert caught.value.refused


def test_lines_that_are_no_plain_host_key_are_passed_by_and_revoked_ones_heeded(
    tmp_path: Path,
) -> None:
    public = {}
    for name in ("good", "bad", "ca"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(words, check=True)
        public[name] = " ".join((tmp_path / f"{name}.pub").read_text().split()[:2])
    files = (tmp_path / "a", tmp_path / "b")
    files[0].write_bytes(
        f"@cert-authority *.acme {public['ca']}\n# a word\nnot a key\nhost broken AAAA\n".encode()
        + b"\xff\xfe\n"
        + f"good,[good]:2222 {public['good']}\nbad {public['bad']}\n".encode()
    )
    files[1].write_text(f"@revoked * {public['bad']}\n")
    keys = known_keys(tuple(map(str, files)))
    for host in ("good", "[good]:2222"):
        found = keys.lookup(host)
        assert found is not None
        assert [f"{kind} {key.get_base64()}" for kind, key in found.items()] == [public["good"]]
    assert keys.lookup("bad") is None
    assert keys.lookup("x.acme") is None
