"""Two witnesses of page-cache residency, each self-tested on the mount at hand before it counts.

cachestat(2) (syscall 451, Linux 6.5) and mincore(2). Neither pollutes the cache. Both lie: mincore
says "all resident" and cachestat EPERM for a file one neither owns nor may write
(mm/mincore.c: can_do_mincore, mm/filemap.c: can_do_cachestat); cachestat is 0 on overlayfs.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import Callable, Optional

from coldproof_agent.files import PAGE, FileRef

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_LIBC.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
_LIBC.syscall.restype = ctypes.c_long

_SYS_CACHESTAT = 451  # the same number on all architectures (Linux 6.5, syscall.tbl)
_WINDOW = 256 << 20


class _Range(ctypes.Structure):
    """struct cachestat_range of linux/mman.h."""

    _fields_ = [("off", ctypes.c_uint64), ("len", ctypes.c_uint64)]


class _Stat(ctypes.Structure):
    """struct cachestat of linux/mman.h; counts of pages."""

    _fields_ = [
        ("cache", ctypes.c_uint64),
        ("dirty", ctypes.c_uint64),
        ("writeback", ctypes.c_uint64),
        ("evicted", ctypes.c_uint64),
        ("recently_evicted", ctypes.c_uint64),
    ]


def cachestat(fd: int, size: int) -> int:
    """Returns the resident pages of an open file of ``size`` bytes. Raises OSError."""
    result = _Stat()
    whole = _Range(0, size)
    if _LIBC.syscall(
        ctypes.c_long(_SYS_CACHESTAT),
        ctypes.c_int(fd),
        ctypes.byref(whole),
        ctypes.byref(result),
        ctypes.c_uint(0),
    ):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result.cache)


def mincore(fd: int, size: int) -> int:
    """Returns the resident pages of an open file of ``size`` bytes. Raises OSError."""
    resident = 0
    for start in range(0, size, _WINDOW):
        length = min(_WINDOW, size - start)
        pages = -(-length // PAGE)
        address = _LIBC.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, fd, start)
        if address in (None, ctypes.c_void_p(-1).value):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        try:
            vector = (ctypes.c_ubyte * pages)()
            if _LIBC.mincore(address, length, vector):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            resident += sum(bytes(vector).count(odd) for odd in (1, 3))
        finally:
            _LIBC.munmap(address, length)
    return resident


WITNESSES: dict[str, Callable[[int, int], int]] = {"cachestat": cachestat, "mincore": mincore}


def may_look(one: FileRef) -> bool:
    """Says whether the kernel tells this process the truth: an owner, a writer or root."""
    if os.geteuid() == 0:
        return True
    try:
        return os.stat(one.path).st_uid == os.geteuid() or os.access(
            one.path, os.W_OK, effective_ids=True
        )
    except OSError:
        return False


def test_on_scratch(folder: str) -> Optional[dict[str, str]]:
    """Tests the witnesses on an unnamed sparse file of 4 pages of which one was written.

    Returns:
        by witness, an empty string if it said 1, else what is wrong; None if the folder takes no
        such file (no permission, or a filesystem without O_TMPFILE).
    """
    try:
        fd = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError:
        return None
    try:
        os.ftruncate(fd, 4 * PAGE)
        os.pwrite(fd, b"\1" * PAGE, 2 * PAGE)
        verdicts = {}
        for name, count in WITNESSES.items():
            try:
                said = count(fd, 4 * PAGE)
                verdicts[name] = "" if said == 1 else f"said {said} of 1 resident pages"
            except OSError as error:
                verdicts[name] = error.strerror or str(error)
        return verdicts
    except OSError:
        return None
    finally:
        os.close(fd)


def test_on_file(one: FileRef) -> dict[str, str]:
    """Tests the witnesses on a real file: reads its first page, then evicts it whole.

    Returns:
        by witness, an empty string if it saw both, else what is wrong.
    """
    verdicts = {}
    fd = os.open(one.path, os.O_RDONLY)
    try:
        for name, count in WITNESSES.items():
            try:
                os.pread(fd, 1, 0)
                read = count(fd, one.size)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                evicted = count(fd, one.size)
            except OSError as error:
                verdicts[name] = error.strerror or str(error)
                continue
            if read < 1:
                verdicts[name] = "said 0 resident pages after a read"
            elif evicted >= -(-one.size // PAGE):
                verdicts[name] = "said that all is resident after an eviction"
            else:
                verdicts[name] = ""
    finally:
        os.close(fd)
    return verdicts
