"""Keeps weights in the page cache behind the agent's back: ``plants.py KIND SEED FILE...``

mapped and mlocked hold the pages; reader reads all the time; late and readahead wait until the
files were evicted and for a random while, and then bring them back, by read(2) and by
posix_fadvise(2). These two say each time how many bytes they made the storage deliver.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from coldproof_agent import procfs, witness

SOURCE = Path(__file__).parents[4] / "roles/agent/files"
KINDS = ("mapped", "mlocked", "reader", "late", "readahead")
AHEAD = 128 << 10
PR_SET_PDEATHSIG = 1  # linux/prctl.h
MOST_DELAY_S = 0.15  # about what the agent needs from the eviction to the server's first read
TELLS_S = 0.5
SHARE = 0.15  # of the weights: with this much brought by a plant no server can have read 90 %


def possible(files: Sequence[Path]) -> list[str]:
    """Returns the kinds that this user can plant: locking memory has a limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    enough = limit == resource.RLIM_INFINITY or limit > sum(one.stat().st_size for one in files)
    return [kind for kind in KINDS if kind != "mlocked" or enough or os.geteuid() == 0]


class Plant:
    """A plant at work, as a context.

    Args:
        kind: one of KINDS.
        files: the weights.
        log: a file for what it says.
        seed: of its delays.
    """

    def __init__(self, kind: str, files: Sequence[Path], log: Path, seed: int = 0) -> None:
        self._kind = kind
        self._size = sum(one.stat().st_size for one in files)
        self._log = log
        words = [sys.executable, __file__, kind, str(seed), *map(str, files)]
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                words, env={**os.environ, "PYTHONPATH": str(SOURCE)}, stdout=output
            )
        self.pid = self._child.pid
        end = time.monotonic() + 60
        while not self.said():
            assert time.monotonic() < end, f"the plant {kind} is not at work"
            assert self._child.poll() is None, f"the plant {kind} ended at once"
            time.sleep(0.005)

    def said(self) -> list[int]:
        """Returns the bytes of each time; -1 first, when it is at work."""
        return [int(json.loads(line)) for line in self._log.read_bytes().split(b"\n")[:-1]]

    def took(self) -> bool:
        """Says whether it kept a server that was started meanwhile from reading the weights.

        What it is about to bring it says a moment later.
        """
        assert self._child.poll() is None, "the plant has ended"
        if self._kind not in ("late", "readahead"):
            return True
        end = time.monotonic() + TELLS_S
        while self.said()[-1] <= SHARE * self._size:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def __enter__(self) -> Plant:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.wait()


def hold(files: list[str], locked: bool) -> None:
    """Maps the files, touches every page, and keeps them."""
    libc = ctypes.CDLL(None, use_errno=True)
    maps = []
    for path in files:
        with open(path, "r+b" if locked else "rb") as opened:
            access = mmap.ACCESS_WRITE if locked else mmap.ACCESS_READ
            maps.append(mmap.mmap(opened.fileno(), 0, access=access))
    for one in maps:
        sum(one[at] for at in range(0, len(one), 4096))
        if locked:
            start = ctypes.addressof(ctypes.c_char.from_buffer(one))
            if libc.mlock(ctypes.c_void_p(start), ctypes.c_size_t(len(one))):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
    say(-1)
    time.sleep(3600)


def read(files: list[str]) -> None:
    """Reads the files once."""
    for path in files:
        with open(path, "rb", buffering=0) as opened:
            while opened.read(1 << 20):
                pass


def ahead(files: list[str]) -> None:
    """Has the kernel bring the files in by itself: it takes no more than a readahead at once."""
    for path in files:
        fd = os.open(path, os.O_RDONLY)
        for at in range(0, os.fstat(fd).st_size, AHEAD):
            os.posix_fadvise(fd, at, AHEAD, os.POSIX_FADV_WILLNEED)
        os.close(fd)


def evicted(files: list[str]) -> bool:
    """Says whether less than half of the files is in the page cache."""
    pages = resident = 0
    for path in files:
        fd = os.open(path, os.O_RDONLY)
        size = os.fstat(fd).st_size
        pages += -(-size // mmap.PAGESIZE)
        resident += witness.mincore(fd, size)
        os.close(fd)
    return resident < pages / 2


def refill(files: list[str], dice: random.Random, by_read: bool) -> None:
    """Brings the files back whenever they were evicted."""
    read(files)
    say(-1)
    while True:
        if not evicted(files):
            time.sleep(0.001)
            continue
        time.sleep(dice.uniform(0.0, MOST_DELAY_S))
        before = procfs.read_bytes(os.getpid()) or 0
        (read if by_read else ahead)(files)
        say((procfs.read_bytes(os.getpid()) or 0) - before)


def say(count: int) -> None:
    """Prints one number."""
    print(json.dumps(count), flush=True)


def main(kind: str, seed: str, *files: str) -> None:
    """Plants, for as long as the process lives that started it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if kind in ("mapped", "mlocked"):
        hold(list(files), kind == "mlocked")
    elif kind == "reader":
        read(list(files))
        say(-1)
        while True:
            read(list(files))
    else:
        refill(list(files), random.Random(int(seed)), kind == "late")


if __name__ == "__main__":
    main(*sys.argv[1:])
