"""Other tiers and variants of the same nodes, where their starts are shorter beyond doubt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from coldproof.fleet.analysis import Fleet
from coldproof.groups import Entry, Group
from coldproof.stats import summarise
from coldproof.text import plural


@dataclass(frozen=True)
class Action:
    """One thing to change: at most how many seconds of a start it wins (None: it comes first).

    `text` is not safe to print.
    """

    where: str
    seconds: float | None
    text: str


class _Kind(NamedTuple):
    """What nodes must have in common for their gains to be told together."""

    slow: str
    fast: str
    hardware: int
    concurrency: tuple[int | None, int | None]


def alternatives(fleet: Fleet) -> Iterable[Action]:
    """Yield what starts faster than another on the same nodes, only where ranges do not overlap.

    Told together are nodes of one hardware class and of like concurrency; those where it is not
    faster are counted.
    """
    found: dict[_Kind, list[float | None]] = {}
    for node, members in _by_node(fleet.entries).items():
        kind = fleet.hardware.get(node)
        number = fleet.classes[kind] if kind else 0
        for slow, same in members:
            for fast, _same in members:
                if _alike(fast, slow, same):
                    held = (slow.circumstances.concurrency, fast.circumstances.concurrency)
                    key = _Kind(slow.place.inside, fast.place.inside, number, held)
                    found.setdefault(key, []).append(_gain(fast, slow))
    for key, all_gains in sorted(found.items(), key=repr):
        gain = summarise(one for one in all_gains if one is not None)
        if gain is not None:
            on = f" of hardware class {key.hardware}" if len(fleet.classes) > 1 else ""
            on = " of unrecorded hardware" if fleet.classes and not key.hardware else on
            many = [count for count in key.concurrency if count not in (None, 1)]
            on += f", {' and '.join(map(str, many))} at once," if many else ""
            of = len(all_gains)
            yield Action(
                key.slow,
                gain.median,
                f"start from {key.fast} instead: cold starts take {gain.seconds()} less on "
                f"{gain.n} of {plural(of, 'node')}{on} that measured both",
            )


def _by_node(entries: Sequence[Entry]) -> dict[str, list[tuple[Group, Sequence[str]]]]:
    """Return the groups to tell of, with the tiers that lie on the same storage."""
    nodes: dict[str, list[tuple[Group, Sequence[str]]]] = {}
    for entry in entries:
        if len(entry.groups) == 1 and entry.groups[0].sufficient and not entry.strays:
            nodes.setdefault(entry.place.node, []).append((entry.groups[0], entry.same_storage))
    return nodes


def _alike(fast: Group, slow: Group, same: Sequence[str]) -> bool:
    """Whether only the tier or only the variant differs, and nothing that goes with neither."""
    mine, its = fast.circumstances, slow.circumstances
    if (mine.setup, mine.manifest, mine.method) != (its.setup, its.manifest, its.method):
        return False
    if fast.place.tier == slow.place.tier:
        caches = {mine.compile, its.compile} - {"disabled"}  # which is a variant's own affair
        known = (mine.scope, mine.concurrency) == (its.scope, its.concurrency)
        return fast.place.variant != slow.place.variant and known and len(caches) < 2
    if fast.place.tier in same:
        return False
    return fast.place.variant == slow.place.variant and mine.compile == its.compile


def _gain(fast: Group, slow: Group) -> float | None:
    """Return the seconds won by `fast`; None if the ranges overlap, or it is the slower one."""
    mine, its = fast.cold_s, slow.cold_s
    if mine is None or its is None or mine.high >= its.low:
        return None
    return its.median - mine.median
