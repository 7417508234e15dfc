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
from coldproof.fleet.scatter import FEWEST_STARTS, Apart, Series, scores
from coldproof.groups import Group
from coldproof.runs import Run
from coldproof.stats import Summary, beyond_floor, summarise, summarise_without

TABLE = "thresholds.json"
PHASES_READ = 64  # no engine has more; a node may claim any number


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
    """A node that is off: its own starts, its family's node medians, the score and its limit.

    `median` is that of its starts with the `failed` ones counted as longer than all; `nodes` is
    how many were judged.
    """

    member: Member
    mode: str
    own: Summary
    median: float
    others: Summary
    failed: int
    nodes: int
    score: float
    limit: float
    shift: PhaseShift | None

    @property
    def difference(self) -> float:
        """Seconds from the others' median; positive means slower, infinite means failed."""
        return self.median - self.others.median

    @property
    def failing(self) -> bool:
        """Whether its failed starts reach its median."""
        return math.isinf(self.median)

    @property
    def of_two(self) -> bool:
        """Whether it is unlike the only other node, and nobody knows which is the odd one."""
        return self.nodes == 2 and not self.failing


@dataclass(frozen=True)
class Judgement:
    """What became of a family: its outliers, how many nodes were judged, and who was not.

    `undecided` are nodes that are as far off, by starts that another node's could as well be.
    """

    family: Family
    judged: int
    limit: float | None
    outliers: Sequence[Outlier]
    undecided: Sequence[Outlier]
    short: Sequence[str]


def judge(family: Family) -> Judgement:
    """Return the outliers of a family, cold starts and warm ones apart.

    Only rows with enough evidence take part; `short` names the others. Without recorded hardware
    nobody knows whether nodes should be alike, so no one is judged.
    """
    able = [member for member in family.members if _enough(member)]
    short = [member.node for member in family.members if not _enough(member)]
    if family.kin.hardware is None or len(able) < 2:
        return Judgement(family, 0, None, (), (), short)
    fewest = min(_fewest(member) for member in able)
    limit = threshold(len(able), fewest)
    found = [*_mode(able, "cold", limit), *_mode(able, "warm", limit)]
    outliers, undecided = ([one for one, apart in found if apart is told] for told in (True, False))
    return Judgement(family, len(able), limit, outliers, undecided, short)


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


def _mode(members: Sequence[Member], mode: str, limit: float) -> list[tuple[Outlier, bool]]:
    """Return the nodes that are far off in one mode, and whether their starts stand apart."""
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
    medians = sorted(one.median for one in series if not math.isinf(one.median))
    apart = Apart(series)
    phases: _PhaseTable | None = None  # of all nodes, made when the first outlier needs it
    found = []
    for member, one, score in zip(able, series, scores(series), strict=True):
        if abs(score) <= limit:
            continue
        own, others = summarise(one.values), _others(medians, one.median)
        if own is None or others is None or not beyond_floor(one.median, others.median):
            continue
        phases = phases or _PhaseTable([_phases(starts(other.group)) for other in able])
        shift = phases.shift(_phases(starts(member.group)), math.copysign(1.0, score))
        outlier = Outlier(
            member, mode, own, one.median, others, one.failed, len(able), score, limit, shift
        )
        found.append((outlier, apart.stands(one, others.median, score)))
    return found


def _others(medians: Sequence[float], own: float) -> Summary | None:
    """Return the finite medians of the other nodes; none if there is none."""
    return summarise(medians) if math.isinf(own) else summarise_without(medians, own)


class _PhaseTable:
    """The nodes' median seconds of each phase, sorted: the rest of all but one is found at once."""

    def __init__(self, nodes: Sequence[dict[str, float]]) -> None:
        told = [phases for phases in nodes if phases]
        self._ordered = {
            name: sorted(phases.get(name, 0.0) for phases in told)
            for name in dict.fromkeys(name for phases in told for name in phases)
        }

    def shift(self, own: dict[str, float], way: float) -> PhaseShift | None:
        """Return the phase that is longest beyond the others' median (shortest if `way` < 0)."""
        shifts = [
            PhaseShift(name, took, others.median)
            for name, took in own.items()
            for others in [summarise_without(self._ordered[name], took)]
            if others
        ]
        return max(shifts, key=lambda shift: way * shift.seconds) if shifts else None


def _phases(runs: Sequence[Run]) -> dict[str, float]:
    """Return the median seconds of each phase."""
    told = [run.phases for run in runs if run.phases]
    names = list(dict.fromkeys(name for phases in told for name in phases))[:PHASES_READ]
    found = {name: summarise(phases.get(name, 0.0) for phases in told) for name in names}
    return {name: summary.median for name, summary in found.items() if summary}
