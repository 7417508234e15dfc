"""The middle of the report: where the time goes, and everything that made no verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coldproof.exclusions import LISTED
from coldproof.gather import Gathered
from coldproof.groups import Entry, Group, Place
from coldproof.pairs import Unpaired
from coldproof.report import marks
from coldproof.report.judge import circumstances
from coldproof.report.overview import absent, seconds_or_failure, where
from coldproof.report.tables import table
from coldproof.runs import Run, dig
from coldproof.stats import Summary, summarise
from coldproof.text import cell, listing

TAIL_LINES = 5
ROWS_LISTED = 50
PHASES_LISTED = 30
PHASES_NOTE = (
    "Medians over the proven starts. Phases do not overlap; with `unattributed` they sum to load_s "
    "in every single start, but medians of phases need not sum to the median."
)


def phases(found: Sequence[Entry]) -> list[str]:
    """Return the phases of proven starts, cold beside warm."""
    rows = [
        [*names, *cells]
        for entry in found
        for group in entry.groups
        for names in [[cell(entry.place.node), cell(_inside(entry, group))]]
        for cells in _phase_rows(group)
    ]
    if not rows:
        return ["No phases of a proven start were recorded."]
    head = ("node", "tier/variant", "phase", "cold, s", "warm, s", "cold - warm over pairs")
    lines = [
        PHASES_NOTE,
        "",
        table(head, rows, right=(3, 4, 5)),
    ]
    return [*lines, *marks.missing(found), *marks.gaps(found)]


def left_out(
    gathered: Gathered, found: Sequence[Entry], odd: Mapping[str, Sequence[Place]]
) -> list[str]:
    """Return what was unproven, refuted, failed, refused or unreachable, and why."""
    unproven = [(entry, run) for entry in found for run in entry.unproven]
    refuted = [(entry, run) for entry in found for run in entry.refuted]
    failed = [(entry, run) for entry in found for run in entry.failed]
    abandoned = [(entry, run) for entry in found for run in entry.abandoned]
    parts = [
        _runs("Unproven (own rows, no verdict)", "missing", unproven),
        _runs("Refuted (in no median)", "evidence against it", refuted),
        _runs("Failed starts (each would have taken longer than it ran)", "what happened", failed),
        _runs("Starts cut short or never made (no failure of the server)", "why", abandoned),
        _pairs(found),
        _nodes(gathered),
        _weights(odd),
    ]
    lines = [line for part in parts for line in part]
    return lines or ["Nothing: every start was proven, every pair counts, every node is complete."]


def exclusions(gathered: Gathered) -> list[str]:
    """Return what was left out or repaired while reading: the first fifty a node, and counts."""
    counts = gathered.exclusions.counts()
    if not counts:
        return ["Nothing was left out of the files that were read."]
    total = "; ".join(f"{cell(node)}: {count}" for node, count in counts.items())
    rows = [
        [cell(item.node), cell(item.file), str(item.line) if item.line else "-",
         cell(item.field), cell(item.reason)]
        for item in gathered.exclusions.listed()
    ]  # fmt: skip
    return [
        (
            f"In all, by node: {total}. Listed are at most {LISTED} a node. The files as fetched "
            "are kept unchanged."
        ),
        "",
        table(("node", "file", "line", "field", "reason"), rows, right=(2,)),
    ]


def _inside(entry: Entry, group: Group) -> str:
    if len(entry.groups) == 1:
        return entry.place.inside
    return f"{entry.place.inside} ({circumstances(entry, group)})"


def _phase_rows(group: Group) -> list[list[str]]:
    names: dict[str, None] = {}
    for run in [*group.cold, *group.warm]:
        names.update(dict.fromkeys(run.phases))
    names.pop("unattributed", None)
    ordered = [*list(names)[:PHASES_LISTED], "unattributed"] if names else []
    return [
        [
            cell(name, 60),
            _bare(summarise(run.phases[name] for run in group.cold if name in run.phases)),
            _bare(summarise(run.phases[name] for run in group.warm if name in run.phases)),
            _bare(
                summarise(
                    pair.cold.phases[name] - pair.warm.phases[name]
                    for pair in group.pairs
                    if name in pair.cold.phases and name in pair.warm.phases
                )
            ),
        ]
        for name in ordered
    ]


def _bare(summary: Summary | None) -> str:
    return summary.bare() if summary else "-"


def _runs(title: str, why: str, found: Sequence[tuple[Entry, Run]]) -> list[str]:
    if not found:
        return []
    rows = [
        [
            where(entry.place),
            cell(str(run.seq) if run.seq is not None else run.run_id, 80),
            run.mode,
            seconds_or_failure(run),
            _why(run),
        ]
        for entry, run in found[:ROWS_LISTED]
    ]
    head = ("where", "run", "mode", "load, s", why)
    listed = table(head, rows, right=(3,))
    tails = _tails(found[:ROWS_LISTED])
    return [f"### {title}", "", *_modes(found), listed, "", *_more(found), *tails]


def _more(found: Sequence[object]) -> list[str]:
    """Say how many are not listed; all are in the merged CSV or the fetched files."""
    over = len(found) - ROWS_LISTED
    return [f"And {over} more: see the merged CSV.", ""] if over > 0 else []


def _modes(found: Sequence[tuple[Entry, Run]]) -> list[str]:
    """Summarise ready starts by place and mode: no number without its n and range."""
    values: dict[tuple[Place, str], list[float]] = {}
    for entry, run in found:
        if run.ready and run.load_s is not None:
            values.setdefault((entry.place, run.mode), []).append(run.load_s)
    lines = []
    for (place, mode), loads in sorted(values.items()):
        summary = summarise(loads)
        if summary:
            lines.append(f"- {where(place)}, {mode}: {summary.seconds()}")
    return [*lines, ""] if lines else []


def _why(run: Run) -> str:
    parts = (
        [run.outcome_detail or "", *run.reasons] if run.outcome != "ready" else list(run.reasons)
    )
    return cell("; ".join(part for part in parts if part) or "no reason recorded", 500)


def _tails(found: Sequence[tuple[Entry, Run]]) -> list[str]:
    lines = []
    for entry, run in found:
        tail = _texts(dig(run.record, "log", "tail"))[-TAIL_LINES:]
        if tail and run.outcome != "ready":
            log = cell(str(dig(run.record, "log", "file") or "its log"), 80)
            lines.append(f"Last lines of run {run.seq} on {cell(entry.place.node)} ({log}):")
            lines += ["", *(f"- {cell(line)}" for line in tail), ""]
    return lines


def _pairs(found: Sequence[Entry]) -> list[str]:
    rows = [
        [where(entry.place), str(pair.number), cell(_campaign(entry, pair) + pair.reason)]
        for entry in found
        for pair in entry.unpaired
    ]
    if not rows:
        return []
    listed = table(("where", "pair", "why"), rows[:ROWS_LISTED], right=(1,))
    return ["### Pairs that do not count", "", listed, "", *_more(rows)]


def _campaign(entry: Entry, pair: Unpaired) -> str:
    named = pair.campaign and len(entry.campaigns) > 1
    return f"campaign {pair.campaign}: " if named else ""


def _nodes(gathered: Gathered) -> list[str]:
    rows = [
        [cell(name), cell(gathered.nodes[name].code, 60), reason]
        for name, reason in absent(gathered)
    ]
    if not rows:
        return []
    return ["### Nodes that are not complete", "", table(("node", "code", "why"), rows), ""]


def _weights(odd: Mapping[str, Sequence[Place]]) -> list[str]:
    if not odd:
        return []
    rows = [
        [cell(manifest[:12]), listing([where(place) for place in places], 20)]
        for manifest, places in odd.items()
    ]
    return [
        "### Weights that differ: not comparable",
        "",
        "These hold other weights than most places do, or no weights are held by most.",
        "",
        table(("manifest", "where"), rows),
        "",
    ]


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
