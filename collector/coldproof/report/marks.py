"""What the log's markers did not tell: seconds in no phase, and lines that never came."""

from __future__ import annotations

from collections.abc import Sequence

from coldproof.groups import Entry
from coldproof.report.overview import where
from coldproof.report.tables import table
from coldproof.runs import Run, dig, seconds
from coldproof.stats import summarise
from coldproof.text import cell, listing

GAP_S = 0.05  # below it no span is worth a row
SPANS_LISTED = 30
GAPS_NOTE = (
    "Unattributed: no line of the log says what the server did. Each such span, since which line, "
    "and what it would take to name it (medians; starts without the span count as 0):"
)


def gaps(found: Sequence[Entry]) -> list[str]:
    """Return the unattributed spans of first, cold and warm starts; nothing if none is recorded."""
    rows = [
        [where(entry.place), mode, *cells]
        for entry in found
        for mode, runs in _starts(entry)
        for cells in _spans(runs)
    ]
    if not rows:
        return []
    head = ("where", "start", "since the line", "s", "to name it")
    return ["", GAPS_NOTE, "", table(head, rows[:SPANS_LISTED], right=(3,)), *_more(rows)]


def missing(found: Sequence[Entry]) -> list[str]:
    """Return a warning for markers that were expected and never seen."""
    names = sorted(
        {
            f"{where(entry.place)}: {cell(marker, 60)}"
            for entry in found
            for _, runs in _starts(entry)
            for run in runs
            for marker in _texts(run.record.get("phases_missing"))
        }
    )
    if not names:
        return []
    return [
        "",
        (
            f"**Warning**: lines that the profile expects never came: {listing(names, 20)}. "
            "What they begin is not zero: its seconds stand in the phase before it. The engine's "
            "version may word them anew."
        ),
    ]


def _starts(entry: Entry) -> list[tuple[str, Sequence[Run]]]:
    first = [run for run in entry.primes if run.ready][:1]
    cold = {run.run_id: run for group in entry.groups for run in group.cold}
    warm = {run.run_id: run for group in entry.groups for run in group.warm}
    return [("first ever", first), ("cold", list(cold.values())), ("warm", list(warm.values()))]


def _spans(runs: Sequence[Run]) -> list[list[str]]:
    """Return since, seconds and what would name it, in order of first appearance."""
    told = [_by_line(run) for run in runs if isinstance(run.record.get("unattributed"), list)]
    names = dict.fromkeys(name for one in told for name in one)
    rows = []
    for name in names:
        summary = summarise(one.get(name, (0.0, ""))[0] for one in told)
        if summary and summary.high >= GAP_S:
            hint = next(one[name][1] for one in told if name in one)
            rows.append([cell(name, 60), summary.bare(), cell(hint, 300)])
    return rows


def _by_line(run: Run) -> dict[str, tuple[float, str]]:
    spans: dict[str, tuple[float, str]] = {}
    for one in run.record["unattributed"][:64]:
        length = seconds(dig(one, "seconds")) if isinstance(one, dict) else None
        if length is not None:
            name = str(dig(one, "since") or "")
            before, _ = spans.get(name, (0.0, ""))
            spans[name] = (before + length, str(dig(one, "to_name") or ""))
    return spans


def _more(rows: Sequence[object]) -> list[str]:
    over = len(rows) - SPANS_LISTED
    return ["", f"And {over} more spans: see runs.jsonl."] if over > 0 else []


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
