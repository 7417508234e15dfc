"""What to change first: what stands in the way of a verdict, then what wins the most seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coldproof.fleet.analysis import Fleet
from coldproof.fleet.families import Family, Member
from coldproof.fleet.outliers import Outlier
from coldproof.groups import PAIRS_NEEDED, Entry, Group
from coldproof.report.judge import shows_effect
from coldproof.runs import WEIGHTS_PHASE
from coldproof.stats import EFFECT_FLOOR_S, Summary, in_seconds, summarise
from coldproof.text import plural

LISTED = 12
UNATTRIBUTED = "unattributed"


@dataclass(frozen=True)
class Action:
    """One thing to change: at most how many seconds of a start it wins (None: it comes first).

    `text` is not safe to print.
    """

    where: str
    seconds: float | None
    text: str


def actions(fleet: Fleet) -> list[Action]:
    """Return what to change, the first thing first; equal input gives an equal order."""
    found: list[Action] = []
    for entry in fleet.entries:
        found += _blocking(entry)
    for family in fleet.families:
        found += _caches(family)
        found += _storage(fleet, family)
        found += _floor(family)
    found += [_outlier(one) for one in fleet.outliers if one.difference > 0]
    found += _alternatives(fleet)
    worth = [one for one in found if one.seconds is None or one.seconds >= EFFECT_FLOOR_S]
    return sorted(
        worth, key=lambda one: (-math.inf if one.seconds is None else -one.seconds, one.where,
                                one.text)
    )  # fmt: skip


def _blocking(entry: Entry) -> Iterable[Action]:
    place = f"{entry.place.node}, {entry.place.inside}"
    if entry.failed:
        first = entry.failed[0]
        yield Action(
            place,
            None,
            f"find out why {plural(len(entry.failed), 'start')} failed (first: "
            f"{first.run_id[:200]}, {first.outcome}); no budget is met while starts fail",
        )
    enough = any(group.sufficient for group in entry.groups)
    if not enough and not entry.warm_only:
        why = next((text for run in (*entry.refuted, *entry.unproven) for text in run.reasons), "")
        unpaired = next((one.reason for one in entry.unpaired), "")
        reason = why or unpaired
        yield Action(
            place,
            None,
            f"measure again until {PAIRS_NEEDED} pairs are proven"
            + (f"; what stood in the way: {reason[:200]}" if reason else ""),
        )


def _caches(family: Family) -> Iterable[Action]:
    """What a first start on a new node costs beyond a cold one."""
    beyond = [_first_beyond(member) for member in family.members]
    gain = summarise(seconds for seconds in beyond if seconds is not None)
    if gain is not None:
        yield Action(
            _label(family),
            gain.median,
            "ship the compile caches with the image or keep them on a volume: the first start "
            f"ever takes {gain.seconds()} longer than a cold one",
        )


def _first_beyond(member: Member) -> float | None:
    cold = member.group.cold_s
    primes = member.entry.concerning(member.entry.primes, member.group)
    first = next((run for run in primes if run.ready and run.compile == "miss"), None)
    if first is None or first.load_s is None or cold is None or not member.group.sufficient:
        return None
    return first.load_s - cold.median


def _storage(fleet: Fleet, family: Family) -> Iterable[Action]:
    able = [member.group for member in family.members if member.group.sufficient]
    gain = _over(group.weights_effect for group in able if shows_effect(group))
    if gain is not None:
        yield Action(
            _label(family),
            gain.median,
            f"prewarm the weights, or read them from faster storage: it wins at most "
            f"{gain.seconds()} of a cold start",
        )
    loader = summarise(
        weights.median - use.floor_s
        for group in able
        for use in [fleet.use(group)]
        for weights in [summarise(run.weights_s for run in group.cold if run.weights_s)]
        if weights and use.floor_s is not None and use.loader_bound
    )
    if loader is not None:
        yield Action(
            _label(family),
            loader.median,
            "change the loader (--load-format, threads, a streaming loader): the storage could "
            f"deliver the weights {loader.seconds()} sooner",
        )


def _floor(family: Family) -> Iterable[Action]:
    """The longest phase that is there when everything is warm."""
    able = [member.group for member in family.members if member.group.sufficient]
    names = dict.fromkeys(name for group in able for run in group.warm for name in run.phases)
    took = {
        name: _over(
            summarise(run.phases[name] for run in group.warm if name in run.phases)
            for group in able
        )
        for name in names
        if name not in (UNATTRIBUTED, WEIGHTS_PHASE)
    }
    longest = max(
        ((summary.median, name) for name, summary in took.items() if summary), default=None
    )
    if longest is not None:
        summary = took[longest[1]]
        if summary is not None:
            yield Action(
                _label(family),
                longest[0],
                f"shorten the phase {longest[1]!r}: it takes {summary.seconds()} of every start, "
                "warm ones too, and no storage helps",
            )


def _outlier(one: Outlier) -> Action:
    member = one.member
    gain = one.difference
    seconds = None if math.isinf(gain) else gain
    said = f"{in_seconds(gain)} s slower" if seconds is not None else "failing"
    phase = f", mostly in the phase {one.shift.name!r}" if one.shift else ""
    return Action(
        f"{member.node}, {member.group.place.inside}",
        seconds,
        f"repair the node: its {one.mode} starts are {said} than its class's{phase}",
    )


def _alternatives(fleet: Fleet) -> Iterable[Action]:
    """Tiers and variants of one node that start faster than another, beyond their ranges."""
    wins: dict[tuple[str, str], list[float]] = {}
    for entry in _by_node(fleet.entries):
        for slow in entry:
            for fast in entry:
                won = _gain(fast, slow)
                if won is not None:
                    key = (slow.place.inside, fast.place.inside)
                    wins.setdefault(key, []).append(won)
    for (slow_name, fast_name), gains in sorted(wins.items()):
        gain = summarise(gains)
        if gain is not None:
            yield Action(
                slow_name,
                gain.median,
                f"start from {fast_name} instead: cold starts take {gain.seconds()} less on the "
                "same nodes",
            )


def _by_node(entries: Sequence[Entry]) -> list[list[Group]]:
    nodes: dict[str, list[Group]] = {}
    for entry in entries:
        if len(entry.groups) == 1 and entry.groups[0].sufficient:
            nodes.setdefault(entry.place.node, []).append(entry.groups[0])
    return list(nodes.values())


def _gain(fast: Group, slow: Group) -> float | None:
    """Seconds won by `fast`, if only tier or only variant differs and the ranges do not overlap."""
    differing = (fast.place.tier != slow.place.tier) + (fast.place.variant != slow.place.variant)
    mine, its = fast.cold_s, slow.cold_s
    if differing != 1 or mine is None or its is None or mine.high >= its.low:
        return None
    if fast.manifest != slow.manifest or fast.scope != slow.scope:
        return None
    return its.median - mine.median


def _over(summaries: Iterable[Summary | None]) -> Summary | None:
    """Return the summary of the nodes' medians."""
    return summarise(one.median for one in summaries if one is not None)


def _label(family: Family) -> str:
    count = len(family.members)
    return f"{family.kin.inside} on {plural(count, 'node')}"
