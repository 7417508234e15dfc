"""Files that survive a SIGKILL and a power cut.

A record is one ``O_APPEND`` write followed by fsync; a file that is replaced is written beside,
fsynced, renamed, and its folder fsynced. A disk that fills up shows first as a short write, so
every count that write(2) returns is checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from coldproof_agent.errors import Refusal

MAX_RECORD_BYTES = 4 << 20


def canonical(value: Any) -> bytes:
    """Returns the canonical JSON of a value: sorted keys, no spaces, UTF-8."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8", "backslashreplace")


def checksum(record: dict[str, Any]) -> str:
    """Returns the SHA-256 of a record's canonical JSON without its field ``checksum``."""
    return hashlib.sha256(
        canonical({key: value for key, value in record.items() if key != "checksum"})
    ).hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes names created or renamed in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes, path: Path) -> None:
    """Writes everything or raises: a short write means that the disk is full."""
    written = os.write(fd, data)
    if written != len(data):
        raise OSError(28, f"short write: {written} of {len(data)} bytes", str(path))


def replace(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replaces a file atomically and durably. Raises OSError; the old file then still stands."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        os.fchmod(fd, mode)
        _write_all(fd, data, beside)
        os.fsync(fd)
        os.rename(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    finally:
        os.close(fd)
    sync_folder(path.parent)


def append_line(path: Path, line: bytes, mode: int = 0o644, cut_tail: bool = True) -> None:
    """Appends one line durably; nothing of it stays if it cannot be written whole.

    A tail that an earlier crash left without newline is cut off first: it was never acknowledged.
    In a file that people write too (``cut_tail`` False) it is their last line, and is completed.

    Raises:
        OSError: the disk is full, over quota or read-only. The file is as it was.
    """
    if b"\n" in line:
        raise ValueError("a line holds no newline")
    new = not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, mode)
    try:
        size = _heal_tail(fd) if cut_tail else os.fstat(fd).st_size
        open_tail = not cut_tail and size and os.pread(fd, 1, size - 1) != b"\n"
        try:
            _write_all(fd, (b"\n" if open_tail else b"") + line + b"\n", path)
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)
    if new:
        sync_folder(path.parent)


def _heal_tail(fd: int) -> int:
    """Cuts a torn last line off. Returns the file's size in bytes after that."""
    size = os.fstat(fd).st_size
    keep = size
    while keep and os.pread(fd, 1, keep - 1) != b"\n":
        start = max(0, keep - 65536)
        at = os.pread(fd, keep - start, start).rfind(b"\n")
        keep = start + at + 1 if at >= 0 else start
    if keep != size:
        os.ftruncate(fd, keep)
    return keep


def append_record(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Appends a record with its checksum durably, and returns it as written."""
    sealed = dict(record, checksum=checksum(record))
    data = canonical(sealed)
    if len(data) > MAX_RECORD_BYTES:
        raise ValueError(f"record of {len(data)} bytes: more than {MAX_RECORD_BYTES}")
    append_line(path, data)
    return sealed


def read_records(path: Path) -> list[dict[str, Any]]:
    """Returns the whole records of a file in their order; a torn or damaged line is left out."""
    records = []
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    for line in data.split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("checksum") == checksum(record):
            records.append(record)
    return records


def need_space(folder: Path, free_bytes: int) -> None:
    """Refuses a state folder that is read-only, full or over quota, before a run relies on it.

    The bytes are really written (to a temporary file) because quotas show in no free-space count.

    Raises:
        Refusal: code ``state_folder``.
    """
    probe = folder / f".space.{os.getpid()}"
    try:
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            os.unlink(probe)  # first of all: whoever is killed here leaves nothing behind
            os.posix_fallocate(fd, 0, free_bytes)
            _write_all(fd, b"\0" * 4096, probe)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise Refusal(
            "state_folder",
            f"state folder {folder} cannot take {free_bytes >> 20} MiB: {error.strerror}. "
            "Free space there or set another folder.",
            "coldproof_state_dir",
        ) from error
