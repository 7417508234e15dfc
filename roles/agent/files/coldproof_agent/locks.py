"""One campaign a node, one coldproof a GPU: flock(2), so a dead holder holds nothing."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from coldproof_agent.errors import Refusal

LOOK_S = 0.5  # more than a look at a lock takes (see holder)
_held: set[int] = set()


def leave_to_parent() -> None:
    """Closes the locks' descriptors in a forked child: it must not hold them for a dead agent."""
    while _held:
        os.close(_held.pop())


def release(fd: int) -> None:
    """Gives a lock back."""
    _held.discard(fd)
    os.close(fd)


def _take(path: Path, mode: int, within_s: float = 0.0) -> Optional[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    return _locked(fd, within_s)


def _locked(fd: int, within_s: float) -> Optional[int]:
    """Returns the descriptor once it is locked; closes it and returns None if time runs out."""
    end = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < end:
                time.sleep(0.01)
                continue
            os.close(fd)
            return None
        except OSError:
            os.close(fd)
            raise
        _held.add(fd)
        return fd


def state_lock(state: Path, campaign: str) -> Optional[int]:
    """Takes the state folder's lock and writes our pid and campaign into it.

    Returns:
        its descriptor, to be kept open; None if another agent holds it (see :func:`holder`).
    """
    fd = _take(state / "lock", 0o644, LOOK_S)
    if fd is not None:
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {campaign}\n".encode(), 0)
    return fd


def start_lock(state: Path, within_s: float) -> Optional[int]:
    """Waits for the lock under which agents are started, one after the other: the folder itself.

    Returns:
        its descriptor; None where folders take no locks (flock(2): NFS).

    Raises:
        Refusal: code ``locked``: another start did not end in time.
    """
    try:
        fd = _locked(os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), within_s)
    except OSError:
        return None
    if fd is None:
        raise Refusal(
            "locked", f"another start is under way in {state}: wait for it", "coldproof_campaign"
        )
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
