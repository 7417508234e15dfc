"""The head of the report: verdict, the table, the first starts ever."""

from __future__ import annotations

from collections.abc import Sequence

from coldproof.fleet.analysis import Fleet
from coldproof.gather import Gathered, NodeStatus
from coldproof.groups import Entry, Group, Place
from coldproof.report.comparisons import nodes, tiers_and_variants
from coldproof.report.judge import (
    INSUFFICIENT,
    WARM_ONLY,
    flags,
    outcomes,
    same_storage,
    verdict,
)
from coldproof.report.limits import in_short
from coldproof.report.tables import table
from coldproof.runs import Run
from coldproof.stats import Summary, summarise
from coldproof.text import cell, listing, plural

DEMO = "DEMO on this machine"
HEAD = (
    "node", "tier", "variant", "scope", "cold, s", "warm, s", "pairs", "factor",
    "cache effect", "storage's share", "ceiling", "flags",
)  # fmt: skip


def where(place: Place) -> str:
    """Return a place as `gpu-01, nvme/default`, safe to print."""
    return f"{cell(place.node)}, {cell(place.inside)}"


def verdicts(fleet: Fleet, off: Sequence[str] = ()) -> list[str]:
    """Return the verdicts: of all nodes, of those that differ or are missing, then of each row.

    `off` are the bullets of nodes that are outliers.
    """
    gathered, found, odd = fleet.gathered, fleet.entries, fleet.odd_places
    demo = f"{DEMO}: " if gathered.demo else ""
    lines: list[str] = []
    for entry in found:
        mixed = len(entry.groups) > 1
        stray = " Not comparable with the others: it holds other weights."
        for group in entry.groups:
            text = verdict(entry, group, mixed=mixed)
            note = stray if entry.place in odd else ""
            lines.append(f"- {demo}{where(entry.place)}: {text}{note}")
        if not entry.groups:
            lines.append(f"- {demo}{where(entry.place)}: {_without_proof(entry)}")
        elif entry.strays:
            lines.append(f"- {demo}{where(entry.place)}: {_stray(entry)}")
    doubted = [f"- {demo}{cell(node)}: {left_out(fleet, node)}" for node in gathered.left_out]
    missing = [f"- {demo}{cell(name)}: {reason}" for name, reason in absent(gathered)]
    if not lines and not missing:
        return [f"- {demo}insufficient evidence: this campaign has neither nodes nor runs."]
    first = [*nodes(fleet, demo), *off, *missing, *doubted]
    return [*first, *lines, *tiers_and_variants(fleet, demo)]


def left_out(fleet: Fleet, node: str) -> str:
    """Say that what was left out of a node's files may have been a failed start; safe to print."""
    return f"{cell(fleet.gathered.left_out[node])}; a start that failed may be among it."


def absent(gathered: Gathered) -> list[tuple[str, str]]:
    """Return the nodes that are not complete, or without any run, with the reason."""
    with_runs = {run.node for run in gathered.runs}
    return [
        (name, reason(node, name in with_runs))
        for name, node in gathered.nodes.items()
        if node.status not in ("complete", "unlisted") or name not in with_runs
    ]


def reason(node: NodeStatus, has_runs: bool) -> str:
    """Say why a node is not complete, and which variable decides it; safe to print."""
    kept = "; its finished runs are kept" if has_runs else ""
    if node.status in ("complete", "unlisted"):
        return f"{node.status}, but no usable run was fetched"
    said = f": {cell(node.message)}" if node.message else ""
    if node.status == "pending" and not node.message:
        said = ": nothing was heard of it yet" if not has_runs else ": it did not finish yet"
    hint = f" (set {cell(node.variable)})" if node.variable else ""
    return f"{node.status}{said}{hint}{kept}"


def comparison_table(fleet: Fleet) -> str:
    """Return the table: a row for each node, tier and variant, and for nodes without one."""
    gathered, found, odd = fleet.gathered, fleet.entries, fleet.odd_places
    rows: list[list[str]] = []
    for entry in found:
        rows += [_row(fleet, entry, group) for group in entry.groups]
        if entry.groups and entry.strays:
            rows.append(_bare_row(entry, _stray(entry)))
        if not entry.groups and not entry.unproven:
            rows.append(_bare_row(entry, flags(entry, None, odd, False)))
        if entry.unproven:
            rows.append(_unproven_row(entry))
    for name, text in absent(gathered):
        rows.append([cell(name), *["-"] * (len(HEAD) - 2), text])
    rows.sort(key=lambda row: (row[0],))
    return table(
        HEAD, rows or [["-"] * (len(HEAD) - 1) + ["no node, no run"]], right=(4, 5, 6, 7, 8, 9)
    )


def first_starts(found: Sequence[Entry]) -> list[str]:
    """Return the section on prime starts, each listed, never averaged."""
    rows = [
        [
            *_names(entry.place),
            str(run.seq) if run.seq is not None else "-",
            seconds_or_failure(run),
            _caches(run),
            {True: "yes", False: "no", None: "not recorded"}[run.compile_changed],
            cell("; ".join(run.flags)),
        ]
        for entry in found
        for run in entry.primes
    ]
    if not rows:
        return ["No prime start was recorded."]
    head = ("node", "tier", "variant", "run", "load, s", "compile caches",
            "changed by it", "flags")  # fmt: skip
    return [
        "Each is one start (n=1), made to fill the compile caches; it is neither cold nor warm.",
        "",
        table(head, rows, right=(3, 4)),
    ]


def seconds_or_failure(run: Run) -> str:
    """Return load_s of one start, or how and when it failed."""
    if run.ready:
        return Summary(1, run.load_s or 0.0, 0, 0).bare().removesuffix(" n=1")
    if run.outcome == "ready":
        return "not recorded"
    ended = summarise([run.elapsed_s]) if run.elapsed_s is not None else None
    after = f" after {ended.bare().removesuffix(' n=1')}" if ended else ""
    return f"{cell(run.outcome)}{after}"


def _caches(run: Run) -> str:
    files = run.cached_files
    return run.compile if files is None else f"{run.compile}, {plural(files, 'file')} before"


def _names(place: Place) -> list[str]:
    return [cell(place.node), cell(place.tier), cell(place.variant)]


def _row(fleet: Fleet, entry: Entry, group: Group) -> list[str]:
    cold, warm = group.cold_s, group.warm_s
    factor, effect, share = group.factor, group.effect, group.share
    return [
        *_names(entry.place),
        cell(group.scope),
        cold.bare() if cold else _no_cold(entry),
        warm.bare() if warm else "none proven",
        "-" if entry.warm_only else str(len(group.pairs)),
        factor.factor() if factor else "-",
        effect.seconds() if effect else "-",
        share.percent() if share else "-",
        in_short(fleet.use(group)) if group.cold else "-",
        flags(entry, group, fleet.odd_places, len(entry.groups) > 1),
    ]


def _bare_row(entry: Entry, text: str) -> list[str]:
    pairs = "-" if entry.warm_only else "0"
    cells = ["-", _no_cold(entry), "none proven", pairs, "-", "-", "-", "-"]
    return [*_names(entry.place), *cells, text]


def _no_cold(entry: Entry) -> str:
    return "warm only by plan" if entry.warm_only else "none proven"


def _unproven_row(entry: Entry) -> list[str]:
    """Return the marked row of unproven starts: numbers, but no factor and no verdict."""
    by_mode = {
        mode: summarise(
            run.load_s for run in entry.unproven if run.mode == mode and run.load_s is not None
        )
        for mode in ("cold", "warm")
    }
    cells = [f"unproven: {found.bare()}" if found else "-" for found in by_mode.values()]
    missing = sorted({text for run in entry.unproven for text in run.reasons})
    text = f"UNPROVEN, no verdict: {listing([cell(item, 120) for item in missing], 2)}"
    if not entry.groups:
        for told, runs in (("failed", entry.failed), ("cut short", entry.abandoned)):
            text += "".join(f"; {count} {told} ({outcome})" for outcome, count in outcomes(runs))
        text += f"; {WARM_ONLY}" if entry.warm_only else ""
        text += f"; {same_storage(entry)}" if entry.same_storage else ""
    return [*_names(entry.place), "-", *cells, "-", "-", "-", "-", "-", text]


def _stray(entry: Entry) -> str:
    told = ", ".join(f"{count} failed ({name})" for name, count in outcomes(entry.strays))
    return f"started otherwise than the rows of numbers, and never proven: {told}; no budget is met"


def _without_proof(entry: Entry) -> str:
    counts = {
        "unproven": len(entry.unproven), "refuted": len(entry.refuted),
        "failed": len(entry.failed), "cut short": len(entry.abandoned),
        "prime": len(entry.primes),
    }  # fmt: skip
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    starts = len(entry.attempts) + len(entry.abandoned)
    if not starts:
        return f"{INSUFFICIENT}: the plan asks for it, and no start of it was fetched."
    none = (
        f"{WARM_ONLY}; no proven warm start"
        if entry.warm_only
        else f"{INSUFFICIENT}: no proven start"
    )
    return f"{none} (of {starts}: {told})."
