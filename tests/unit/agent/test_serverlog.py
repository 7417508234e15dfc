"""The log of a server: bounded, stamped, without secrets, and never in the server's way."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from coldproof_agent import serverlog
from coldproof_agent.serverlog import ServerLog
from tests.counts import LONG

MIB = 1 << 20


def taken(
    path: Path,
    words: Sequence[str],
    secrets: Sequence[str] = (),
    on_line: Callable[[float, str], None] = lambda _t, _line: None,
) -> ServerLog:
    """Runs a program with its output into a log, to its end."""
    reader, writer = os.pipe()
    log = ServerLog(reader, path, time.monotonic(), secrets, on_line)
    subprocess.run(words, stdout=writer, stderr=writer, check=True, timeout=120)
    os.close(writer)
    log.close(60.0)
    return log


def written(path: Path, data: bytes, secrets: Sequence[str] = ()) -> ServerLog:
    """Sends bytes to a log."""
    source = path.with_suffix(".bytes")
    source.write_bytes(data)
    return taken(path, ["cat", str(source)], secrets)


def test_a_flood_is_bounded_and_its_end_is_kept(tmp_path: Path) -> None:
    count = 1024 * MIB if LONG else 100 * MIB
    path = tmp_path / "log"
    flood = f"yes 'an everyday line that says nothing' | head -c {count}; echo; echo the last words"
    log = taken(path, ["sh", "-c", flood])
    assert log.bytes == count + 16
    assert path.stat().st_size < serverlog.MAX_FILE + 64 * 1024
    assert log.truncated
    assert log.lines > count // 40
    assert len(log.tail()) == serverlog.TAIL_LINES
    assert log.tail()[-1].endswith("the last words")


def test_a_marker_after_the_file_is_full_is_still_seen(tmp_path: Path) -> None:
    """A talkative engine is no flood: its lines come in small bursts."""
    seen = []
    burst = "seq -f 'a line of the engine, the %g th of this burst' 100; echo marker; sleep 0.005"
    words = f"yes 'to fill the file' | head -c {5 * MIB}; for i in 1 2 3 4 5; do {burst}; done"
    taken(tmp_path / "log", ["bash", "-c", words], on_line=lambda _t, line: seen.append(line))
    assert seen.count("marker") == 5


def test_one_endless_line_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    words = f"head -c {64 * MIB} /dev/zero | tr '\\0' x; echo; echo next"
    log = taken(path, ["sh", "-c", words])
    assert log.lines == 2
    assert path.stat().st_size < 2 * serverlog.MAX_LINE
    assert log.tail()[-1].endswith("next")


def test_bytes_that_are_no_text_are_shown_harmless(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = written(path, b"a\0b\n\xff\xfe\n\n  \nprogress 1\rprogress 2\r\nno newline")
    assert [line.split(" ", 1)[1] for line in log.tail()] == [
        "a\\0b", "\ufffd\ufffd", "progress 1", "progress 2", "no newline",
    ]  # fmt: skip
    assert b"\0" not in path.read_bytes()


def test_stamps_are_of_the_receipt(tmp_path: Path) -> None:
    stamps = []
    words = ["sh", "-c", "echo 1; sleep 0.5; echo 2"]
    taken(tmp_path / "log", words, on_line=lambda at, _line: stamps.append(at))
    assert 0.4 < stamps[1] - stamps[0] < 5


@pytest.mark.parametrize("at", [0, 1, serverlog.MAX_LINE - 10, serverlog.MAX_LINE - 1, 70_000])
def test_a_secret_never_shows_wherever_it_stands(tmp_path: Path, at: int) -> None:
    path, secret = tmp_path / "log", "canary-5f2c9d71-and-more"
    log = written(path, b"x" * at + secret.encode() * 20_000 + b"\nend\n", [secret, "canary"])
    for text in (path.read_text(), *log.tail()):
        assert "canary" not in text
        assert "5f2c9d71" not in text
        assert "and-more" not in text


def test_a_secret_in_two_writes_never_shows(tmp_path: Path) -> None:
    path = tmp_path / "log"
    words = ["sh", "-c", "printf 'key: canary-5f2c; '; printf 'canary-'; sleep 0.2; echo 5f2c9d71"]
    taken(path, words, ["canary-5f2c9d71"])
    assert "5f2c9d71" not in path.read_text()
    assert "***" in path.read_text()


def test_a_log_that_cannot_be_written_does_not_stop_the_server(tmp_path: Path) -> None:
    path = tmp_path / "no folder" / "log"
    log = taken(path, ["sh", "-c", f"yes line | head -c {MIB}; echo the end"])
    assert "No such file" in log.problem
    assert log.tail()[-1].endswith("the end")


def test_a_disk_that_fills_up_does_not_stop_the_server(tmp_path: Path) -> None:
    path = tmp_path / "log"
    if os.geteuid() != 0:
        pytest.skip("mounting a small filesystem needs root")
    disk = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)]
    if subprocess.run(disk, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        log = taken(path, ["sh", "-c", f"yes 'a line' | head -c {MIB}; echo the end"])
        assert "full" in log.problem or "No space" in log.problem
        assert log.bytes == MIB + 8
        assert log.tail()[-1].endswith("the end")
        assert log.describe(tmp_path)["problem"] == log.problem
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_link_in_the_logs_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "log").symlink_to(victim)
    log = taken(tmp_path / "log", ["echo", "hello"])
    assert log.problem
    assert victim.read_text() == "untouched"
