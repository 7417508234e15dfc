"""Runs a small program in bounded time, whatever it or its children do."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Sequence

from coldproof_agent import procfs

_MAX_OUTPUT = 1 << 20
_MAX_FILE = 16 << 20


class TookTooLongError(Exception):
    """The program did not end in time and was given up."""


def run(words: Sequence[str], timeout_s: float) -> tuple[int, str]:
    """Runs a program without input. Returns (exit status, at most 1 MiB of its output).

    Output goes to a file: a pipe that a grandchild keeps open would hold the caller. The file's
    size is limited, so a program that prints for ever is ended by the kernel (SIGXFSZ).

    Raises:
        TookTooLongError: after ``timeout_s`` seconds; it and all below it were killed.
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
        with contextlib.suppress(OSError):
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (_MAX_FILE, _MAX_FILE))
        try:
            status = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            for pid in (child.pid, *(one.pid for one in procfs.descendants(child.pid))):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(2)  # longer only if it is in the kernel for good
            raise TookTooLongError(words[0]) from None
        output.seek(0)
        return status, output.read(_MAX_OUTPUT).decode("utf-8", "replace")
