"""One campaign a node, one coldproof a GPU: flock(2), so a dead holder holds nothing."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from coldproof_agent.errors import Refusal

_held: set[int] = set()


def leave_to_parent() -> None:
    """Closes the locks' descriptors in a forked child: it must not hold them for a dead agent."""
    while _held:
        os.close(_held.pop())


def release(fd: int) -> None:
    """Gives a lock back."""
    _held.discard(fd)
    os.close(fd)


def _take(path: Path, mode: int) -> Optional[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    _held.add(fd)
    return fd


def state_lock(state: Path, campaign: str) -> Optional[int]:
    """Takes the state folder's lock and writes our pid and campaign into it.

    Returns:
        its descriptor, to be kept open; None if another agent holds it (see :func:`holder`).
    """
    fd = _take(state / "lock", 0o644)
    if fd is not None:
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {campaign}\n".encode(), 0)
    return fd


def holder(state: Path) -> Optional[tuple[int, str]]:
    """Returns pid and campaign of the other agent that holds the lock; None if none does."""
    try:
        fd = os.open(state / "lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            words = os.pread(fd, 200, 0).decode("ascii", "replace").split()
            if len(words) < 2 or not words[0].isdigit():
                return 0, "?"
            return None if int(words[0]) == os.getpid() else (int(words[0]), words[1])
        return None
    finally:
        os.close(fd)


def gpu_locks(devices: Sequence[dict[str, Any]]) -> list[int]:
    """Takes a lock for each GPU, so that two state folders do not measure on one card.

    Raises:
        Refusal: code ``gpu_busy``: another coldproof on this node has it.
    """
    folder = Path("/run/lock")
    if not os.access(folder, os.W_OK):
        folder = Path(tempfile.gettempdir())
    taken = []
    for one in devices:
        try:
            fd = _take(folder / f"coldproof-{one['uuid']}.lock", 0o666)
        except OSError as error:
            raise Refusal(
                "gpu_busy", f"{error.filename}: {error.strerror}", "coldproof_gpus"
            ) from error
        if fd is None:
            raise Refusal(
                "gpu_busy",
                f"another coldproof on this node measures on GPU {one['index']}",
                "coldproof_gpus",
            )
        taken.append(fd)
    return taken
