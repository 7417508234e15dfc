"""Writes a model of random weights, for machines that have none: two shards and an index."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

from coldproof_agent import durable

_BLOCK = 1 << 20
_TENSOR = 16 << 20


def make(folder: str, mib: int, shards: int = 2) -> dict[str, Any]:
    """Writes ``mib`` MiB of random safetensors in ``shards`` files; an equal model is left alone.

    Random bytes, so that no filesystem compresses or deduplicates them.

    Returns:
        ``written`` (whether anything was), ``path`` and ``mib``.

    Raises:
        ValueError: fewer MiB than shards.
        OSError: the folder cannot take it.
    """
    if mib < shards:
        raise ValueError(f"{mib} MiB in {shards} shards: give at least {shards} MiB")
    target = Path(folder)
    index = target / "model.safetensors.index.json"
    sizes = [
        (mib // shards + (1 if number < mib % shards else 0)) << 20 for number in range(shards)
    ]
    names = [f"model-{number + 1:05d}-of-{shards:05d}.safetensors" for number in range(shards)]
    if index.exists() and all(
        (target / name).exists() and (target / name).stat().st_size > size
        for name, size in zip(names, sizes)
    ):
        return {"written": False, "path": str(target), "mib": mib}
    target.mkdir(parents=True, exist_ok=True)
    weight_map: dict[str, str] = {}
    for number, (name, size) in enumerate(zip(names, sizes)):
        weight_map.update(dict.fromkeys(_write_shard(target / name, size, number), name))
    config = {"architectures": ["RandomWeights"], "torch_dtype": "bfloat16"}
    durable.replace(target / "config.json", json.dumps(config).encode())
    total = {"metadata": {"total_size": sum(sizes)}, "weight_map": weight_map}
    durable.replace(index, json.dumps(total, indent=1).encode())
    return {"written": True, "path": str(target), "mib": mib}


def _write_shard(path: Path, size: int, number: int) -> list[str]:
    tensors = {}
    for start in range(0, size, _TENSOR):
        end = min(start + _TENSOR, size)
        tensors[f"layers.{number}.{start // _TENSOR}.weight"] = {
            "dtype": "BF16",
            "shape": [(end - start) // 2],
            "data_offsets": [start, end],
        }
    text = json.dumps(tensors).encode()
    text += b" " * (-len(text) % 8)
    beside = path.with_name(f".{path.name}.new")
    with open(beside, "wb") as opened:
        opened.write(struct.pack("<Q", len(text)) + text)
        for _ in range(size // _BLOCK):
            opened.write(os.urandom(_BLOCK))
        opened.flush()
        os.fsync(opened.fileno())
    os.rename(beside, path)
    return sorted(tensors)
