"""How far each of some nodes is from the others, in units of the scatter they all show.

Everything is done on logarithms, so the unit and the length of a start play no part. The scale is
the greater of two robust ones: the scatter of starts within nodes, and that of nodes around their
centre. The first alone would call every real difference between healthy nodes an alarm; the second
alone knows nothing in a small fleet.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

FEWEST_STARTS = 3
LEAST_S = 0.001  # load_s has three decimals; a logarithm needs more than 0
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class Series:
    """The proven starts of one node in one mode, seconds, and how many starts failed instead.

    A failed start is right-censored: it would have taken longer than any that succeeded.
    """

    node: str
    values: Sequence[float]
    failed: int = 0

    @property
    def median(self) -> float:
        """The median, failed starts counted as longer than all; infinite if they reach it."""
        return statistics.median([*self.values, *[math.inf] * self.failed])


def scores(series: Sequence[Series]) -> list[float]:
    """Return for each node its signed distance from the centre in units of scatter.

    The centre is the median of the nodes; of two nodes it is the faster one. Infinite for a node
    whose failed starts reach its median, which is no part of the centre, and where nodes without
    any scatter differ. Each series needs at least two values.
    """
    logs = [_log(one.median) for one in series]
    usable = [log for log in logs if not math.isinf(log)]
    within = statistics.median(_within(one.values) for one in series)
    centre = statistics.median(usable) if len(usable) > 2 else min(usable, default=0.0)
    between = 0.0
    if len(usable) > 2:
        between = MAD_TO_SIGMA * statistics.median(abs(mine - centre) for mine in usable)
    return [
        math.inf
        if math.isinf(mine)
        else _ratio(mine - centre, max(within * median_error(len(one.values)), between))
        for mine, one in zip(logs, series, strict=True)
    ]


class Apart:
    """Whether no start of a node could as well be another node's, as far as they show.

    A start that takes one of two ways, so that one phase is now short and now long, makes a node
    whose starts all took the long one look slow. So the start of a node that is nearest to the
    others' median must be further from it than starts of one node differ among themselves: than
    the ranges of all others, but for a sixth of them.
    """

    def __init__(self, series: Sequence[Series]) -> None:
        self._ranges = sorted(_range(one) for one in series if not math.isinf(one.median))

    def stands(self, one: Series, centre: float, way: float) -> bool:
        """Tell it of a node that is slower than the others' median (faster if `way` < 0)."""
        if math.isinf(one.median):
            return True
        place = bisect.bisect_left(self._ranges, _range(one))
        others = len(self._ranges) - 1
        at = others - 1 - others // 6
        widest = self._ranges[at + (at >= place)]
        nearest = min(one.values) - centre if way > 0 else centre - max(one.values)
        return nearest > widest


def _range(one: Series) -> float:
    return max(one.values) - min(one.values)


def range_to_sigma(count: int) -> float:
    """Return the expected range of `count` normal values in standard deviations (Blom 1958)."""
    return 2 * NormalDist().inv_cdf((count - 0.375) / (count + 0.25))


def median_error(count: int) -> float:
    """Return the standard error of a median of `count` normal values of standard deviation 1.

    Within 1 % of the exact one for 3, 5 and 7, above it for even counts.
    """
    return math.sqrt(math.pi / (2 * count + 1))


def _within(values: Sequence[float]) -> float:
    return (_log(max(values)) - _log(min(values))) / range_to_sigma(len(values))


def _log(value: float) -> float:
    return math.log(max(value, LEAST_S))


def _ratio(distance: float, scale: float) -> float:
    if not scale or math.isinf(scale):
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / scale
