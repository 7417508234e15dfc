"""What to change first: what stands in the way of a verdict, then what wins the most seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable

from coldproof.fleet.analysis import Fleet
from coldproof.fleet.families import Family, Member
from coldproof.fleet.outliers import PHASES_READ, Outlier
from coldproof.groups import PAIRS_NEEDED, Entry
from coldproof.report.judge import shows_effect
from coldproof.report.prewarming import gains
from coldproof.review.alternatives import Action, alternatives
from coldproof.runs import WEIGHTS_PHASE
from coldproof.stats import EFFECT_FLOOR_S, Summary, in_seconds, summarise
from coldproof.text import plural

LISTED = 12
UNATTRIBUTED = "unattributed"


def actions(fleet: Fleet) -> list[Action]:
    """Return what to change, the first thing first; equal input gives an equal order."""
    found = [
        Action(node, None, f"make the node complete: it is {fleet.gathered.nodes[node].status}")
        for node in fleet.gathered.incomplete
    ]
    found += [
        Action(node, None, f"find out what was damaged: {told}")
        for node, told in fleet.gathered.left_out.items()
    ]
    for entry in fleet.entries:
        found += _blocking(entry)
    for family in fleet.families:
        found += _caches(family)
        found += _storage(fleet, family)
        found += _floor(family)
    found += [_outlier(one) for one in fleet.outliers if one.difference > 0]
    found += alternatives(fleet)
    found += _prewarming(fleet)
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
    shown = [group for group in able if shows_effect(group)]
    most = summarise(group.effect.high for group in shown if group.effect)
    if most is not None:
        weights = _over(group.weights_effect for group in shown)
        alone = f" (the weights phase's part: {weights.seconds()})" if weights else ""
        yield Action(
            _label(family),
            most.median,
            "prewarm the files, or read them from faster storage: it wins at most the greatest "
            f"difference between a cold and a warm start, {most.seconds()}{alone}",
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


def _prewarming(fleet: Fleet) -> Iterable[Action]:
    """What pre-warming was measured to win, by hardware class, tier and variant."""
    won: dict[tuple[str, int], list[float]] = {}
    for one in gains(fleet):
        kind = fleet.hardware.get(one.place.node)
        number = fleet.classes[kind] if kind else 0
        won.setdefault((one.place.inside, number), []).append(one.seconds)
    for (inside, _number), seconds in sorted(won.items()):
        gain = summarise(seconds)
        if gain is not None:
            yield Action(
                f"{inside} on {plural(gain.n, 'node')}",
                gain.median,
                f"pre-warm on deploy: measured here, it takes {gain.seconds()} off a start; the "
                "reading before it takes its own time",
            )


def _floor(family: Family) -> Iterable[Action]:
    """The longest phase that is there when everything is warm."""
    able = [member.group for member in family.members if member.group.sufficient]
    names = list(
        dict.fromkeys(name for group in able for run in group.warm for name in run.phases)
    )[:PHASES_READ]
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
    seconds = None if one.failing else one.difference
    said = (
        "starts fail"
        if one.failing
        else f"starts are {in_seconds(one.difference)} s slower than its class's"
    )
    phase = f", mostly in the phase {one.shift.name!r}" if one.shift and not one.failing else ""
    what = "look at both nodes, of which one is odd" if one.of_two else "repair the node"
    return Action(
        f"{member.node}, {member.group.place.inside}",
        seconds,
        f"{what}: its {one.mode} {said}{phase}",
    )


def _over(summaries: Iterable[Summary | None]) -> Summary | None:
    """Return the summary of the nodes' medians."""
    return summarise(one.median for one in summaries if one is not None)


def _label(family: Family) -> str:
    count = len(family.members)
    return f"{family.kin.inside} on {plural(count, 'node')}"
