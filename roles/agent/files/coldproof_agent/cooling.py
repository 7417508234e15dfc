"""Makes files cold: whole-file eviction, or drop_caches in bounded time. Fails closed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coldproof_agent import locks, procfs, residency
from coldproof_agent.errors import Refusal
from coldproof_agent.files import FileRef

COLD_SHARE = 0.01
ROUNDS = 6
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def evict(files: Sequence[FileRef], verdicts: dict[str, str]) -> dict[str, Any]:
    """Evicts whole files until the witnesses see at most 1 % of them, or nothing changes any more.

    Sub-ranges of large folios are not evicted and dirty pages are not dropped, hence whole files
    and fsync first (posix_fadvise(2)). Pages that a live process maps stay.

    Returns:
        ``rounds``, ``seconds`` and the ``fraction`` left (None without a witness).
    """
    begun = time.monotonic()
    left = None
    last = None
    rounds = 0
    for rounds in range(1, ROUNDS + 1):  # noqa: B007 (the count is part of the evidence)
        for one in files:
            _evict_file(one)
        left = residency.look(files, verdicts).high
        if left is None or left == 0 or (last is not None and left >= last):
            break
        last = left
    return {"rounds": rounds, "seconds": round(time.monotonic() - begun, 3), "fraction": left}


def _evict_file(one: FileRef) -> None:
    try:
        fd = os.open(one.path, os.O_RDONLY)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):  # a read-only filesystem has no dirty pages
            os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def drop_caches(timeout_s: float, control: Path = DROP_CACHES) -> dict[str, Any]:
    """Syncs and drops the page cache, dentries and inodes of the whole host.

    The write is made by a child, so that a kernel that takes minutes cannot hold the agent.

    Args:
        timeout_s: seconds to wait; on hosts with much memory over 30 s were seen.
        control: the kernel's control file (Documentation/admin-guide/sysctl/vm.rst).

    Raises:
        Refusal: code ``drop_caches``: it was refused or did not end in time. Nothing is cold then.
    """
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            locks.leave_to_parent()
            os.sync()
            fd = os.open(control, os.O_WRONLY)
            status = 0 if os.write(fd, b"3\n") == 2 else 1
        except OSError as error:
            status = min(error.errno or 1, 255)
        finally:
            os._exit(status)
    while True:
        pid, raw = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - begun > timeout_s:
            os.kill(child, signal.SIGKILL)
            raise Refusal(
                "drop_caches",
                f"{control} did not finish within {timeout_s:g} s: nothing was proven cold. "
                "Allow more time or use the method evict.",
                "coldproof_drop_caches_timeout_s",
            )
        time.sleep(0.02)
    code = os.waitstatus_to_exitcode(raw)
    if code:
        why = os.strerror(code) if code > 0 else f"signal {-code}"
        raise Refusal(
            "drop_caches",
            f"{control} refused: {why}. Set ansible_become (root), or use the method evict.",
            "coldproof_cold_method",
        )
    return {"seconds": round(time.monotonic() - begun, 3)}


def holders(files: Sequence[FileRef]) -> list[dict[str, Any]]:
    """Names the processes that map any of the files: pid and command, most mappings first."""
    found = procfs.mappers({(one.dev, one.inode) for one in files})
    return [
        {"pid": pid, "command": procfs.command(pid), "maps": count}
        for pid, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
