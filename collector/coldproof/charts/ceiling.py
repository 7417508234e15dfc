"""What a tier's storage can do beside what the cold starts' weights phase drew from it."""

from __future__ import annotations

from coldproof.charts.frame import Chart, Frame, Key, Row, beside, hatch, lane
from coldproof.charts.markup import Markup, element, joined
from coldproof.charts.places import label, panel
from coldproof.charts.scale import Axis, axis_of, number, percent
from coldproof.fleet.analysis import Fleet
from coldproof.fleet.ceilings import Use
from coldproof.groups import Entry, Group
from coldproof.stats import GB, in_gb, in_percent

KIND = "ceiling"
TITLE = "Ceiling, beside what cold starts read"
NOTES = (
    (
        "Upper bar: the best of the sweeps over the weights' own files. Lower bar: weights by "
        "seconds of the weights phase, the median of n proven cold starts, with their range."
    ),
    "A hatched ceiling is not to be counted on, so no percentage is said.",
)
AXIS_TITLE = "GB/s (1e9 bytes a second)"
BAR, ROW_HEIGHT = 12, 73
CEILING_Y, READ_Y, SHARE_Y = 17, 35, 61


def ceiling(fleet: Fleet) -> list[Chart]:
    """Return the chart's pages; none if no record holds a ceiling of its tier."""
    used = [
        (entry, group, fleet.use(group))
        for entry in fleet.entries
        for group in entry.groups
        if group.cold
    ]
    used = [one for one in used if one[2].ceiling.bytes_per_s]
    used.sort(key=lambda one: (panel(one[0].place), one[0].place, label(one[0], one[1])))
    axis = axis_of(value for one in used for value in _values(one[2]))
    if axis is None:
        return []
    rows = [
        Row(panel(entry.place), label(entry, group), _told(entry, group, use))
        for entry, group, use in used
    ]
    frame = Frame(
        kind=KIND,
        title=TITLE,
        notes=NOTES,
        footnotes=[],
        axis=axis,
        axis_title=AXIS_TITLE,
        row_height=ROW_HEIGHT,
        definitions=hatch,
        legend=_legend,
        draw=lambda name, index: _row(name, used[index][2], axis),
    )
    return frame.pages(rows)


def _values(use: Use) -> list[float]:
    best = use.ceiling.bytes_per_s
    return [value / GB for value in (best, use.achieved.high if use.achieved else None) if value]


def _told(entry: Entry, group: Group, use: Use) -> str:
    return f"{label(entry, group)}: {'; '.join(_texts(use))}."


def _texts(use: Use) -> list[str]:
    best, read = use.ceiling.bytes_per_s, use.achieved
    texts = [f"ceiling {in_gb(best)} GB/s"] if best else []
    if read:
        span = f" ({in_gb(read.low)} to {in_gb(read.high)}, n={read.n})" if read.n > 1 else ""
        texts.append(f"read {in_gb(read.median)} GB/s{span or ' (n=1)'}")
    return [*texts, _share(use)]


def _share(use: Use) -> str:
    if use.fraction is None:
        return use.doubt or "no weights phase was recorded"
    return f"{in_percent(use.fraction)} % of the ceiling"


def _row(name: str, use: Use, axis: Axis) -> Markup:
    best, read = (use.ceiling.bytes_per_s or 0.0) / GB, use.achieved
    sure = use.doubt is None
    parts = [
        lane("ceiling", CEILING_Y + 10),
        _bar(axis, best, CEILING_Y, "ceiling" if sure else "hatched",
             None if sure else f"url(#{name}-hatch)"),
        beside(in_gb(best * GB), CEILING_Y + 10),
        lane("read", READ_Y + 10),
    ]  # fmt: skip
    if read:
        parts.append(_bar(axis, read.median / GB, READ_Y, "weights", None))
        ends = percent(axis.percent(read.low / GB)), percent(axis.percent(read.high / GB))
        y = number(READ_Y + BAR + 2.5)
        parts.append(element("line", class_="range", x1=ends[0], x2=ends[1], y1=y, y2=y))
        parts.append(beside(f"{in_gb(read.median)} n={read.n}", READ_Y + 10))
    else:
        parts.append(beside("not recorded", READ_Y + 10))
    parts.append(element("text", _share(use), class_="quiet", x=0, y=SHARE_Y))
    return joined(*parts)


def _bar(axis: Axis, value: float, y: int, class_: str, fill: str | None) -> Markup:
    width = percent(axis.percent(value))
    return element("rect", class_=class_, x=0, width=width, y=y, height=BAR, fill=fill)


def _legend(name: str) -> list[Key]:
    swatches = (
        ("ceiling", None, "ceiling"),
        ("hatched", f"url(#{name}-hatch)", "ceiling in doubt"),
        ("weights", None, "read in the weights phase"),
    )
    return [
        Key(element("rect", class_=class_, width=12, height=12, fill=fill), text)
        for class_, fill, text in swatches
    ]
