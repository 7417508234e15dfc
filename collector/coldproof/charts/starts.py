"""Every start as a point, by tier, variant and node: cold and warm in lanes of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from coldproof.charts.frame import Chart, Frame, Key, Row, beside, lane
from coldproof.charts.markup import Markup, element, joined
from coldproof.charts.places import label, nothing, panel, tell
from coldproof.charts.scale import Axis, axis_of, percent
from coldproof.groups import Entry, Place
from coldproof.runs import Run
from coldproof.stats import Summary, in_seconds
from coldproof.text import listing, plural, words

KIND = "starts"
TITLE = "Every start, by node, tier and variant"
NOTES = (
    (
        "A point is one start; the upright line is the median of the proven ones, written beside "
        "it. Only proven starts make medians."
    ),
    "Rows of a tier and variant: the slowest cold start first.",
)
AXIS_TITLE = "seconds from process start to ready"
ROW_HEIGHT = 50
LANES = {"cold": 22, "warm": 36}
SHAPES = {
    ("proven", "cold"): ("circle", "cold, proven"),
    ("proven", "warm"): ("square", "warm, proven"),
    ("unproven", "cold"): ("circle", "cold, unproven"),
    ("unproven", "warm"): ("square", "warm, unproven"),
    ("refuted", "cold"): ("cross", "cold, refuted"),
    ("refuted", "warm"): ("cross", "warm, refuted"),
    ("prime", "prime"): ("diamond", "first starts (prime)"),
    ("failed", "prime"): ("arrow", "failed: took longer than this"),
    ("failed", "cold"): ("arrow", "failed: took longer than this"),
    ("failed", "warm"): ("arrow", "failed: took longer than this"),
    ("far", ""): ("far", "off the scale, at the number"),
}
PATHS = {
    "circle": "M-4,0 a4,4 0 1,0 8,0 a4,4 0 1,0 -8,0 z",
    "square": "M-3.5,-3.5 h7 v7 h-7 z",
    "cross": "M-3.5,-3.5 l7,7 M-3.5,3.5 l7,-7",
    "diamond": "M0,-5 l5,5 l-5,5 l-5,-5 z",
    "arrow": "M-4,-4.5 l7.5,4.5 l-7.5,4.5 z",
    "far": "M-6,-4 l4,4 l-4,4 M-1,-4 l4,4 l-4,4",
}


@dataclass(frozen=True)
class _Point:
    kind: str
    mode: str
    seconds: float
    run: Run


def starts(found: Sequence[Entry], without: Sequence[str]) -> list[Chart]:
    """Return the chart's pages; `without` are nodes that have no start. None without a start."""
    points = {entry.place: list(_points(entry)) for entry in found}
    axis = axis_of(point.seconds for members in points.values() for point in members)
    if axis is None:
        return []
    ordered = sorted((entry for entry in found if points[entry.place]), key=_order)
    rows = [
        Row(panel(entry.place), label(entry), _told(entry, points[entry.place]))
        for entry in ordered
    ]

    def draw(name: str, index: int) -> Markup:
        entry = ordered[index]
        return _row(name, entry, points[entry.place], axis)

    frame = Frame(
        kind=KIND,
        title=TITLE,
        notes=NOTES,
        footnotes=_footnotes(found, without),
        axis=axis,
        axis_title=AXIS_TITLE,
        row_height=ROW_HEIGHT,
        definitions=_shapes,
        legend=lambda name: _legend(name, points, axis),
        draw=draw,
    )
    return frame.pages(rows)


def _points(entry: Entry) -> Iterator[_Point]:
    proven = {run.run_id: run for group in entry.groups for run in (*group.cold, *group.warm)}
    for kind, runs in (
        ("prime", [run for run in entry.primes if run.ready]),
        ("unproven", entry.unproven),
        ("refuted", entry.refuted),
        ("proven", list(proven.values())),
        ("failed", entry.failed),
    ):
        for run in runs:
            seconds = run.elapsed_s if kind == "failed" else run.load_s
            if seconds is not None:
                yield _Point(kind, run.mode, seconds, run)


def _summaries(entry: Entry, mode: str) -> list[Summary]:
    each = [group.cold_s if mode == "cold" else group.warm_s for group in entry.groups]
    return list(dict.fromkeys(one for one in each if one))


def _order(entry: Entry) -> tuple[object, ...]:
    slowest = max((one.median for one in _summaries(entry, "cold")), default=-1.0)
    return (panel(entry.place), -slowest, entry.place)


def _told(entry: Entry, points: Sequence[_Point]) -> str:
    medians = {mode: one for mode in LANES for one in _summaries(entry, mode)}
    others = [
        f"{sum(1 for point in points if point.kind == kind)} {kind}"
        for kind in ("unproven", "refuted", "failed")
        if any(point.kind == kind for point in points)
    ]
    return tell(entry, None, medians) + (f" Besides {', '.join(others)}." if others else "")


def _row(name: str, entry: Entry, points: Sequence[_Point], axis: Axis) -> Markup:
    parts: list[Markup] = []
    for mode, y in LANES.items():
        summaries = _summaries(entry, mode)
        parts.append(lane(mode, y + 4))
        for one in summaries:
            if not axis.beyond(one.median):
                at = percent(axis.percent(one.median))
                parts.append(element("line", class_="median", x1=at, x2=at, y1=y - 7, y2=y + 7))
        parts.append(beside(_median(summaries) or nothing(entry, mode), y + 4))
    parts += [_mark(name, point, axis) for point in points]
    return joined(*parts)


def _median(summaries: Sequence[Summary]) -> str:
    if len(summaries) == 1:
        return f"{in_seconds(summaries[0].median)} n={summaries[0].n}"
    return f"{len(summaries)} medians" if summaries else ""


def _mark(name: str, point: _Point, axis: Axis) -> Markup:
    far = axis.beyond(point.seconds)
    shape = "far" if far else SHAPES[point.kind, point.mode][0]
    number = point.run.seq if point.run.seq is not None else words(point.run.run_id, 40)
    return element(
        "use",
        element("title", f"{point.mode} {point.kind}, run {number}: "
                f"{in_seconds(point.seconds)} s"),
        href=f"#{name}-{shape}",
        class_=f"mark {point.kind} {point.mode}",
        x=percent(axis.percent(point.seconds)),
        y=LANES.get(point.mode, LANES["cold"]),
    )  # fmt: skip


def _shapes(name: str) -> Markup:
    return joined(*(element("path", id=f"{name}-{shape}", d=path) for shape, path in PATHS.items()))


def _legend(name: str, points: Mapping[Place, Sequence[_Point]], axis: Axis) -> list[Key]:
    seen = {(one.kind, one.mode) for members in points.values() for one in members}
    if any(axis.beyond(one.seconds) for members in points.values() for one in members):
        seen.add(("far", ""))
    keys: dict[str, Key] = {}
    for (kind, mode), (shape, text) in SHAPES.items():
        if (kind, mode) in seen:
            mark = element("use", href=f"#{name}-{shape}", class_=f"mark {kind} {mode}", x=6, y=6)
            keys.setdefault(text, Key(mark, text))
    return list(keys.values())


def _footnotes(found: Sequence[Entry], without: Sequence[str]) -> list[str]:
    cut = sum(len(entry.abandoned) for entry in found)
    lines = [f"{plural(cut, 'start')} cut short or never made: not drawn."] if cut else []
    untimed = sum(run.elapsed_s is None for entry in found for run in entry.failed)
    if untimed:
        lines.append(f"{plural(untimed, 'start')} failed after an unknown time: not drawn.")
    if without:
        lines.append(f"Nodes without any start: {listing([words(one, 40) for one in without])}.")
    return lines
