"""Runs a small program in bounded time, whatever it or its children do."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence

_MAX_OUTPUT = 1 << 20


class TookTooLongError(Exception):
    """The program did not end in time and was given up."""


def run(words: Sequence[str], timeout_s: float) -> tuple[int, str]:
    """Runs a program without input. Returns (exit status, at most 1 MiB of its output).

    Output goes to a file: a pipe that a grandchild keeps open would hold the caller.

    Raises:
        TookTooLongError: after ``timeout_s`` seconds; its process group was killed.
        OSError: it cannot be started.
    """
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            try:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait(2)
            except (OSError, subprocess.TimeoutExpired):
                pass  # in the kernel for good: it cannot be waited for
            raise TookTooLongError(words[0]) from None
        output.seek(0)
        return status, output.read(_MAX_OUTPUT).decode("utf-8", "replace")
