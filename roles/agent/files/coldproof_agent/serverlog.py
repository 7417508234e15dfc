"""Takes a server's log: stamps each line on receipt, bounds it, hides secrets, feeds the phases."""

from __future__ import annotations

import collections
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

MAX_FILE = 4 << 20
MAX_LINE = 16 << 10
TAIL_LINES = 40
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
        self._secrets = [one for one in secrets if one]
        self._on_line = on_line
        self.bytes = 0
        self.lines = 0
        self.truncated = False
        self.problem = ""
        self._tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        self._thread = threading.Thread(target=self._pump, name="server-log", daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        rest = b""
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        written = 0
        try:
            while True:
                data = os.read(self._pipe, 1 << 18)
                stamp = time.monotonic() - self._started_at
                if not data:
                    break
                self.bytes += len(data)
                *lines, rest = _ENDS.split(rest + data)
                if len(rest) > MAX_LINE:
                    lines, rest = [*lines, rest], b""
                if written > MAX_FILE and len(lines) > TAIL_LINES:
                    # A flood: the file is full, so only what may be the tail is looked at.
                    self.lines += len(lines) - TAIL_LINES
                    lines = lines[-TAIL_LINES:]
                for raw in lines:
                    written += self._take(raw, stamp, file, written)
            if rest:
                self._take(rest, time.monotonic() - self._started_at, file, written)
        except OSError as error:
            self.problem = str(error)
        finally:
            os.close(file)
            os.close(self._pipe)

    def _take(self, raw: bytes, stamp: float, file: int, written: int) -> int:
        if not raw.strip():
            return 0
        line = raw[:MAX_LINE].decode("utf-8", "replace").replace("\0", "\\0")
        for secret in self._secrets:
            line = line.replace(secret, "***")
        self.lines += 1
        self._on_line(stamp, line)
        text = f"{stamp:.3f} {line}"
        self._tail.append(text[:2000])
        if written > MAX_FILE:
            self.truncated = True
            return 0
        return os.write(file, text.encode("utf-8", "replace") + b"\n")

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
