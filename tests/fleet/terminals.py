"""`coldproof` as a user calls it: on a terminal whose screen can be looked at, or into a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pexpect
import pyte

from tests.fleet.play import LIMIT_S, ROOT, controller_environment

COLUMNS, LINES = 100, 24
COMMAND = [sys.executable, "-m", "coldproof"]


def environment(directory: Path, **more: str) -> dict[str, str]:
    """Returns a user's environment: without Ansible's settings, and with a place of its own."""
    log = directory / "tasks.jsonl"
    kept = controller_environment(directory, log)
    for name in ("ANSIBLE_CONFIG", "ANSIBLE_NOCOLOR"):
        kept.pop(name, None)
    kept |= {"ANSIBLE_CALLBACK_PLUGINS": f"{ROOT}/tests/fleet/callbacks", "TERM": "xterm"}
    (directory / "tmp").mkdir(parents=True, exist_ok=True)
    return kept | {
        "TMPDIR": str(directory / "tmp"),
        "XDG_RUNTIME_DIR": str(directory / "tmp"),
        "PYTHONPATH": str(ROOT / "collector"),
        **more,
    }


def call(
    directory: Path, *words: str, limit_s: float = LIMIT_S
) -> subprocess.CompletedProcess[str]:
    """Runs a command of coldproof into a pipe."""
    return subprocess.run(
        [*COMMAND, *words],
        cwd=directory,
        env=environment(directory),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=limit_s,
        check=False,
    )


class Terminal:
    """A command of coldproof on a terminal. `shots` are its screens, each different one once.

    Args:
        directory: where it is called.
        words: its words after the command.
        command: what it is called by.
        env: its whole environment; left out: as of the checkout, and `more`.
    """

    def __init__(
        self,
        directory: Path,
        *words: str,
        command: Sequence[str] = COMMAND,
        env: Mapping[str, str] | None = None,
        **more: str,
    ) -> None:
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.Stream(self._screen)
        self.raw = ""
        self.shots: list[str] = []
        self._child = pexpect.spawn(
            command[0],
            [*command[1:], *words],
            cwd=str(directory),
            env=dict(environment(directory, **more) if env is None else env),
            dimensions=(LINES, COLUMNS),
            encoding="utf-8",
            codec_errors="replace",
        )

    def until(self, wanted: str, each: Callable[[], None] = lambda: None) -> str:
        """Returns the first screen that matches a pattern; calls `each` at each look."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            alive = self._look()
            each()
            if self.shots and re.search(wanted, self.shots[-1], re.MULTILINE):
                return self.shots[-1]
            assert alive, self.raw[-4000:]
        raise AssertionError(self.raw[-4000:])

    def interrupt(self) -> None:
        """Presses Ctrl-C."""
        self._child.sendintr()

    def end(self, each: Callable[[], None] = lambda: None) -> int:
        """Returns the exit code, when it has ended."""
        deadline = time.monotonic() + LIMIT_S
        while self._look():
            each()
            assert time.monotonic() < deadline, self.raw[-4000:]
        self._child.close()
        status = self._child.exitstatus
        return -1 if status is None else int(status)

    def _look(self) -> bool:
        try:
            data = self._child.read_nonblocking(1 << 16, timeout=0.5)
        except pexpect.TIMEOUT:
            data = ""
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        shot = "\n".join(line.rstrip() for line in self._screen.display).rstrip()
        if not self.shots or self.shots[-1] != shot:
            self.shots.append(shot)
        return True

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.close(force=True)


def folder_of(directory: Path) -> Path:
    """Returns the folder of the only campaign that was begun in a working directory."""
    (found,) = (path.parent for path in directory.glob("reports/[0-9]*/campaign.json"))
    return found


def processes(word: str) -> list[str]:
    """Returns the command lines of processes that hold a word, as a path."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if word in line and int(entry.parent.name) != os.getpid():
            found.append(line)
    return found
