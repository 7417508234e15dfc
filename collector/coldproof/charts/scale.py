"""The axis of a chart: values to percentages of its width, and where its ticks are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

PLOT = 65.0  # percent of the chart's width; what remains is for the numbers beside it
FAR = 5.0  # times the value that nine tenths do not exceed: beyond it a value is off the scale
ROOM = 1.02  # so that no mark stands on the end of the axis
STEPS = (1.0, 2.0, 5.0, 10.0)
TICKS = 5


@dataclass(frozen=True)
class Axis:
    """An axis from 0 to `limit` (in the values' unit) over PLOT percent of the width."""

    limit: float

    def percent(self, value: float) -> float:
        """Return where `value` is; the end of the axis if it is beyond it."""
        return PLOT * min(max(value, 0.0), self.limit) / self.limit

    def beyond(self, value: float) -> bool:
        """Whether `value` is off the scale."""
        return value > self.limit

    @property
    def ticks(self) -> list[float]:
        """At most six round values from 0 on."""
        power: float = 10.0 ** math.floor(math.log10(self.limit / TICKS))
        step = next(one * power for one in STEPS if self.limit / (one * power) <= TICKS)
        return [number * step for number in range(int(self.limit / step * (1 + 1e-9)) + 1)]


def axis_of(values: Iterable[float]) -> Axis | None:
    """Return an axis that shows all `values` but those far beyond nine tenths of them.

    One start of an hour must not squeeze a fleet of minutes into the first millimetre. None if
    no value is above 0.
    """
    found = sorted(value for value in values if value > 0)
    if not found:
        return None
    usual = found[math.ceil(0.9 * len(found)) - 1]
    return Axis(ROOM * max(value for value in found if value <= FAR * usual))


def number(value: float) -> str:
    """Return a coordinate with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def percent(value: float) -> str:
    """Return a coordinate in percent of the chart's width."""
    return f"{number(value)}%"
