"""Models of random weights in the safetensors format, written without the code under test."""

from __future__ import annotations

import json
import os
from pathlib import Path

MIB = 1 << 20


def write_model(folder: Path, mib: int = 32, shards: int = 2) -> Path:
    """Writes a model of about `mib` MiB in `shards` files with an index, and returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, str] = {}
    for number in range(1, shards + 1):
        name = f"model-{number:05d}-of-{shards:05d}.safetensors"
        tensor = f"layers.{number}.weight"
        write_shard(folder / name, tensor, mib * MIB // shards)
        index[tensor] = name
    document = {"metadata": {"total_size": mib * MIB}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": "random"}), encoding="utf-8")
    return folder


def write_shard(path: Path, tensor: str, size: int) -> None:
    """Writes one safetensors file that holds one tensor of `size` bytes, durably."""
    spec = {tensor: {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    header = json.dumps(spec).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.write(os.urandom(size))
        file.flush()
        os.fsync(file.fileno())
