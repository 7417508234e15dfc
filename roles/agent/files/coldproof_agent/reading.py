"""Reads a set of files fast: to warm the page cache, and to find what its storage can deliver."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from coldproof_agent import cooling, residency
from coldproof_agent.files import FileRef

# Measured against fio (O_DIRECT, 1 MiB, depth 32) in one run each: buffered 8 x 4 MiB read 1.68
# times as fast, O_DIRECT 4 x 1 MiB 0.99; bench/ceiling repeats it.
BUFFERED_THREADS, BUFFERED_BLOCK = 8, 4 << 20
DIRECT_THREADS, DIRECT_BLOCK = 4, 1 << 20
SPREAD = 1.3
METHOD = (
    f"in turns, each twice: O_DIRECT, {DIRECT_THREADS} threads of {DIRECT_BLOCK >> 20} MiB, and "
    f"buffered after eviction, {BUFFERED_THREADS} threads of {BUFFERED_BLOCK >> 20} MiB"
)
# A sweep of so much says what a storage delivers, and ends in time on a slow one.
SWEEP_BYTES = 8 << 30
SWEEPS = 4


def sweep(files: Sequence[FileRef], direct: bool) -> tuple[int, float]:
    """Reads all the files once. Returns (bytes, seconds). Raises OSError."""
    threads = DIRECT_THREADS if direct else BUFFERED_THREADS
    block = DIRECT_BLOCK if direct else BUFFERED_BLOCK
    chunks = [
        (one.path, start, min(16 * block, one.size - start))
        for one in files
        for start in range(0, one.size, 16 * block)
    ]
    begun = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        total = sum(pool.map(lambda chunk: _read(chunk, block, direct), chunks))
    return total, time.monotonic() - begun


def _read(chunk: tuple[str, int, int], block: int, direct: bool) -> int:
    path, start, length = chunk
    # An anonymous mapping is page-aligned, as O_DIRECT wants its buffer (open(2)).
    with mmap.mmap(-1, block) as buffer:
        fd = os.open(path, os.O_RDONLY | (os.O_DIRECT if direct else 0))
        try:
            done = 0
            while done < length:
                got = os.preadv(fd, [buffer], start + done)
                if got <= 0:
                    break
                done += got
            return min(done, length)
        finally:
            os.close(fd)


def prewarm(files: Sequence[FileRef], verdicts: dict[str, str]) -> dict[str, Any]:
    """Brings files into the page cache and looks whether they are there.

    Returns:
        ``bytes``, ``seconds`` and the resident ``fraction`` after it (None without a witness).

    Raises:
        OSError: a file cannot be read.
    """
    total, seconds = sweep(files, direct=False)
    after = residency.look(files, verdicts).low
    return {"bytes": total, "seconds": round(seconds, 3), "fraction": after}


def prewarm_cold(files: Sequence[FileRef], verdicts: dict[str, str]) -> dict[str, Any]:
    """Evicts files, then brings them into the page cache: what pre-warming costs when it counts.

    Returns:
        as :func:`prewarm`, and ``left``: the resident share before the reading (None without a
        witness).

    Raises:
        OSError: a file cannot be read.
    """
    left = cooling.evict(files, verdicts)["fraction"]
    return {"left": left, **prewarm(files, verdicts)}


def ceiling(files: Sequence[FileRef], verdicts: dict[str, str]) -> dict[str, Any]:
    """Finds what the storage of some files delivers: each way of reading, twice.

    Evicts the files before each buffered sweep; O_DIRECT leaves the cache as it is. Of more than
    8 GiB of files the first ones are read.

    Returns:
        ``method`` in words, ``sweeps`` (way, bytes, seconds, bytes_per_s), ``bytes_per_s`` (the
        best) and ``reliable``:
        False if two sweeps of the best way differ by more than 1.3, or files were not cold.
    """
    files = sample(files, SWEEP_BYTES)
    sweeps: list[dict[str, Any]] = []
    reliable = True
    for way in ("direct", "buffered") * 2:
        if way == "buffered":
            left = cooling.evict(files, verdicts)["fraction"]
            reliable = reliable and left is not None and left <= cooling.COLD_SHARE
        try:
            total, seconds = sweep(files, direct=way == "direct")
        except OSError as error:
            sweeps.append({"way": way, "error": error.strerror})
            continue
        speed = round(total / max(seconds, 1e-9))
        sweeps.append(
            {"way": way, "bytes": total, "seconds": round(seconds, 3), "bytes_per_s": speed}
        )
    speeds: dict[str, list[int]] = {
        way: [one["bytes_per_s"] for one in sweeps if one["way"] == way and "bytes_per_s" in one]
        for way in ("direct", "buffered")
    }
    best = max((max(values) for values in speeds.values() if values), default=None)
    twice = next((v for v in speeds.values() if best in v), [])
    if len(twice) < 2 or max(twice) > SPREAD * min(twice):
        reliable = False
    return {"method": METHOD, "bytes_per_s": best, "reliable": reliable, "sweeps": sweeps}


def sample(files: Sequence[FileRef], most: int) -> list[FileRef]:
    """Returns the first files, the last of them cut, that hold so many bytes together."""
    chosen = []
    for one in files:
        if most <= 0:
            break
        chosen.append(one._replace(size=min(one.size, most)))
        most -= one.size
    return chosen
