"""Outliers: nodes further from their family than an identical fleet's oddest node would be."""

from __future__ import annotations

import bisect
import functools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources

from coldproof.fleet.families import Family, Member
from coldproof.fleet.scatter import FEWEST_STARTS, Series, scores
from coldproof.groups import Group
from coldproof.runs import Run
from coldproof.stats import Summary, beyond_floor, summarise

TABLE = "thresholds.json"


@dataclass(frozen=True)
class PhaseShift:
    """The phase that differs most from the others', in the outlier's direction; seconds."""

    name: str
    own: float
    others: float

    @property
    def seconds(self) -> float:
        """How much longer it takes; negative if it is shorter."""
        return self.own - self.others


@dataclass(frozen=True)
class Outlier:
    """A node that is off: its own starts, its family's node medians, the score and its limit."""

    member: Member
    mode: str
    own: Summary
    others: Summary
    failed: int
    score: float
    limit: float
    shift: PhaseShift | None

    @property
    def difference(self) -> float:
        """Seconds from the others' median; positive means slower, infinite means failed."""
        return (
            math.inf
            if math.isinf(self.score) and self.failed
            else (self.own.median - self.others.median)
        )


@dataclass(frozen=True)
class Judgement:
    """What became of a family: its outliers, how many nodes were judged, and who was not."""

    family: Family
    judged: int
    limit: float | None
    outliers: Sequence[Outlier]
    short: Sequence[str]


def judge(family: Family) -> Judgement:
    """Return the outliers of a family, cold starts and warm ones apart.

    Only rows with enough evidence take part; `short` names the others. Without recorded hardware
    nobody knows whether nodes should be alike, so no one is judged.
    """
    able = [member for member in family.members if _enough(member)]
    short = [member.node for member in family.members if not _enough(member)]
    if family.kin.hardware is None or len(able) < 2:
        return Judgement(family, 0, None, (), short)
    fewest = min(_fewest(member) for member in able)
    limit = threshold(len(able), fewest)
    found = [*_mode(able, "cold", limit), *_mode(able, "warm", limit)]
    return Judgement(family, len(able), limit, found, short)


@functools.cache
def _table() -> tuple[list[int], dict[int, list[float]]]:
    text = resources.files("coldproof.fleet").joinpath(TABLE).read_text("utf-8")
    document = json.loads(text)
    rows = {int(starts): row for starts, row in document["scores_by_starts"].items()}
    return document["nodes"], rows


def threshold(nodes: int, starts: int) -> float:
    """Return the score beyond which one of `nodes` is an outlier, each with `starts` or more.

    Between simulated sizes the logarithm is interpolated over that of the size, and beyond the
    largest it goes on so. Fewer starts than simulated: ValueError.
    """
    sizes, rows = _table()
    row = rows[max(known for known in rows if known <= starts)]
    if nodes in sizes:
        return row[sizes.index(nodes)]
    right = min(max(bisect.bisect(sizes, nodes), 1), len(sizes) - 1)
    low, high = math.log(sizes[right - 1]), math.log(sizes[right])
    part = (math.log(nodes) - low) / (high - low)
    return math.exp((1 - part) * math.log(row[right - 1]) + part * math.log(row[right]))


def _enough(member: Member) -> bool:
    group = member.group
    if member.entry.warm_only:
        return len(group.warm) >= FEWEST_STARTS
    return group.sufficient


def _fewest(member: Member) -> int:
    counts = (len(member.group.cold), len(member.group.warm))
    return min(count for count in counts if count >= FEWEST_STARTS)


def _mode(members: Sequence[Member], mode: str, limit: float) -> list[Outlier]:
    starts: Callable[[Group], Sequence[Run]] = (
        (lambda group: group.cold) if mode == "cold" else (lambda group: group.warm)
    )
    able = [member for member in members if len(starts(member.group)) >= FEWEST_STARTS]
    if len(able) < 2:
        return []
    series = [
        Series(
            member.node,
            [run.load_s for run in starts(member.group) if run.load_s is not None],
            sum(run.mode == mode for run in member.failed),
        )
        for member in able
    ]
    found = []
    for position, (member, one, score) in enumerate(zip(able, series, scores(series), strict=True)):
        if abs(score) <= limit:
            continue
        rest = [*series[:position], *series[position + 1 :]]
        own = summarise(one.values)
        others = summarise(other.median for other in rest)
        if own is None or others is None or not beyond_floor(one.median, others.median):
            continue
        shift = _shift(member, [one for one in able if one is not member], starts, score)
        found.append(Outlier(member, mode, own, others, one.failed, score, limit, shift))
    return found


def _shift(
    member: Member,
    others: Sequence[Member],
    starts: Callable[[Group], Sequence[Run]],
    score: float,
) -> PhaseShift | None:
    own = _phases(starts(member.group))
    rest = [_phases(starts(other.group)) for other in others]
    shifts = []
    for name, took in own.items():
        typical = summarise(phases.get(name, 0.0) for phases in rest if phases)
        if typical:
            shifts.append(PhaseShift(name, took, typical.median))
    if not shifts:
        return None
    return max(shifts, key=lambda shift: math.copysign(1.0, score) * shift.seconds)


def _phases(runs: Sequence[Run]) -> dict[str, float]:
    """Return the median seconds of each phase."""
    told = [run.phases for run in runs if run.phases]
    names = dict.fromkeys(name for phases in told for name in phases)
    found = {name: summarise(phases.get(name, 0.0) for phases in told) for name in names}
    return {name: summary.median for name, summary in found.items() if summary}
