"""Merge what one node's files say of its runs. The order of lines plays no part.

A record of runs.jsonl is the truth about its run; the CSV's row must agree with it. The same
run twice counts once; versions that differ exclude each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coldproof.errors import InputError
from coldproof.exclusions import Exclusions
from coldproof.names import split_run_id
from coldproof.pool import Pool
from coldproof.read_csv import Row, read_rows
from coldproof.read_jsonl import Record, read_records
from coldproof.runs import Run
from coldproof.versions import Versions

CSV = "storage_load_bench.csv"
JSONL = "runs.jsonl"
AGREE_S = 0.0006
PLACE_LIMIT = 200


@dataclass(frozen=True)
class Origin:
    """Whose files are read: the node, and the campaign if it is known."""

    node: str
    campaign: str | None


def merge_node(folder: Path, origin: Origin, exclusions: Exclusions, pool: Pool) -> list[Run]:
    """Return the runs of the node whose fetched files lie in `folder`, in their order.

    What records of several nodes have in common is kept once, in `pool`.
    """
    runs: dict[str, Run] = {}
    blocked: set[str] = set()
    if _present(folder / JSONL):
        records = read_records(folder / JSONL, JSONL, origin.node, exclusions, pool)
        runs, blocked = _records(records, origin, exclusions)
    if _present(folder / CSV):
        try:
            rows = read_rows(folder / CSV, CSV, origin.node, exclusions)
            _add_rows(runs, blocked, rows, origin, exclusions)
        except InputError as error:
            exclusions.add(origin.node, CSV, 1, "", str(error).removeprefix(f"{folder / CSV}: "))
    return _within_limit(sorted(runs.values(), key=lambda run: run.order), origin, exclusions)


def merge_files(paths: Iterable[Path], exclusions: Exclusions) -> list[Run]:
    """Return the runs of CSVs given by hand; the node is the one in a run_id, else the stem.

    Raises InputError if one of them cannot be read or is not of the format.
    """
    versions: Versions[tuple[str, str], Run] = Versions()
    for path in paths:
        for row in read_rows(path.resolve(), path.name, path.stem, exclusions, by_run_id=True):
            key = (row.run.node, row.run.run_id)
            versions.add(key, row.cells, row.run, (path.name, row.line))
    for (node, run_id), count, places in versions.conflicts():
        for file, line in places:
            exclusions.add(node, file, line, "run_id", _conflict(run_id, count))
    return sorted((run for _, run in versions.agreed()), key=lambda run: run.order)


def _within_limit(runs: list[Run], origin: Origin, exclusions: Exclusions) -> list[Run]:
    """Leave out runs beyond 200 tiers and variants: no plan has them, no report shows them."""
    places = dict.fromkeys((run.tier, run.variant) for run in runs)
    kept = set(list(places)[:PLACE_LIMIT])
    for run in runs:
        if (run.tier, run.variant) not in kept:
            reason = f"{run.run_id[:200]}: over {PLACE_LIMIT} tiers and variants"
            exclusions.add(origin.node, "", 0, "tier", reason)
    return [run for run in runs if (run.tier, run.variant) in kept]


def _present(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _conflict(run_id: str, versions: int) -> str:
    return f"{run_id[:200]}: {versions} versions that differ; none of them counts"


def _foreign(run_id: str, origin: Origin) -> str | None:
    identity = split_run_id(run_id)
    if identity and origin.campaign and identity[0] != origin.campaign:
        return f"belongs to campaign {identity[0]}"
    return None


def _records(
    records: Iterable[Record], origin: Origin, exclusions: Exclusions
) -> tuple[dict[str, Run], set[str]]:
    """Return the runs by run_id, and the run_ids whose records were all left out."""
    versions: Versions[str, Run] = Versions()
    blocked: set[str] = set()
    for record in records:
        if record.run is None:
            blocked.update({record.run_id} if record.run_id else ())
            continue
        foreign = _foreign(record.run.run_id, origin)
        if foreign:
            exclusions.add(origin.node, JSONL, record.line, "run_id", foreign, lost=False)
            continue
        place = (JSONL, record.line)
        versions.add(record.run.run_id, record.digest, record.run, place)
    blocked |= _exclude_conflicts(versions, origin, exclusions)
    runs = dict(versions.agreed())
    return runs, blocked - set(runs)


def _exclude_conflicts(
    versions: Versions[str, Any], origin: Origin, exclusions: Exclusions
) -> set[str]:
    """List all versions that contradict each other, and return their run_ids."""
    found = set()
    for run_id, count, places in versions.conflicts():
        found.add(run_id)
        for file, line in places:
            exclusions.add(origin.node, file, line, "run_id", _conflict(run_id, count))
    return found


def _add_rows(
    runs: dict[str, Run],
    blocked: set[str],
    rows: Iterable[Row],
    origin: Origin,
    exclusions: Exclusions,
) -> None:
    versions: Versions[str, Row] = Versions()
    for row in rows:
        run_id = row.run.run_id
        foreign = _foreign(run_id, origin)
        if run_id in blocked:
            foreign = "its record in runs.jsonl was left out"
        if foreign:
            exclusions.add(origin.node, CSV, row.line, "run_id", foreign, lost=False)
            continue
        versions.add(run_id, row.cells, row, (CSV, row.line))
    _exclude_conflicts(versions, origin, exclusions)
    for run_id, row in versions.agreed():
        record = runs.get(run_id)
        if record is None:
            runs[run_id] = row.run
            continue
        field = _disagreement(record, row)
        if field:
            reason = f"differs from the record in {JSONL}; the record counts"
            exclusions.add(origin.node, CSV, row.line, field, reason, lost=False)
        else:
            runs[run_id] = replace(record, notes=row.run.notes)


def _disagreement(record: Run, row: Row) -> str | None:
    """Return the field in which a CSV row contradicts its record, None if it agrees."""
    if row.run.mode != record.mode:
        return "mode"
    told, true = row.run.load_s, record.load_s
    if told is None:
        return None if true is None or record.state == "refuted" else "load_s"
    return None if true is not None and abs(told - true) <= AGREE_S else "load_s"
