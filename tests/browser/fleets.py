"""Campaigns for the browser: an ordinary fleet of any size, and one whose nodes are hostile."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.unit.collector.conftest import Lab

PHASES = (
    ("interpreter and imports", 16.0, 12.0),
    ("engine process start", 12.0, 11.5),
    ("weights", 10.0, 2.2),
    ("compile", 5.7, 5.6),
    ("graph capture", 5.2, 5.9),
    ("unattributed", 4.0, 3.8),
)
# Each would run, load or open something if it were taken for markup anywhere.
CHARMS = (
    "<script>window.ran=1</script>",
    '"><img src="http://attacker.invalid/a.png" onerror="window.ran=1">',
    "'><svg onload=window.ran=1>",
    "</style></title></script><script>window.ran=1;alert(1)</script>",
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "[x](javascript:window.ran=1) ![y](http://attacker.invalid/b.png)",
    '<meta http-equiv="refresh" content="0;url=http://attacker.invalid/">',
    "&lt;script&gt;window.ran=1&lt;/script&gt; &#60;script&#62;",
    "]]></svg><script>window.ran=1</script>",
    "|\n\n# head\n\n```\n<script>window.ran=1</script>",
    "<a href='javascript:window.ran=1' autofocus onfocus=window.ran=1>x</a>",
    "url(http://attacker.invalid/c) expression(window.ran=1) <link rel=stylesheet href=//x>",
)


def fleet(root: Path, nodes: int) -> Path:
    """Returns the reported campaign of `nodes` nodes x 7 starts; the fifth reads slowly."""
    lab = Lab(root)
    dice = random.Random(nodes)
    names = [f"gpu-{number:03d}" for number in range(1, nodes + 1)]
    lab.campaign(**{name.replace("-", "_"): "complete" for name in names})
    for name in names:
        slow = 3.0 if name == "gpu-005" else 1.0
        starts = [("prime", None), *((mode, n) for n in (1, 2, 3) for mode in ("cold", "warm"))]
        records = [
            _start(lab, name, seq, mode, pair, slow, dice)
            for seq, (mode, pair) in enumerate(starts, 1)
        ]
        if name == "gpu-002":
            records.append(lab.record(9, "warm", 4, 44.0, node=name, state="unproven",
                                      reasons=["no witness passed its test"]))  # fmt: skip
        lab.fetch(records, name)
    lab.report()
    return lab.folder


def _start(
    lab: Lab, node: str, seq: int, mode: str, pair: int | None, slow: float, dice: random.Random
) -> dict[str, Any]:
    phases = []
    for name, cold, warm in PHASES:
        seconds = (warm if mode == "warm" else cold) * dice.uniform(0.95, 1.05)
        seconds *= slow if name == "weights" and mode != "warm" else 1.0
        phases.append({"name": name, "seconds": round(seconds, 3)})
    load_s = round(sum(float(str(one["seconds"])) for one in phases), 3)
    sweep = {"way": "direct", "bytes_per_s": 50e6 if node == "gpu-003" else 300e6}
    ceiling = {"sweeps": [sweep, sweep], "reliable": True}
    return lab.record(seq, mode, pair, load_s, node=node, phases=phases, ceiling=ceiling)


def hostile(root: Path) -> Path:
    """Returns the reported campaign of twelve nodes that put a charm into every word they say."""
    lab = Lab(root)
    lab.campaign(
        gpu_99={"status": "failed", "message": CHARMS[0], "variable": CHARMS[1], "code": CHARMS[2]},
        **{f"gpu_{number:02d}": "complete" for number in range(1, len(CHARMS) + 1)},
    )
    for number, charm in enumerate(CHARMS, 1):
        node = f"gpu-{number:02d}"
        words: dict[str, Any] = {
            "node": node, "tier": charm, "variant": charm, "model": charm, "scope": charm,
            "method": charm, "flags": [charm], "outcome_detail": charm, "phases_missing": [charm],
            "engine": {"name": charm, "version": charm, "user": charm, "argv": [charm, charm],
                       "env": {charm: charm}, "container": {"runtime": charm}},
            "storage": {"mount": charm, "source": charm, "filesystem": charm, "model": charm,
                        "scheduler": charm, "pcie": {charm: charm}, "devices": [charm]},
            "host": {"cpu": charm, "kernel": charm},
            "gpu": {"devices": [{"name": charm, "index": charm, "mem_ready_mb": 1}],
                    "others": [{"name": charm}]},
            "told": {charm: {"title": charm, "unit": charm, "value": 1.0}},
            "unattributed": [{"since": charm, "seconds": 1.0, "to_name": charm}],
            "ceiling": {"sweeps": [{"way": charm, "bytes_per_s": 1e9}] * 2, charm: charm},
            "phases": [{"name": charm, "seconds": 1.0}, {"name": "unattributed", "seconds": 9.0}],
        }  # fmt: skip
        lost = {**words, "phases": [], "log": {"tail": [charm], "file": charm}}
        lab.fetch(
            [
                lab.record(1, "cold", 1, 10.0, **words),
                lab.record(2, "warm", 1, 10.0, **{**words, "scope": None, "method": None}),
                lab.record(3, "cold", 2, 10.0, state="refuted", reasons=[charm], **words),
                lab.record(4, "warm", 2, 10.0, state="unproven", reasons=[charm], **words),
                lab.record(5, "cold", 3, None, state="unproven", **lost),
            ],
            node,
        )
        lab.put(node, "storage_load_bench.csv", f'{lab.header}\n1,cold,"{charm}",{charm},x,y,z\n')
    lab.put("<img src=x onerror=window.ran=1>", "runs.jsonl", "")
    lab.report()
    return lab.folder
