"""The table for a terminal: under 100 columns, printable characters only."""

from __future__ import annotations

import math
from collections.abc import Sequence

from coldproof.fleet.analysis import look
from coldproof.fleet.outliers import Outlier
from coldproof.gather import Gathered
from coldproof.groups import PAIRS_NEEDED, Entry, Group
from coldproof.report.judge import distinctions
from coldproof.report.overview import DEMO
from coldproof.stats import Summary, in_percent, in_seconds, in_times
from coldproof.text import words

HEAD = ("node", "tier/variant", "cold s", "warm s", "factor", "effect", "storage", "remarks")
WIDTHS = (16, 16, 11, 11, 6, 8, 7, 60)
RIGHT = range(2, 7)
TOTAL = 98
LEGEND = (
    "Medians of proven starts (n); factor, effect and storage's share over three or more pairs."
)


def short_table(gathered: Gathered) -> str:
    """Return one line a node, tier and variant, one for each node without any, and outliers."""
    fleet = look(gathered)
    found = fleet.entries
    rows = [(_row(entry, group), _apart(entry, group)) for entry in found for group in entry.groups]
    rows += [(_empty(entry), "") for entry in found if not entry.groups]
    rows = sorted((_cut(row), apart) for row, apart in rows)
    cut = [row for row, _ in rows]
    shown = {name: words(name, WIDTHS[0]) for name in gathered.incomplete}
    columns = [max(map(len, column)) for column in zip(HEAD, *cut, strict=True)]
    columns[0] = max(columns[0], *map(len, shown.values()), 0)
    lines = [
        line for row, apart in rows for line in (_line(row, columns), *([apart] if apart else []))
    ]
    lines += [f"{text:<{columns[0]}}  {_reason(gathered, name)}" for name, text in shown.items()]
    title = [DEMO] if gathered.demo else []
    return "\n".join(
        [
            *title,
            _line(HEAD, columns),
            *(line[:TOTAL].rstrip() for line in lines),
            LEGEND,
            *(words(_outlier(one), TOTAL) for one in fleet.outliers),
        ]
    )


def _cut(row: Sequence[str]) -> list[str]:
    return [words(text, width) for text, width in zip(row, WIDTHS, strict=True)]


def _apart(entry: Entry, group: Group) -> str:
    """Return the line below a row that says what tells it from the place's other rows."""
    told = ", ".join(distinctions(entry, group))
    return f"  ^ {words(told, TOTAL - 4)}" if told else ""


def _line(row: Sequence[str], columns: Sequence[int]) -> str:
    cells = [
        text.rjust(width) if number in RIGHT else text.ljust(width)
        for number, (text, width) in enumerate(zip(row, columns, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _outlier(one: Outlier) -> str:
    place = f"{one.member.node} {one.member.group.place.inside}"
    if math.isinf(one.difference):
        return f"Outlier: {place}, {one.mode}: its starts fail"
    way = "slower" if one.difference > 0 else "faster"
    phase = f", mostly in the phase {one.shift.name}" if one.shift else ""
    return f"Outlier: {place}, {one.mode}: {in_seconds(abs(one.difference))} s {way}{phase}"


def _reason(gathered: Gathered, name: str) -> str:
    node = gathered.nodes[name]
    return words(f"{node.status}: {node.message or 'no usable run was fetched'}")


def _row(entry: Entry, group: Group) -> list[str]:
    factor, effect, share = group.factor, group.effect, group.share
    enough = group.sufficient
    return [
        entry.place.node,
        entry.place.inside,
        _median(group.cold_s),
        _median(group.warm_s),
        f"{in_times(factor.median)}x" if factor and enough else "-",
        in_seconds(effect.median) if effect and enough else "-",
        f"{in_percent(share.median)} %" if share and enough else "-",
        _remarks(entry, group),
    ]


def _empty(entry: Entry) -> list[str]:
    return [entry.place.node, entry.place.inside, *["-"] * 5, _remarks(entry, None)]


def _median(summary: Summary | None) -> str:
    return f"{in_seconds(summary.median)} ({summary.n})" if summary else "-"


def _remarks(entry: Entry, group: Group | None) -> str:
    pairs = len(group.pairs) if group else 0
    parts = [f"{pairs} pairs" if group and group.sufficient else f"{pairs}/{PAIRS_NEEDED} pairs"]
    if entry.warm_only:
        parts = ["warm only by plan"]
    counts = {
        "failed": entry.failed, "refuted": entry.refuted, "unproven": entry.unproven,
        "cut short": entry.abandoned,
    }  # fmt: skip
    for name, runs in counts.items():
        count = len(entry.concerning(runs, group))
        parts += [f"{count} {name}"] if count else []
    return ", ".join(parts + (["unsettled"] if entry.unsettled_in(group) else []))
