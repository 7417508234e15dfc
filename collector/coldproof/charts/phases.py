"""Phases, stacked: the cold start beside the warm one, by tier, variant and node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from coldproof.charts.frame import Chart, Frame, Key, Row, beside, hatch, lane
from coldproof.charts.markup import Markup, element, joined
from coldproof.charts.places import label, nothing, panel, tell, undrawn
from coldproof.charts.scale import Axis, axis_of, number, percent
from coldproof.groups import Entry, Group
from coldproof.runs import WEIGHTS_PHASE, Run
from coldproof.stats import Summary, in_seconds
from coldproof.text import words

KIND = "phases"
TITLE = "Phases, cold beside warm"
NOTES = (
    (
        "Each bar is one proven start: the one with the median load_s (of an even number the "
        "faster of the middle two). Beside it the median, below it a line: the range of all n."
    ),
    "Rows of a tier and variant: the slowest cold start first.",
)
AXIS_TITLE = "seconds from process start to ready"
UNATTRIBUTED, OTHER, UNKNOWN = "unattributed", "other phases", "phases not recorded"
NAMED = 12
CYCLE = 8
KEYS = "123456789abcdefg"
KEY_PERCENT = 2.6  # of the width: the narrowest segment that its key fits into
BAR, ROW_HEIGHT = 12, 56
LANES = (("cold", 17), ("warm", 35))
LEAST_PERCENT = 0.08
LEGEND = 27  # characters that fit half of 360 pixels


@dataclass(frozen=True)
class _Bar:
    summary: Summary
    run: Run


def phases(found: Sequence[Entry]) -> list[Chart]:
    """Return the chart's pages; none without a proven start whose phases are known."""
    bars = [(entry, group, dict(_bars(group))) for entry in found for group in entry.groups]
    bars.sort(key=lambda item: _order(item[0], item[2]))
    if not any(bar.run.phases for _, _, row in bars for bar in row.values()):
        return []
    drawn = [bar.run for _, _, row in bars for bar in row.values()]
    axis = axis_of(
        value
        for _, _, row in bars
        for bar in row.values()
        for value in (bar.run.load_s or 0.0, bar.summary.high)
    )
    if axis is None:
        return []
    classes = _classes(drawn)
    rows = [
        Row(panel(entry.place), label(entry, group),
            tell(entry, group, {mode: bar.summary for mode, bar in row.items()}))
        for entry, group, row in bars
    ]  # fmt: skip

    def draw(name: str, index: int) -> Markup:
        entry, _, row = bars[index]
        return joined(
            *(
                _lane(name, mode, y, row[mode], axis, classes)
                if mode in row
                else joined(lane(mode, y + 10), beside(nothing(entry, mode), y + 10))
                for mode, y in LANES
            )
        )

    frame = Frame(
        kind=KIND,
        title=TITLE,
        notes=NOTES,
        footnotes=undrawn("No proven start", [entry for entry in found if not entry.groups]),
        axis=axis,
        axis_title=AXIS_TITLE,
        row_height=ROW_HEIGHT,
        definitions=_definitions,
        legend=lambda name: _legend(name, classes),
        draw=draw,
    )
    return frame.pages(rows)


def _bars(group: Group) -> Iterator[tuple[str, _Bar]]:
    for mode, runs, summary in (
        ("cold", group.cold, group.cold_s),
        ("warm", group.warm, group.warm_s),
    ):
        if summary:
            ranked = sorted(runs, key=lambda run: (run.load_s or 0.0, run.order))
            yield mode, _Bar(summary, ranked[(len(ranked) - 1) // 2])


def _order(entry: Entry, row: Mapping[str, _Bar]) -> tuple[object, ...]:
    cold, warm = row.get("cold"), row.get("warm")
    slowest = cold.summary.median if cold else -1.0
    return (panel(entry.place), -slowest, -(warm.summary.median if warm else -1.0), entry.place)


def _classes(runs: Sequence[Run]) -> dict[str, tuple[str, str]]:
    """Return the style class and the key by phase, in the order in which phases come.

    Beyond twelve phases the shortest are taken together: a node may name any number.
    """
    totals: dict[str, float] = {}
    for run in runs:
        for name, seconds in run.phases.items():
            totals[name] = totals.get(name, 0.0) + seconds
    named = [name for name in totals if name != UNATTRIBUTED]
    kept = set(sorted(named, key=lambda name: (-totals[name], name))[:NAMED])
    if WEIGHTS_PHASE in named:
        kept.add(WEIGHTS_PHASE)
    classes: dict[str, tuple[str, str]] = {}
    cycled = 0
    for position, name in enumerate(name for name in named if name in kept):
        if name == WEIGHTS_PHASE:
            classes[name] = ("weights", KEYS[position])
        else:
            classes[name] = (f"phase-{cycled % CYCLE + 1}", KEYS[position])
            cycled += 1
    if len(kept) < len(named):
        classes[OTHER] = ("other", "+")
    if UNATTRIBUTED in totals:
        classes[UNATTRIBUTED] = ("hatched", "")
    if any(not run.phases for run in runs):
        classes[UNKNOWN] = ("unknown", "")
    return classes


def _spans(run: Run, classes: Mapping[str, tuple[str, str]]) -> list[tuple[str, float]]:
    """Return the phases of a start in their order, what has no class of its own as others."""
    if not run.phases:
        return [(UNKNOWN, run.load_s or 0.0)]
    own = [(name, seconds) for name, seconds in run.phases.items() if name in classes]
    rest = sum(seconds for name, seconds in run.phases.items() if name not in classes)
    last = [one for one in own if one[0] == UNATTRIBUTED]
    return [*(one for one in own if one not in last), *([(OTHER, rest)] if rest else []), *last]


def _lane(
    name: str, mode: str, y: int, bar: _Bar, axis: Axis, classes: Mapping[str, tuple[str, str]]
) -> Markup:
    parts = [lane(mode, y + 10)]
    at = 0.0
    for phase, seconds in _spans(bar.run, classes):
        left, right = axis.percent(at), axis.percent(at + seconds)
        at += seconds
        if right - left >= LEAST_PERCENT:
            parts += _segment(name, phase, seconds, classes[phase], (left, right, y))
    load_s = bar.run.load_s or 0.0
    if axis.beyond(load_s):
        parts.append(element("use", href=f"#{name}-cut", x=percent(axis.percent(load_s)), y=y))
    if bar.summary.n > 1:
        parts.append(_range(axis, bar.summary, y + BAR + 2.5))
    far = "» " if axis.beyond(load_s) else ""
    parts.append(beside(f"{far}{in_seconds(bar.summary.median)} n={bar.summary.n}", y + 10))
    return joined(*parts)


def _segment(
    name: str, phase: str, seconds: float, look: tuple[str, str], where: tuple[float, float, int]
) -> list[Markup]:
    class_, key = look
    left, right, y = where
    box = element(
        "rect",
        element("title", f"{words(phase, 60)}: {in_seconds(seconds)} s"),
        class_=f"segment {class_}",
        x=percent(left),
        width=percent(right - left),
        y=y,
        height=BAR,
        fill=f"url(#{name}-hatch)" if class_ == "hatched" else None,
    )
    if not key or right - left < KEY_PERCENT:
        return [box]
    middle = percent((left + right) / 2)
    return [box, element("text", key, class_="key", x=middle, y=y + 9.5)]


def _range(axis: Axis, summary: Summary, y: float) -> Markup:
    low, high = percent(axis.percent(summary.low)), percent(axis.percent(summary.high))
    return element("line", class_="range", x1=low, x2=high, y1=number(y), y2=number(y))


def _definitions(name: str) -> Markup:
    cut = element("path", id=f"{name}-cut", class_="cut", d="M-8,14 l4,-16 M-14,14 l4,-16")
    return joined(hatch(name), cut)


def _legend(name: str, classes: Mapping[str, tuple[str, str]]) -> list[Key]:
    keys = []
    for phase, (class_, key) in classes.items():
        fill = f"url(#{name}-hatch)" if class_ == "hatched" else None
        parts = [element("rect", class_=class_, width=12, height=12, fill=fill)]
        if key:
            parts.append(element("text", key, class_="key", x=6, y=9.5))
        keys.append(Key(joined(*parts), words(phase, LEGEND)))
    return keys
