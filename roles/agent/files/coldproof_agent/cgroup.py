"""One control group, version 2: its processes, the bytes it read, and its end.

Interface files as in Documentation/admin-guide/cgroup-v2.rst of the kernel.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Optional

from coldproof_agent import storage

ROOT = Path("/sys/fs/cgroup")


def unified() -> bool:
    """Says whether this node has version 2 alone, as container runtimes then use it."""
    return (ROOT / "cgroup.controllers").exists()


def find(names: Collection[str]) -> Optional[Group]:
    """Returns the control group of one of these names, wherever it lies; None if there is none."""
    queue = [str(ROOT)]
    while queue:
        try:
            entries = list(os.scandir(queue.pop()))
        except OSError:
            continue  # it ended meanwhile
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name in names:
                    return Group(Path(entry.path))
                queue.append(entry.path)
    return None


class Group:
    """A control group with all below it.

    Args:
        path: its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Says whether it is there still."""
        return self.path.is_dir()

    def pids(self) -> list[int]:
        """Returns the ids of its processes; none if it is gone."""
        found: list[int] = []
        for folder in self._folders():
            with contextlib.suppress(OSError):
                found += map(int, (folder / "cgroup.procs").read_text().split())
        return found

    def _folders(self) -> Iterator[Path]:
        for base, _, _ in os.walk(self.path):
            yield Path(base)

    def read_bytes(self) -> Optional[int]:
        """Returns the bytes it has made block devices read, living processes and dead ones.

        ``rbytes`` of io.stat, which counts on every device of a stack (see :func:`stacked`). None
        if the io controller is not enabled in it, or it is gone.
        """
        try:
            lines = (self.path / "io.stat").read_text().splitlines()
        except OSError:
            return None
        read: dict[str, int] = {}
        for line in lines:
            number, _, rest = line.partition(" ")
            for field in rest.split():
                name, _, value = field.partition("=")
                if name == "rbytes":
                    read[number] = int(value)
        return stacked(read, {number: storage.numbers_below(number) for number in read})

    def kill(self) -> None:
        """Sends SIGKILL to all its processes at once (cgroup.kill, Linux 5.14); may be gone."""
        with contextlib.suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")


def stacked(read: Mapping[str, int], below: Mapping[str, Collection[str]]) -> int:
    """Returns the bytes that were read of devices which stand on each other, each byte once.

    A byte is counted on every device that it passes. Of devices that belong together, the top ones
    have what was read through the stack (a loop device over a cached file reads nothing below it),
    the lowest have that and what was read of themselves (a partition beside a logical volume): the
    greater sum is the one that misses nothing.

    Args:
        read: bytes by device.
        below: the devices below each, directly or not; those that read nothing may be in it.
    """
    lower = {number: read.keys() & set(below.get(number, ())) for number in read}
    total, left = 0, set(read)
    while left:
        together, before = {left.pop()}, 0
        while len(together) > before:
            before = len(together)
            together |= {one for number in together for one in lower[number]}
            together |= {number for number in left if lower[number] & together}
        left -= together
        tops = together - {one for number in together for one in lower[number]}
        leaves = [number for number in together if not lower[number]]
        total += max(sum(read[one] for one in tops), sum(read[one] for one in leaves))
    return total
