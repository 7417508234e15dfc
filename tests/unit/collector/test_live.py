"""The live view's parts: the folder between playbook and view, the node's loop, the table."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from coldproof import looking
from coldproof.live.events import Told
from coldproof.live.exchange import VARIABLE, Exchange, stale_s
from coldproof.live.progress import Progress
from coldproof.live.session import Session, Show
from coldproof.live.table import picture, span

CAMPAIGN = "20261123T215900Z-0123456789ab"
ERROR = {"code": "c", "message": 'm, "heartbeat": 1, x', "variable": None}
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def status(**fields: Any) -> dict[str, Any]:
    return {
        "schema": "coldproof.status/1", "campaign": CAMPAIGN, "phase": "starting",
        "run": "nvme/default cold 2/3", "step": 2, "of": 7, "needs": None, "done": False,
        "error": None, "boot_id": BOOT, "pid": os.getpid(), "heartbeat": 1.0, **fields,
    }  # fmt: skip


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path).make()


def test_without_a_view_there_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert Exchange.of_environment() is None
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone"))
    assert Exchange.of_environment() is None


def test_what_is_asked_for_is_seen_until_it_is_withdrawn(exchange: Exchange) -> None:
    wish = {"state_dir": "/s", "every_s": 10.0, "ssh": ["-p", "1"]}
    exchange.ask("gpu-01", wish)
    assert exchange.wishes() == exchange.wishes() == {"gpu-01": wish}
    exchange.withdraw("gpu-01")
    exchange.withdraw("gpu-01")
    assert exchange.wishes() == {}


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".x"])
def test_a_name_that_is_no_node_writes_nothing(exchange: Exchange, name: str) -> None:
    exchange.ask(name, {})
    exchange.put(name, "x", ring=True)
    exchange.withdraw(name)
    assert exchange.said(name, 10) is None
    assert [path for path in exchange.folder.rglob("*") if path.is_file()] == []


def test_an_answer_that_is_not_fresh_is_none(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.put("gpu-01", "text\nmore\udcff", ring=False)
    assert exchange.said("gpu-01", 10) == "text\nmore?"
    assert exchange.said("gpu-02", 10) is None
    later = time.monotonic() + stale_s(10) + 1
    monkeypatch.setattr("coldproof.live.exchange.time.monotonic", lambda: later)
    assert exchange.said("gpu-01", 10) is None


def test_a_bell_is_heard_whatever_its_descriptor(exchange: Exchange) -> None:
    exchange.put("gpu-01", "text", ring=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("this system lets nobody open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    held = [os.open("/dev/null", os.O_RDONLY) for _number in range(1100)]
    try:
        with exchange.bell("gpu-01") as wait:
            begun = time.monotonic()
            wait(60)
            assert time.monotonic() - begun < 30
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_loop_tells_what_has_changed_and_ends_with_its_channel(tmp_path: Path) -> None:
    folder = tmp_path / "st ate's"
    folder.mkdir()

    def put(**fields: Any) -> dict[str, Any]:
        given = status(**fields)
        (folder / ".new").write_text(json.dumps(given, sort_keys=True).ljust(2047) + "\n", "utf-8")
        (folder / ".new").rename(folder / "status.json")
        return given

    wanted = [put(run="a \x1e b", error=ERROR, elapsed_s=None, last_s=1.5)]
    words = looking.stream(str(folder), 1)
    loop = subprocess.Popen(["/bin/sh", "-c", words], stdout=subprocess.PIPE)
    assert loop.stdout is not None
    data, times = b"", []
    while len(times) < 3:
        data += os.read(loop.stdout.fileno(), 1 << 16)
        times.append(time.monotonic())
        if len(times) == 1:
            wanted.append(put(run="c", error=ERROR, elapsed_s=1.0, last_s=1.5))
        elif len(times) == 2:
            # Nothing but its heartbeat and its seconds: told at the third look.
            wanted.append(put(run="c", error=ERROR, elapsed_s=2.0, last_s=1.5, heartbeat=2.0))
    loop.stdout.close()
    assert times[1] - times[0] < times[2] - times[1]
    *answers, rest = data.split(looking.END)
    assert rest == b""
    for text, given in zip(answers, wanted, strict=True):
        found = looking.read(text.decode())
        assert (found["boot_id"], found["alive"], found["status"]) == (BOOT, True, given)
    assert loop.wait(timeout=30) != 0


def test_the_loop_tells_that_an_agent_is_gone_or_never_was(tmp_path: Path) -> None:
    loop = subprocess.Popen(
        ["/bin/sh", "-c", looking.stream(str(tmp_path), 1)], stdout=subprocess.PIPE
    )
    assert loop.stdout is not None
    none = looking.read(os.read(loop.stdout.fileno(), 1 << 16).decode())
    assert (none["boot_id"], none["status"]) == (BOOT, None)
    (tmp_path / "status.json").write_text(json.dumps(status(pid=1 << 30)), "utf-8")
    gone = looking.read(os.read(loop.stdout.fileno(), 1 << 16).decode())
    assert (gone["boot_id"], gone["alive"]) == (BOOT, False)
    assert gone["status"] == status(pid=1 << 30)
    loop.stdout.close()
    assert loop.wait(timeout=30) != 0


def seen(told: Told, name: str, now: float, **fields: Any) -> None:
    told.streamed(name, status(**fields), "", now)


def drawn(progress: Progress, now: float, width: int = 100, lines: int = 24) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, height=lines, no_color=True, force_terminal=False)
    console.print(picture(progress, "title", (width, lines), now))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_row_says_what_a_node_does_and_how_long_that_takes() -> None:
    told = Told()
    seen(told, "gpu-01", 100, elapsed_s=12.0, last_s=54.3, server_phase="weights")
    told.progress.node("gpu-01").expected_s = 700.0
    head, row, foot = drawn(told.progress, 103)
    assert head.split() == ["node", "step", "run", "phase", "elapsed", "left", "by"]
    assert row.split("  ")[0] == "gpu-01"
    for word in ("2/7", "nvme/default cold 2/3", "weights", "15 of 54 s", "stream"):
        assert word in row
    # Of 700 s for 7 steps, five are left, less the three seconds since.
    assert "8 min" in row
    assert foot.startswith("title  0 of 1 nodes done  about 8 min left, until ")


def test_the_pace_that_was_seen_replaces_what_preflight_expected() -> None:
    told = Told()
    node = told.progress.node("gpu-01")
    node.expected_s = 1e6
    for step, now in ((1, 0.0), (2, 30.0), (3, 60.0)):
        seen(told, "gpu-01", now, step=step)
    assert node.left_s(60.0) == pytest.approx(120.0)
    assert node.left_s(80.0) == pytest.approx(100.0)
    assert told.progress.left_s(60.0) == pytest.approx(120.0)
    told.progress.node("gpu-02")
    assert told.progress.left_s(60.0) is None


def test_what_a_node_says_is_neither_markup_nor_a_line_of_its_own() -> None:
    told = Told()
    seen(told, "gpu-01", 1, run="[red]x[/red]\n\x1b[2J", server_phase="y" * 500)
    told.event(
        {"event": "runner_on_failed", "event_data": {
            "host": "gpu-02", "res": {"msg": "[bold]a\x1b]0;t\x07\nb" + "c" * 900}}}, 1,
    )  # fmt: skip
    lines = drawn(told.progress, 2)
    assert len(lines) == 5
    assert "[red]x[/red]??[2J" in lines[1]
    assert lines[3].startswith("gpu-02: [bold]a?]0;t?")
    assert all(len(line) <= 100 and line.isprintable() for line in lines)


def test_a_hundred_nodes_fit_with_those_at_work_first() -> None:
    told = Told()
    for number in range(100):
        seen(told, f"gpu-{number:03d}", 1, done=number < 90)
    lines = drawn(told.progress, 2)
    assert len(lines) <= 24
    assert lines[1].startswith("gpu-090")
    assert "nodes more" in lines[-2]
    assert "90 of 100 nodes done" in lines[-1]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_row_is_one_line_whatever_the_width(width: int) -> None:
    told = Told()
    seen(told, "a-node-with-a-long-name.of.a.domain.example", 1, run="tier/variant cold 10/12")
    lines = drawn(told.progress, 2, width)
    assert len(lines) == 3
    assert "10/12" in lines[1] or width < 80
    assert ("tier/variant cold 10/12" in lines[1]) == (width > 100)


@pytest.mark.parametrize(
    ("value", "text"), [(4.4, "4 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_spans(value: float, text: str) -> None:
    assert span(value) == text


class Failing(Show):
    """A view that fails at the first thing it is to show."""

    stopped = 0

    def tick(self) -> None:
        raise OverflowError("timestamp out of range")

    def stop(self) -> None:
        self.stopped += 1


@pytest.mark.faults
def test_a_view_that_fails_ends_and_the_playbook_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    book = tmp_path / "book.yml"
    tasks = [{"command": "sleep 3"}, {"file": {"path": str(tmp_path / "over"), "state": "touch"}}]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    python = {"ansible_python_interpreter": sys.executable}
    book.write_text(json.dumps([{**play, "vars": python}]))
    show = Failing()
    assert Session(str(book), ["-i", "localhost,"], show, stream=False).run() == 0
    assert (tmp_path / "over").exists()
    assert show.stopped == 1
    assert "The live view ended (OverflowError: timestamp out of range)" in capsys.readouterr().err
