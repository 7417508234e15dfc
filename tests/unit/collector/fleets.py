"""Fleets of synthetic records, as the collector sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import synthetic
from coldproof.exclusions import Exclusions
from coldproof.fleet.analysis import Fleet, look
from coldproof.gather import Gathered, NodeStatus
from coldproof.pool import Pool
from coldproof.read_jsonl import read_records


def fleet_of(tmp_path: Path, *nodes: list[dict[str, Any]]) -> Fleet:
    """Returns the fleet of complete nodes that these records are of."""
    runs = []
    for records in nodes:
        synthetic.write_node(tmp_path, records)
        name = records[0]["node"]
        path = tmp_path / "nodes" / name / "runs.jsonl"
        found = [
            record.run for record in read_records(path, "runs.jsonl", name, Exclusions(), Pool())
        ]
        assert all(found)
        runs += [run for run in found if run]
    names = sorted({run.node for run in runs})
    status = {name: NodeStatus("complete") for name in names}
    return look(Gathered("synthetic", False, None, {}, status, runs))
