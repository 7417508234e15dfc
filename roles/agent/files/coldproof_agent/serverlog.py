"""Takes a server's log: stamps each line on receipt, bounds it, hides secrets, feeds the phases."""

from __future__ import annotations

import collections
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from coldproof_agent import redact

MAX_FILE = 4 << 20
MAX_LINE = 16 << 10
TAIL_LINES = 40
FLOOD = 1 << 16  # bytes at once: what a pipe holds (pipe(7)), so it was full
_ENDS = re.compile(rb"[\r\n]+")


class ServerLog:
    """Reads a log pipe in a thread until its end.

    The file holds ``<seconds since process start> <line>``, at most 4 MiB of it; what comes after
    is counted and its last 40 lines are kept.

    Args:
        pipe: read end of the server's standard output and error; closed at the end.
        path: the file to write.
        started_at: monotonic time of the process start, seconds.
        secrets: values that are replaced by ``***``.
        on_line: called with (seconds since process start, line) for each line.
    """

    def __init__(
        self,
        pipe: int,
        path: Path,
        started_at: float,
        secrets: Sequence[str] = (),
        on_line: Callable[[float, str], None] = lambda _t, _line: None,
    ) -> None:
        self._pipe = pipe
        self._path = path
        self._started_at = started_at
        self._secrets = [one.encode() for one in redact.forms(secrets)]
        self._longest = max(map(len, self._secrets), default=0)
        self._written = 0
        self._on_line = on_line
        self.bytes = 0
        self.lines = 0
        self.truncated = False
        self.problem = ""
        self._tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        self._thread = threading.Thread(target=self._pump, name="server-log", daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        """Reads until the end, whatever becomes of the file: a full pipe would stop the server."""
        file = -1
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            self.problem = str(error)
        rest = b""
        within = False  # in a line that was too long and has been taken
        while True:
            data = os.read(self._pipe, 1 << 18)
            stamp = time.monotonic() - self._started_at
            if not data:
                break
            self.bytes += len(data)
            *lines, rest = _ENDS.split(rest + data)
            if within and lines:
                lines.pop(0)
                within = False
            if within:
                rest = b""
            elif len(rest) > MAX_LINE + self._longest:
                lines, rest, within = [*lines, rest], b"", True
            if self._written > MAX_FILE and len(data) >= FLOOD and len(lines) > TAIL_LINES:
                # The file is full and the pipe too: only what may be the tail is looked at.
                self.lines += len(lines) - TAIL_LINES
                lines = lines[-TAIL_LINES:]
            for raw in lines:
                self._take(raw, stamp, file)
        self._take(rest, time.monotonic() - self._started_at, file)
        if file >= 0:
            os.close(file)
        os.close(self._pipe)

    def _take(self, raw: bytes, stamp: float, file: int) -> None:
        if not raw.strip():
            return
        cut = len(raw) > MAX_LINE
        raw = raw[: MAX_LINE + self._longest]
        for secret in self._secrets:
            raw = raw.replace(secret, b"***")
        if cut:  # what stands at the cut may be the first part of a secret
            raw = raw[: len(raw) - self._longest]
        line = raw[:MAX_LINE].decode("utf-8", "replace").replace("\0", "\\0")
        self.lines += 1
        self._on_line(stamp, line)
        text = f"{stamp:.3f} {line}"
        self._tail.append(text[:2000])
        if self._written > MAX_FILE:
            self.truncated = True
        elif file >= 0 and not self.problem:
            self._write(file, text.encode("utf-8", "replace") + b"\n")

    def _write(self, file: int, data: bytes) -> None:
        """Writes a line; after the first that cannot be written whole there is none any more."""
        try:
            written = os.write(file, data)
        except OSError as error:
            self.problem = str(error)
            return
        self._written += written
        if written != len(data):
            self.problem = "short write: the disk is full"

    def close(self, wait_s: float = 5.0) -> None:
        """Waits until the pipe's other ends are closed and all is written."""
        self._thread.join(wait_s)

    def tail(self) -> list[str]:
        """Returns the last lines."""
        return list(self._tail)

    def describe(self, folder: Path) -> dict[str, object]:
        """Returns the form of runs.jsonl."""
        return {
            "file": str(self._path.relative_to(folder)),
            "bytes": self.bytes,
            "lines": self.lines,
            "truncated": self.truncated,
            "problem": self.problem or None,
            "tail": self.tail(),
        }
