"""Read lines of a file that nobody vouches for, in bounded memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 16
LIMIT = 1 << 20


@dataclass(frozen=True)
class Line:
    """One line without its end. `fault` says why it cannot be used; then `data` is empty."""

    number: int
    data: bytes
    complete: bool
    fault: str | None = None


def open_regular(path: Path) -> BinaryIO | None:
    """Open `path` if it is a regular file and no link; None if it is anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def read_lines(stream: BinaryIO) -> Iterator[Line]:
    """Yield the lines that are not empty. At most about 1 MiB is held, whatever a line's length.

    A byte order mark at the beginning and a carriage return at a line's end are removed.
    """
    for number, (raw, complete, size) in enumerate(_split(stream), start=1):
        data = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
        data = data.removesuffix(b"\r")
        if size > LIMIT:
            yield Line(number, b"", complete, f"{size} bytes long, over the limit of {LIMIT}")
        elif b"\0" in data:
            yield Line(number, b"", complete, "holds NUL bytes")
        elif data.strip():
            yield Line(number, data, complete)


def _split(stream: BinaryIO) -> Iterator[tuple[bytes, bool, int]]:
    held: list[bytes] = []
    size = 0
    while chunk := stream.read(CHUNK):
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            size += len(part)
            held.append(part)
            yield (b"".join(held) if size <= LIMIT else b""), True, size
            held, size = [], 0
        size += len(rest)
        if size <= LIMIT:
            held.append(rest)
        else:
            held = []
    if size:
        yield (b"".join(held) if size <= LIMIT else b""), False, size


def decode(data: bytes) -> tuple[str, int]:
    """Return `data` as text and how many bytes were not UTF-8 and had to be replaced."""
    try:
        return data.decode("utf-8"), 0
    except UnicodeDecodeError:
        escaped = data.decode("utf-8", "surrogateescape")
        bad = sum(1 for character in escaped if "\udc80" <= character <= "\udcff")
        return data.decode("utf-8", "replace"), bad
