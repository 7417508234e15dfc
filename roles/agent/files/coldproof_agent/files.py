"""The files that count: named by real path, once per (device, inode), sized by st_blocks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")


class FileRef(NamedTuple):
    """One file of a set.

    ``size`` is st_size in bytes, ``allocated`` what it occupies on its device (st_blocks x 512),
    ``expected`` how many bytes of it a start brings into the page cache.
    """

    path: str
    dev: int
    inode: int
    size: int
    allocated: int
    expected: int

    @property
    def device_bytes(self) -> int:
        """Bytes a cold start has to read from the device: holes of a sparse file cost none."""
        return min(self.expected, self.allocated)


def refer(path: str) -> FileRef:
    """Returns the reference of a regular file by its real path, expected to be read whole.

    Raises:
        OSError: it is missing, unreadable or no regular file.
    """
    real = os.path.realpath(path)
    info = os.stat(real)
    if not stat.S_ISREG(info.st_mode):
        raise OSError(22, "not a regular file", real)
    return FileRef(real, info.st_dev, info.st_ino, info.st_size, info.st_blocks * 512, info.st_size)


def unique(files: Iterable[FileRef]) -> list[FileRef]:
    """Returns files once per (device, inode), in order of path: links are one file."""
    found: dict[tuple[int, int], FileRef] = {}
    for one in sorted(files):
        found.setdefault((one.dev, one.inode), one)
    return list(found.values())


def below(folder: str) -> list[FileRef]:
    """Returns the regular files below a folder, or the file that it is.

    Links and unreadable folders are left out.
    """
    if os.path.isfile(folder):
        return [refer(folder)]
    found = []
    queue = [os.path.realpath(folder)]
    while queue:
        try:
            entries = list(os.scandir(queue.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    queue.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    info = entry.stat(follow_symlinks=False)
                    found.append(
                        FileRef(
                            entry.path,
                            info.st_dev,
                            info.st_ino,
                            info.st_size,
                            info.st_blocks * 512,
                            info.st_size,
                        )
                    )
            except OSError:
                continue
    return unique(found)


def device_bytes(files: Iterable[FileRef]) -> int:
    """Returns the bytes that all the files together have to be read from their devices."""
    return sum(one.device_bytes for one in files)
