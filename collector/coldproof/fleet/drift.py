"""Drift: whether starts of one row grew longer or shorter in the course of a campaign."""

from __future__ import annotations

import functools
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from coldproof.groups import Group
from coldproof.stats import beyond_floor

FEWEST_PAIRS = 4  # three pairs in order are chance in one of 18 cases
CHANCE = 0.01


@dataclass(frozen=True)
class Drift:
    """A row that drifted: seconds of a cold start from the first pair to the last, of n pairs."""

    group: Group
    seconds: float
    chance: float
    n: int


def drift(group: Group) -> Drift | None:
    """Return the drift over the pairs of a group; None if order alone explains what is seen.

    Kendall's S of cold and of warm starts over the pairs' order, summed, against all orders
    being alike; and the Theil-Sen slope of cold ones times the way must pass the effect floor.
    """
    pairs = sorted(group.pairs, key=lambda pair: pair.cold.order)
    if len(pairs) < FEWEST_PAIRS:
        return None
    cold = [pair.cold.load_s or 0.0 for pair in pairs]
    warm = [pair.warm.load_s or 0.0 for pair in pairs]
    chance = _chance(abs(_agreement(cold) + _agreement(warm)), len(pairs))
    seconds = _slope(cold) * (len(pairs) - 1)
    typical = statistics.median(cold)
    if chance > CHANCE or not beyond_floor(typical + seconds, typical):
        return None
    return Drift(group, seconds, chance, len(pairs))


def _agreement(values: Sequence[float]) -> int:
    """Return Kendall's S: pairs in rising order less those in falling order."""
    return sum((b > a) - (b < a) for a, b in itertools.combinations(values, 2))


def _slope(values: Sequence[float]) -> float:
    places = itertools.combinations(enumerate(values), 2)
    return statistics.median((b - a) / (j - i) for (i, a), (j, b) in places)


def _chance(agreement: int, count: int) -> float:
    """Return how often two random orders of `count` agree with time that much or more."""
    ways = _orders(count)
    most = len(ways) - 1  # S = most - 2 x inversions, in each of the two orders
    total = sum(ways) ** 2
    odd = sum(
        one * other
        for i, one in enumerate(ways)
        for j, other in enumerate(ways)
        if abs(2 * most - 2 * (i + j)) >= agreement
    )
    return odd / total


@functools.cache
def _orders(count: int) -> tuple[int, ...]:
    """Return how many orders of `count` things have 0, 1, 2, ... inversions (Mahonian numbers)."""
    ways = [1]
    for size in range(2, count + 1):
        longer = [0] * (len(ways) + size - 1)
        for inversions, number in enumerate(ways):
            for more in range(size):
                longer[inversions + more] += number
        ways = longer
    return tuple(ways)
