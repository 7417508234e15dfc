"""Read an uncompressed tar in bounded memory.

Python's tarfile reads a whole pax header, of any size, into memory and recurses over chains
of them; an archive made by a hostile node must not be able to ask for either. Extended
headers are skipped here: the names that coldproof packs fit in the plain header.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK = 512
REGULAR = (b"0", b"\0")
EXTENSIONS = (b"x", b"g", b"L", b"K")
KINDS = {b"1": "hard link", b"2": "symbolic link", b"3": "device", b"4": "device",
         b"5": "folder", b"6": "fifo"}  # fmt: skip


class TornArchiveError(Exception):
    """The archive ends, or stops being a tar, in the middle."""


@dataclass(frozen=True)
class Member:
    """One member: where its data begins in the stream, and its size, in bytes."""

    name: str
    kind: str
    offset: int
    size: int

    @property
    def regular(self) -> bool:
        """Whether it is a plain file."""
        return self.kind == "file"


def members(stream: BinaryIO) -> Iterator[Member]:
    """Yield the members in order; the caller may seek in `stream` between two of them.

    Raises TornArchiveError where a header is cut or wrong, and where the end mark is missing.
    """
    offset = 0
    while True:
        stream.seek(offset)
        header = stream.read(BLOCK)
        if header == bytes(BLOCK):
            return
        size = _size(header)
        kind = header[156:157]
        if kind not in EXTENSIONS:
            yield Member(_name(header), _kind(kind), offset + BLOCK, size)
        offset += BLOCK + -(-size // BLOCK) * BLOCK


def _kind(kind: bytes) -> str:
    return "file" if kind in REGULAR else KINDS.get(kind, f"type {kind!r}")


def _size(header: bytes) -> int:
    if len(header) < BLOCK:
        raise TornArchiveError("the archive ends before its end mark")
    try:
        expected = int(header[148:156].rstrip(b"\0 ").lstrip() or b"-1", 8)
        size = int(header[124:136].rstrip(b"\0 ").lstrip() or b"0", 8)
    except ValueError as error:
        raise TornArchiveError("a header is not that of a tar") from error
    if expected != sum(header[:148]) + 8 * 32 + sum(header[156:]) or size < 0:
        raise TornArchiveError("a header's checksum is wrong")
    return size


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    if header[257:263] == b"ustar\0":
        prefix = header[345:500].split(b"\0", 1)[0]
        name = prefix + b"/" + name if prefix else name
    return name.decode("utf-8", "backslashreplace")
