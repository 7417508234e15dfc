"""Files that are whole or not there: canonical JSON, atomic replacement, locks."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coldproof.errors import InputError


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, not ASCII-escaped."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_text(text: str) -> str:
    """Return the SHA-256 of `text` in UTF-8, 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def temporary_sibling(path: Path) -> Path:
    """Return an unused hidden name beside `path`, for a rename onto it."""
    return path.with_name(f".{path.name[:64]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def sync_folder(folder: Path) -> None:
    """Make renames within `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: bytes | str, mode: int = 0o644) -> None:
    """Replace `path` by `content`: a reader sees the old file or the new one, never a part.

    Raises OSError; then `path` is as it was.
    """
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    temporary = temporary_sibling(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` atomically by `value` as indented JSON."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_document(path: Path, value: Any) -> None:
    """Replace `path` by `value`, which holds nodes' texts, as indented JSON in strict UTF-8.

    Half characters, which UTF-8 cannot hold, become question marks: one node's text must not make
    the file unreadable.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomic(path, text.encode("utf-8", "replace"))


def read_json(path: Path, limit: int = 16 << 20) -> Any:
    """Return the JSON document in `path`; InputError if it is none or over `limit` bytes."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    if len(data) > limit:
        raise InputError(f"{path}: larger than {limit} bytes; this is not a file of coldproof")
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}); restore it or remove it") from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path` (created if absent) for the block."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
