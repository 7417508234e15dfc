"""Gather everything that is known of a campaign: its nodes, their runs, what was left out."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from coldproof import campaign as campaigns
from coldproof.errors import InputError
from coldproof.exclusions import Exclusions
from coldproof.merge import Origin, merge_files, merge_node
from coldproof.names import is_node
from coldproof.planned import Planned, planned
from coldproof.pool import Pool
from coldproof.runs import Run


@dataclass(frozen=True)
class NodeStatus:
    """What became of a node: a status of campaign.json, or `unlisted` if it is not in it."""

    status: str
    code: str | None = None
    message: str | None = None
    variable: str | None = None


@dataclass(frozen=True)
class Gathered:
    """A campaign's facts, all a report is made of. `runs` are sorted by node and number."""

    name: str
    demo: bool
    command: str | None
    settings: Mapping[str, Any]
    nodes: Mapping[str, NodeStatus]
    runs: Sequence[Run]
    exclusions: Exclusions = field(default_factory=Exclusions)

    @cached_property
    def planned(self) -> Planned:
        """What the plan asks for."""
        return planned(self.settings)

    @property
    def incomplete(self) -> list[str]:
        """The nodes that are not complete, or of which no run is there, sorted."""
        with_runs = {run.node for run in self.runs}
        return [
            name
            for name, node in self.nodes.items()
            if node.status not in ("complete", "unlisted") or name not in with_runs
        ]

    @property
    def complete(self) -> list[str]:
        """The nodes that are complete and of which a run is there, sorted."""
        lacking = set(self.incomplete)
        return [
            name
            for name, node in self.nodes.items()
            if node.status == "complete" and name not in lacking
        ]

    @cached_property
    def left_out(self) -> Mapping[str, str]:
        """How much was left out of a node's files, and the first of it; not safe to print.

        What was left out may be a start that failed.
        """
        told: dict[str, str] = {}
        for node, (count, one) in self.exclusions.lost().items():
            if node:
                where = f"{one.file} line {one.line}" if one.line else one.file
                first = ": ".join(part for part in (where, one.field, one.reason) if part)
                told[node] = f"{count} left out of its files (first: {first[:300]})"
        return told


def gather_campaign(folder: Path) -> Gathered:
    """Return what the campaign folder `folder` holds.

    Raises InputError if it is no campaign folder, or one of a newer coldproof.
    """
    document = _document(folder)
    name = document.get("campaign") or folder.name
    nodes = {
        node: NodeStatus(
            entry["status"], *(_text(entry, key) for key in ("code", "message", "variable"))
        )
        for node, entry in document.get("nodes", {}).items()
    }
    exclusions, pool = Exclusions(), Pool()
    runs: list[Run] = []
    with _uncollected():
        for path in sorted((folder / "nodes").glob("*")):
            if path.name.startswith("."):
                continue
            if not is_node(path.name) or path.is_symlink() or not path.is_dir():
                exclusions.add("", f"nodes/{path.name}", 0, "", "not the folder of a node")
                continue
            nodes.setdefault(path.name, NodeStatus("unlisted"))
            runs += merge_node(path, Origin(path.name, document.get("campaign")), exclusions, pool)
    return Gathered(
        name=name,
        demo=document.get("demo", False),
        command=_text(document, "command"),
        settings=document.get("settings", {}),
        nodes=dict(sorted(nodes.items())),
        runs=sorted(runs, key=lambda run: run.order),
        exclusions=exclusions,
    )


def gather_files(paths: Sequence[Path]) -> Gathered:
    """Return what CSVs written by hand hold; InputError names one that is not of the format."""
    exclusions = Exclusions()
    runs = merge_files(sorted(paths), exclusions)
    names = {run.node for run in runs} | {path.stem for path in paths if not runs}
    return Gathered(
        name=", ".join(sorted(path.name for path in paths)),
        demo=False,
        command=None,
        settings={},
        nodes={name: NodeStatus("unlisted") for name in sorted(names)},
        runs=runs,
        exclusions=exclusions,
    )


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the cyclic collector from visiting what is gathered, now and later.

    It would walk all records again and again as they grow, and they hold no cycles: reading ten
    thousand nodes took more than ten times as long as one thousand.
    """
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if active:
            gc.enable()


def _document(folder: Path) -> dict[str, Any]:
    if (folder / campaigns.FILE).is_file():
        return campaigns.load(folder)
    if (folder / "nodes").is_dir():
        return {}
    raise InputError(
        f"{folder}: holds neither {campaigns.FILE} nor a folder nodes; give a campaign's folder"
    )


def _text(entry: Mapping[str, Any], name: str) -> str | None:
    value = entry.get(name)
    return value if isinstance(value, str) and value else None
