"""What a disk may hold after a power cut, from a log of all writes and flushes that it was sent.

QEMU's blklogwrites driver writes the log in the format of Linux's dm-log-writes (Linux,
Documentation/admin-guide/device-mapper/log-writes.rst): after one sector of its own, for each
request a sector with its place, length and flags, and then its data.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, DISCARD = 1, 4


@dataclass(frozen=True)
class Request:
    """One request to the disk, whose data begins at byte `data_at` of the log.

    Attributes:
        at: byte of the disk at which it begins.
        size: in bytes; 0 for a flush.
    """

    at: int
    size: int
    flags: int
    data_at: int

    @property
    def flush(self) -> bool:
        """Whether all that was written before it lasts once it is answered."""
        return bool(self.flags & FLUSH)


def read_log(path: Path) -> list[Request]:
    """Returns all requests of a log in their order. Raises ValueError if it is none."""
    return list(_requests(path.read_bytes()))


def _requests(log: bytes) -> Iterator[Request]:
    magic, version, _, sector = struct.unpack_from("<QQQI", log)
    if (magic, version, sector) != (MAGIC, 1, SECTOR):
        raise ValueError(f"no log of writes in sectors of {SECTOR} bytes")
    at = SECTOR
    while at + SECTOR <= len(log):
        place, sectors, flags, _ = struct.unpack_from("<QQQQ", log, at)
        at += SECTOR
        yield Request(place * SECTOR, sectors * SECTOR, flags, at)
        at += 0 if flags & DISCARD else sectors * SECTOR


def cut(image: Path, log: Path, requests: list[Request], chance: random.Random) -> None:
    """Makes of a disk's first image what it may hold when its power goes after these requests.

    What was written before the last flush is there. Of what came after it, each write is there
    whole, or not at all, or in part: a disk promises no more, and not even their order.
    """
    flushed = max((number for number, one in enumerate(requests) if one.flush), default=-1)
    share = chance.random()
    disk, source = os.open(image, os.O_WRONLY), os.open(log, os.O_RDONLY)
    try:
        for number, one in enumerate(requests):
            if not one.size or one.flags & DISCARD:
                continue
            sectors = range(one.size // SECTOR)
            if number > flushed:
                if chance.random() > share:
                    continue
                if chance.random() < 0.5:
                    sectors = range(chance.randrange(len(sectors) + 1))
            data = os.pread(source, len(sectors) * SECTOR, one.data_at)
            os.pwrite(disk, data, one.at)
    finally:
        os.close(disk)
        os.close(source)
