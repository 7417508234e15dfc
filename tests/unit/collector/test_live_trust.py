"""What a node says in the live view is not trusted; what fails there does not end a playbook."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from coldproof.live import session as session_module
from coldproof.live.command_run import _failed
from coldproof.live.events import Told
from coldproof.live.player import Player, descendants
from coldproof.live.session import INTERRUPTED, Session, Show
from coldproof.live.shows import Plain, Terminal
from coldproof.live.streams import Streams
from coldproof.live.table import summary

CAMPAIGN = "20261123T215900Z-0123456789ab"


def event(host: str, action: str, kind: str = "runner_on_ok", **result: Any) -> dict[str, Any]:
    return {"event": kind, "event_data": {"host": host, "task_action": action, "res": result}}


@pytest.mark.parametrize(
    "action", ["agent", "coldproof.fleet.agent", "look", "ansible.builtin.raw"]
)
def test_a_node_names_no_folder(tmp_path: Path, action: str) -> None:
    told = Told()
    answer = {"campaign": CAMPAIGN, "directory": "/etc"}
    told.event(event("gpu-01", action, answer=answer), 1)
    assert told.directory is None
    ours = {"campaign": CAMPAIGN, "directory": str(tmp_path)}
    for collector in ("collector", "coldproof.fleet.collector"):
        told.event(event("gpu-01", collector, answer=ours), 1)
        assert told.directory == tmp_path
    told.event(event("gpu-01", action, answer=answer), 1)
    assert told.directory == tmp_path


@pytest.mark.parametrize("minutes", [10**400, float("nan"), -5, "7", None, [1]])
def test_what_is_no_time_is_expected_by_nobody(minutes: Any) -> None:
    told = Told()
    told.event(event("gpu-01", "agent", answer={"expected": {"minutes": minutes}}), 1)
    assert told.progress.node("gpu-01").expected_s is None
    told.event(event("gpu-01", "agent", answer={"expected": {"minutes": 2}}), 1)
    assert told.progress.node("gpu-01").expected_s == 120


def test_a_reason_is_whole_and_has_its_status() -> None:
    show = Show()
    message = "coldproof_model_path: /data/models/Qwen2.5-7B-Instruct: not there; give its folder"
    outcome = {"status": "refused", "message": message}
    show.told.event(event("gpu-01", "fail", "runner_on_failed", outcome=outcome), 1)
    lost = "Failed to connect to the host via ssh: ssh: Could not resolve hostname gpu-02.example"
    show.told.event(event("gpu-02", "raw", "runner_on_unreachable", msg=lost), 1)
    odd = {"status": "\x1b[2J", "message": "x"}
    show.told.event(event("gpu-03", "fail", "runner_on_failed", outcome=odd), 1)
    assert _failed(show) == {
        "gpu-01": {"status": "refused", "message": message},
        "gpu-02": {"status": "unreachable", "message": lost},
        "gpu-03": {"status": "failed", "message": "?[2J: x"},
    }


def test_a_terminal_says_all_reasons_and_no_command_of_a_node(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show = Terminal()
    for number in range(9):
        text = f"{number} " + "word " * 40 + "end"
        show.told.event(event(f"gpu-{number:02}", "raw", "runner_on_failed", msg=text), 1)
    show.told.plan = ["gpu-09: warning \x1b]0;title\x07\x1b[2J of a node", "\x1b[32mplain\x1b[0m"]
    show.stop()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["gpu-09: warning ?]0;title??[2J of a node", "plain"]
    assert [line for line in lines if line.startswith("gpu-08: ") and line.endswith("end")]


def test_why_a_node_is_not_streamed_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    show = Plain()
    for why in ("its host key is not known", "its host key is not known", "its connection ended"):
        show.told.streamed("gpu-01", None, why, 1)
        show.streamed("gpu-01", None)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == [
        "its host key is not known", "its connection ended",
    ]  # fmt: skip


def test_a_node_that_waits_counts_nothing_down() -> None:
    told = Told()
    common = {"phase": "x", "run": "r", "of": 10, "done": False, "error": None}
    for step, now in ((1, 0.0), (2, 30.0)):
        told.streamed("gpu-01", {**common, "step": step, "needs": None}, "", now)
    told.streamed("gpu-01", {**common, "step": 2, "needs": "turn", "phase": "waiting"}, "", 40.0)
    node = told.progress.node("gpu-01")
    assert node.left_s(40.0) == node.left_s(4000.0) == pytest.approx(230.0)
    foot = summary(told.progress, "t", 4000.0)
    assert foot.endswith("more than 4 min left: 1 waiting for a turn or a reboot")
    # Nor is what it waited for a part of how fast it is.
    told.streamed("gpu-01", {**common, "step": 2, "needs": None}, "", 4000.0)
    assert node.left_s(4000.0) == pytest.approx(230.0)
    assert "about 4 min left, until" in summary(told.progress, "t", 4000.0)
    told.streamed("gpu-01", {**common, "step": 3, "needs": None}, "", 4020.0)
    assert node.left_s(4020.0) == pytest.approx(210.0)


def book(folder: Path, *tasks: dict[str, Any]) -> str:
    """Write a playbook of one node that is this machine, and return its path."""
    play = {
        "hosts": "localhost", "connection": "local", "gather_facts": False,
        "tasks": list(tasks), "vars": {"ansible_python_interpreter": sys.executable},
    }  # fmt: skip
    (folder / "book.yml").write_text(json.dumps([play]), "utf-8")
    return str(folder / "book.yml")


def begun(marker: Path) -> None:
    deadline = time.monotonic() + 60
    while not marker.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def living(pids: list[int]) -> list[int]:
    """Return those that are no zombies, whose parent has yet to look."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        except OSError:
            continue
        found += [pid] if state not in "ZX" else []
    return found


@pytest.mark.faults
def test_one_that_is_killed_leaves_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, events = tmp_path / "private", SimpleQueue[dict[str, Any]]()
    folder.mkdir()
    wait = {"shell": f"touch {tmp_path}/begun; exec sleep 300"}
    player = Player(book(tmp_path, wait), ["-i", "localhost,"], {}, events, folder)
    player.start()
    begun(tmp_path / "begun")
    below = descendants(int((folder / "pid").read_text("ascii")))
    assert len(below) >= 2  # a worker and its module
    player.kill()
    player.wait()
    deadline = time.monotonic() + 20
    while living(below):
        assert time.monotonic() < deadline, living(below)
        time.sleep(0.1)


@pytest.mark.faults
def test_ctrl_c_twice_at_once_lets_the_playbook_end_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # As from a terminal; the tests may run where it is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    killed: list[bool] = []
    kill = Player.kill

    def told(player: Player) -> None:
        killed.append(player.playing())
        kill(player)

    monkeypatch.setattr(Player, "kill", told)
    # Not what a busy machine takes is tested, but that it is given its time.
    monkeypatch.setattr(session_module, "HURRY_S", 100.0)

    def interrupt() -> None:
        with contextlib.suppress(AssertionError):  # then the session ends all the same
            begun(tmp_path / "begun")
        for _again in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)

    thread = threading.Thread(target=interrupt)
    thread.start()
    wait = {"shell": f"touch {tmp_path}/begun; exec sleep 300"}
    try:
        code = Session(book(tmp_path, wait), ["-i", "localhost,"], Show(), stream=False).run()
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert code == INTERRUPTED
    # It ended by itself, and was not killed while it played.
    assert killed == [False]


@pytest.mark.faults
def test_streams_that_fail_end_and_the_playbook_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[None] = []
    show = Plain()
    status = {"step": 1, "of": 7, "phase": "x", "run": "r", "needs": None, "done": False}
    show.told.streamed("gpu-01", status, "", 1)

    def full(_streams: Streams) -> None:
        asked.append(None)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Streams, "follow_wishes", full)
    monkeypatch.setattr(session_module, "TICK_S", 0.2)
    path = book(tmp_path, {"command": "sleep 2"})
    assert Session(path, ["-i", "localhost,"], show, stream=True).run() == 0
    assert asked == [None]
    why = "The streams ended (OSError: [Errno 24] Too many open files)"
    printed = capsys.readouterr()
    assert why in printed.err
    assert f"gpu-01: not streamed, the playbook looks by itself: {why}" in printed.out
    # From now on its row is what the playbook sees.
    look = {"ended": False, "boot_id": "b", "status": {**status, "step": 5}}
    show.told.event(event("gpu-01", "look", **look), 2)
    assert show.told.progress.node("gpu-01").doing()[0] == "5/7"


@pytest.mark.faults
def test_what_cannot_be_told_ends_the_view_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def fails(_told: Told, _event: dict[str, Any], _now: float) -> None:
        raise RecursionError("deep")

    monkeypatch.setattr(Told, "event", fails)
    stopped: list[None] = []
    monkeypatch.setattr(Show, "stop", lambda _show: stopped.append(None))
    path = book(tmp_path, {"command": "true"})
    assert Session(path, ["-i", "localhost,"], Show(), stream=False).run() == 0
    assert "The live view ended (RecursionError: deep)" in capsys.readouterr().err
    assert stopped == [None]
