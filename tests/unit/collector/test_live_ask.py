"""What `coldproof status` and `coldproof stop` make of what nodes answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coldproof.cli import main
from coldproof.live import command_ask
from coldproof.live.session import Session

CAMPAIGN = "20261123T215900Z-0123456789ab"
STATUS = {
    "campaign": CAMPAIGN, "step": 2, "of": 7, "run": "nvme/default cold 1/3", "phase": "starting",
    "done": False, "error": None, "needs": None,
}  # fmt: skip
LOOK = {"boot_id": "b", "held": True, "asked": False, "alive": True, "status": STATUS}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A campaign of three nodes, whose command named one of them."""
    path = tmp_path / "reports" / CAMPAIGN
    path.mkdir(parents=True)
    nodes = {f"gpu-0{number}": {"status": "pending"} for number in (1, 2, 3)}
    document = {
        "schema": "coldproof.campaign/1", "campaign": CAMPAIGN, "digest": "0" * 64, "settings": {},
        "demo": False, "nodes": nodes, "command": "ansible-playbook probe.yml -l gpu-01",
    }  # fmt: skip
    (path / "campaign.json").write_text(json.dumps(document), "utf-8")
    monkeypatch.chdir(tmp_path)
    return path


def answered(
    monkeypatch: pytest.MonkeyPatch,
    looks: dict[str, dict[str, Any]],
    code: int = 0,
    **failed: str,
) -> list[list[str]]:
    """Have nodes answer so. Return what ansible-playbook is given, as it is called."""
    given: list[list[str]] = []

    def run(session: Session) -> int:
        show = session._show
        assert isinstance(show, command_ask.Answers)
        given.append(session._arguments)
        show.looks |= looks
        show.failed |= {name.replace("_", "-"): why for name, why in failed.items()}
        return code

    monkeypatch.setattr(Session, "run", run)
    return given


@pytest.mark.parametrize("command", ["status", "stop"])
def test_a_node_of_the_campaign_that_was_not_asked_is_a_row(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    asked = {**LOOK, "asked": command == "stop"}
    given = answered(monkeypatch, {"gpu-01": asked, "gpu-02": asked})
    assert main([command]) == 1
    out = capsys.readouterr().out
    assert "gpu-03  not asked: not in the inventory, or not in the group of GPU nodes" in out
    assert given[0][:2] == ["-l", "gpu-01,gpu-02,gpu-03"]
    assert main([command, "-l", "gpu-01,gpu-02"]) == 0
    assert "gpu-03" not in capsys.readouterr().out


def test_a_stop_says_that_the_resume_which_gives_a_reboot_takes_it_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = {**LOOK, "asked": True, "alive": False, "status": {**STATUS, "needs": "reboot"}}
    done = {**LOOK, "status": {**STATUS, "done": True}}
    answered(monkeypatch, {"gpu-01": waits, "gpu-02": done, "gpu-03": {**LOOK, "asked": True}})
    assert main(["stop"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = "waits for its reboot: resume gives it, and takes this stop back"
    assert [line for line in lines if line.startswith("gpu-01") and line.endswith(told)]
    assert [line for line in lines if line.startswith("gpu-03  stops after this pair")]


def test_why_a_node_does_not_answer_is_said_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"code": "model_missing", "message": "x" * 200 + " end", "variable": None}
    failed = {**LOOK, "status": {**STATUS, "error": error}}
    answered(monkeypatch, {"gpu-01": failed, "gpu-02": failed}, gpu_03="y" * 200)
    assert main(["status", "--json"]) == 1
    nodes = json.loads(capsys.readouterr().out)["nodes"]
    assert nodes["gpu-01"]["state"] == f"model_missing: {error['message']}"
    assert nodes["gpu-03"] == {"answered": False, "at_work": False, "state": "y" * 200}


@pytest.mark.parametrize("code", [1, 130, 250])
def test_of_nodes_that_a_playbook_did_not_get_to_nothing_else_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    answered(monkeypatch, {"gpu-01": LOOK}, code)
    assert main(["status"]) == (code if code == 130 else 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == [f"gpu-0{one}  no answer: the playbook ended before" for one in (2, 3)]
