"""Whom the kernel's OOM killer takes: the server, which is a row, and not the agent."""

from __future__ import annotations

import contextlib
from pathlib import Path

_FILE = Path("/proc/self/oom_score_adj")  # proc_pid_oom_score_adj(5)
_SHIELDED = b"-900\n"
_kept: list[bytes] = []


def shield() -> None:
    """Makes this process and its children the last to be taken; without the rights, nothing."""
    with contextlib.suppress(OSError):
        before = _FILE.read_bytes()
        _FILE.write_bytes(_SHIELDED)
        _kept.append(before)


def unshield() -> None:
    """Gives a child what the agent had before it was shielded."""
    if _kept:
        with contextlib.suppress(OSError):
            _FILE.write_bytes(_kept[0])
