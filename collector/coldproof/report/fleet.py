"""Nodes that are off and why, rows that drifted: what only a comparison shows."""

from __future__ import annotations

import math

from coldproof.fleet.analysis import Fleet
from coldproof.fleet.ceilings import weights_bytes
from coldproof.fleet.drift import FEWEST_PAIRS, Drift
from coldproof.fleet.families import Family
from coldproof.fleet.outliers import Judgement, Outlier
from coldproof.report.findings import beside
from coldproof.report.overview import DEMO, where
from coldproof.runs import WEIGHTS_PHASE
from coldproof.stats import EFFECT_FLOOR, EFFECT_FLOOR_S, in_gb, in_seconds
from coldproof.text import cell, listing, plural

RULE = (
    "A node is an outlier if it is further from its family's median than the oddest node of an "
    "identical fleet of that size is in 99 % of cases (simulated), and at least "
    f"{100 * EFFECT_FLOOR:.0f} % and {EFFECT_FLOOR_S:.0f} s off, and its nearest start further off "
    "than starts of one node differ among themselves. A family is of one hardware class, kind of "
    "storage, tier, variant, scope and concurrency."
)
UNSURE = (
    "Starts of one node differ as much among themselves, so this is not told from chance: repeat "
    "with more pairs (coldproof_repeats)."
)
FAMILIES_LISTED = 100
NAMES_LISTED = 10


def compared(fleet: Fleet) -> list[str]:
    """Return the section: hardware classes, outliers with their reasons, drift."""
    lines = [RULE, "", *_classes(fleet)]
    judged = [_judged(fleet, one) for one in fleet.judgements if len(one.family.members) > 1]
    lines += [line for part in judged[:FAMILIES_LISTED] for line in part]
    if len(judged) > FAMILIES_LISTED:
        lines.append(f"- And {len(judged) - FAMILIES_LISTED} more families.")
    if not judged:
        lines.append(
            "- No two nodes are alike and measured alike, so none is held against another."
        )
    return [*lines, "", *_drifts(fleet)]


def outlier_bullets(fleet: Fleet) -> list[str]:
    """Return a bullet of the verdict for each outlier."""
    demo = f"{DEMO}: " if fleet.gathered.demo else ""
    return [
        f"- {demo}**{cell(one.member.node)} is {_called(one)}**: {told(one)}"
        for one in fleet.outliers
    ]


def _called(one: Outlier) -> str:
    return "unlike the only other node of its family" if one.of_two else "an outlier"


def told(outlier: Outlier) -> str:
    """Say where a node is off, by how much and why; safe to print."""
    place = cell(outlier.member.group.place.inside)
    others = outlier.others
    if outlier.failing:
        return (
            f"{place}, {outlier.mode}: {plural(outlier.failed, 'start')} failed beside "
            f"{outlier.own.seconds()}; against {_of_nodes(outlier)}."
        )
    way = "slower" if outlier.difference > 0 else "faster"
    share = abs(outlier.difference) / others.median if others.median else math.inf
    counted = (
        f" with {plural(outlier.failed, 'failed start')} counted as longer than all"
        if outlier.failed
        else ""
    )
    return (
        f"{place}, {outlier.mode}{counted}: "
        f"{in_seconds(abs(outlier.difference))} s ({100 * share:.0f} %) "
        f"{way}, {outlier.own.seconds()} against {_of_nodes(outlier)}, "
        f"{_times(outlier.score)} the scatter (limit {outlier.limit:.1f}).{_reason(outlier)}"
    )


def _of_nodes(outlier: Outlier) -> str:
    others = outlier.others
    if others.n == 1:
        which = "" if outlier.nodes == 2 else " whose starts do not fail"
        return f"{in_seconds(others.median)} s of the only other node{which}"
    span = f"{in_seconds(others.low)} to {in_seconds(others.high)}"
    return f"{in_seconds(others.median)} s ({span}) of the other {others.n} nodes' medians"


def _times(score: float) -> str:
    return "beyond any multiple of" if math.isinf(score) else f"{abs(score):.1f} times"


def _reason(outlier: Outlier) -> str:
    shift = outlier.shift
    if shift is None:
        return " Why is unknown: no phases were recorded."
    text = (
        f" {in_seconds(abs(shift.seconds))} s of it in the phase {cell(shift.name, 60)} "
        f"({in_seconds(shift.own)} s against {in_seconds(shift.others)} s)"
    )
    size = weights_bytes(outlier.member.group)
    if shift.name != WEIGHTS_PHASE or not size or not shift.own or not shift.others:
        return f"{text}."
    return (
        f"{text}: it read the weights at {in_gb(size / shift.own)} GB/s, the others at "
        f"{in_gb(size / shift.others)} GB/s."
    )


def _classes(fleet: Fleet) -> list[str]:
    if not fleet.hardware:
        return ["Hardware was not recorded on any node.", ""]
    nodes: dict[int, list[str]] = {}
    for node, kind in fleet.hardware.items():
        nodes.setdefault(fleet.classes[kind], []).append(cell(node))
    lines = [
        f"- Hardware class {number}: {cell(kind.text)} ({plural(len(nodes[number]), 'node')}: "
        f"{listing(sorted(nodes[number]), NAMES_LISTED)})."
        for kind, number in fleet.classes.items()
    ]
    return [*lines, ""]


def family_label(fleet: Fleet, family: Family) -> str:
    """Return a family as `nvme/default, hardware class 1, scope ...`; safe to print."""
    kin = family.kin
    number = fleet.classes.get(kin.hardware) if kin.hardware else None
    parts = [
        cell(kin.inside),
        f"hardware class {number}" if number else "hardware not recorded",
        f"scope {cell(kin.circumstances.scope)}" if kin.circumstances.scope else "warm",
    ]
    return ", ".join(parts)


def _judged(fleet: Fleet, one: Judgement) -> list[str]:
    label = family_label(fleet, one.family)
    demo = f"{DEMO}: " if fleet.gathered.demo else ""
    short = (
        f" Too little evidence of {listing([cell(node) for node in one.short], NAMES_LISTED)}."
        if one.short
        else ""
    )
    if one.family.kin.hardware is None:
        return [f"- {demo}{label}: not judged; nobody knows whether these nodes should be alike."]
    if one.limit is None:
        return [f"- {demo}{label}: insufficient evidence to hold nodes against each other.{short}"]
    head = f"- {demo}{label}, {plural(one.judged, 'node')} judged (limit {one.limit:.1f})"
    unsure = [f"  - {cell(odd.member.node)}, {told(odd)} {UNSURE}" for odd in one.undecided]
    if not one.outliers:
        return [f"{head}: no outlier.{short}", *unsure]
    unknown = any(odd.of_two for odd in one.outliers)
    two = " Of two nodes nobody knows which is the odd one." if unknown else ""
    listed = [
        f"  - {cell(odd.member.node)}, {told(odd)}{beside(fleet, odd.member.node)}"
        for odd in one.outliers
    ]
    return [f"{head}: {plural(len(one.outliers), 'outlier')}.{two}{short}", *listed, *unsure]


def _drifts(fleet: Fleet) -> list[str]:
    enough = any(len(group.pairs) >= FEWEST_PAIRS for one in fleet.entries for group in one.groups)
    if not enough:
        return [f"Drift: not judged; it takes {FEWEST_PAIRS} pairs to tell it from chance."]
    if not fleet.drifts:
        return ["Drift: none beyond chance and the effect floor in rows with enough pairs."]
    return [f"Drift within the campaign ({len(fleet.drifts)}):", "", *map(_drift, fleet.drifts)]


def _chance(one: Drift) -> str:
    return f"{100 * one.chance:.1f} %" if one.chance >= 0.001 else "below 0.1 %"


def _drift(one: Drift) -> str:
    way = "longer" if one.seconds > 0 else "shorter"
    return (
        f"- {where(one.group.place)}: cold starts became {in_seconds(abs(one.seconds))} s {way} "
        f"from the first pair to the last (n={one.n}, chance {_chance(one)}): something "
        "changed meanwhile (heat, other load, a filling device), so its median stands for no "
        "single state."
    )
