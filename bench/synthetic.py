"""Fleets that never were: records of identical nodes with realistic noise, and planted faults.

Shared by bench/report_scale.py and the unit tests. The phases are those of a 7B model by vLLM on
one H100 (shared facts of the project); the noise is per start: log-normal of 3.5 %, or heavy-tailed
(Student's t, 3 degrees of freedom, scaled to 3 %), as a neighbour's load makes it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

CAMPAIGN = "20261101T000000Z-0123456789ab"
WEIGHTS_BYTES = 14_294_457_136
PHASES = {"interpreter and imports": 22.0, "engine process start": 13.0, "compile": 3.6,
          "graph capture": 5.0, "unattributed": 4.0}  # fmt: skip
WEIGHTS_S = {"prime": 10.0, "cold": 9.7, "warm": 2.0}
COMPILER_S = 110.0
Noise = Callable[[np.random.Generator], float]
NOISES: dict[str, Noise] = {
    "lognormal": lambda random: math.exp(0.035 * random.standard_normal()),
    "heavy_tailed": lambda random: math.exp(0.03 * max(-3.0, min(30.0, random.standard_t(3)))),
}


def node_records(
    node: str,
    random: np.random.Generator,
    *,
    noise: Noise = NOISES["heavy_tailed"],
    pairs: int = 3,
    weights_factor: float = 1.0,
    **changes: Any,
) -> list[dict[str, Any]]:
    """Return a node's records: a first start, then pairs of cold and warm ones.

    `weights_factor` multiplies the weights phase of cold starts (a slow device); `changes` are
    fields of every record.
    """
    order = [
        ("prime", None),
        *((mode, n) for n in range(1, pairs + 1) for mode in ("cold", "warm")),
    ]
    return [
        _record(node, seq, mode, pair, random, noise, weights_factor, changes)
        for seq, (mode, pair) in enumerate(order, 1)
    ]


def write_node(folder: Path, records: list[dict[str, Any]]) -> None:
    """Write the runs.jsonl of one node below the campaign's folder."""
    place = folder / "nodes" / str(records[0]["node"])
    place.mkdir(parents=True, exist_ok=True)
    (place / "runs.jsonl").write_text("".join(_canonical(one) + "\n" for one in records), "utf-8")


def campaign(nodes: list[str]) -> dict[str, Any]:
    """Return a campaign.json in which every node is complete."""
    return {
        "schema": "coldproof.campaign/1",
        "campaign": CAMPAIGN,
        "created_at": "2026-11-01T00:00:00Z",
        "digest": CAMPAIGN.partition("-")[2],
        "demo": False,
        "command": "ansible-playbook probe.yml -l gpu-nodes",
        "settings": {"engine": "vllm", "model": "synthetic-7b", "tiers": [{"name": "nvme"}]},
        "nodes": {node: {"status": "complete"} for node in nodes},
    }


def _record(
    node: str,
    seq: int,
    mode: str,
    pair: int | None,
    random: np.random.Generator,
    noise: Noise,
    weights_factor: float,
    changes: Mapping[str, Any],
) -> dict[str, Any]:
    slow = weights_factor if mode == "cold" else 1.0
    factor = noise(random)
    phases = {"weights": WEIGHTS_S[mode] * slow, **PHASES}
    if mode == "prime":
        phases["compile"] += COMPILER_S
    phases = {name: round(seconds * factor, 3) for name, seconds in phases.items()}
    load_s = round(sum(phases.values()), 3)
    cold = mode == "cold"
    content = {
        "schema": "coldproof.run/1",
        "run_id": f"{CAMPAIGN}.{node}.{seq:04d}",
        "campaign": CAMPAIGN,
        "node": node,
        "seq": seq,
        "tier": "nvme",
        "variant": "default",
        "mode": mode,
        "pair": pair,
        "outcome": "ready",
        "state": {"cold": "proven_cold", "warm": "proven_warm"}.get(mode, "not_applicable"),
        "reasons": [],
        "scope": "weights+engine" if cold else None,
        "method": "evict" if cold else None,
        "compile": "miss" if mode == "prime" else "hit",
        "compile_changed": mode == "prime",
        "model": "synthetic-7b",
        "max_model_len": 4096,
        "load_s": load_s,
        "elapsed_s": load_s,
        "gpu_mem_used_mb": 75_000,
        "phases": [{"name": name, "seconds": seconds} for name, seconds in phases.items()],
        "resolution_s": 0.25,
        "concurrency": 1,
        "weights": {"files": 4, "bytes": WEIGHTS_BYTES, "manifest": "a" * 64},
        "engine": {"name": "vllm", "version": "0.24.0", "argv": ["vllm", "serve"], "env": {}},
        "host": {"cpu": "Synthetic CPU", "cores": 64, "mem_total_bytes": 1 << 39,
                 "kernel": "6.12.0", "virtual": False},
        "gpu": {"devices": [{"index": 0, "name": "Synthetic GPU", "driver": "580.1",
                             "persistence_mode": "Enabled",
                             "pcie": {"generation": 5, "generation_max": 5, "width": 16,
                                      "width_max": 16}}]},
        "storage": {"mount": "/srv", "filesystem": "xfs", "source": "/dev/nvme0n1",
                    "devices": ["nvme0n1"], "network": False, "virtual": False,
                    "model": "Synthetic NVMe", "firmware": "1.0", "read_ahead_kb": 128,
                    "scheduler": "[none] mq-deadline",
                    "pcie": {"current_link_speed": "16.0 GT/s PCIe", "current_link_width": "4",
                             "max_link_speed": "16.0 GT/s PCIe", "max_link_width": "4"}},
        "compile_cache": {"mode": "keep", "dirs": ["/var/cache/vllm"],
                          "before": {"files": 0 if mode == "prime" else 210, "bytes": 1 << 25}},
        "flags": [],
        **changes,
    }  # fmt: skip
    return {**content, "checksum": hashlib.sha256(_canonical(content).encode()).hexdigest()}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
