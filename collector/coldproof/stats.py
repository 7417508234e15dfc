"""Medians that never travel without their number and range."""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

EFFECT_FLOOR = 0.10  # of the median it is held against
EFFECT_FLOOR_S = 2.0
GB = 1e9


@dataclass(frozen=True)
class Summary:
    """n values: their median, least and greatest, in the values' unit."""

    n: int
    median: float
    low: float
    high: float

    def seconds(self) -> str:
        """Return `3.95 s (3.90 to 4.00, n=2)`."""
        return self._text(in_seconds, " s")

    def bare(self) -> str:
        """Return `3.95 (3.90 to 4.00) n=2`, for a column whose head names the unit."""
        if self.n == 1:
            return f"{in_seconds(self.median)} n=1"
        span = f"{in_seconds(self.low)} to {in_seconds(self.high)}"
        return f"{in_seconds(self.median)} ({span}) n={self.n}"

    def factor(self) -> str:
        """Return `3.5x (3.3 to 3.6, n=2)`."""
        return self._text(in_times, "x")

    def percent(self) -> str:
        """Return `69 % (68 to 70, n=2)` of values that are fractions."""
        return self._text(in_percent, " %")

    def _text(self, form: Callable[[float], str], unit: str) -> str:
        if self.n == 1:
            return f"{form(self.median)}{unit} (n=1)"
        return f"{form(self.median)}{unit} ({form(self.low)} to {form(self.high)}, n={self.n})"


def summarise(values: Iterable[float]) -> Summary | None:
    """Return the summary of `values`, None if there are none."""
    found = sorted(values)
    if not found:
        return None
    return Summary(len(found), statistics.median(found), found[0], found[-1])


def summarise_without(ordered: Sequence[float], value: float) -> Summary | None:
    """Return the summary of sorted values without one that is `value`, in constant time.

    None if nothing remains. Raises ValueError if `value` is not among them.
    """
    place = bisect.bisect_left(ordered, value)
    if place == len(ordered) or ordered[place] != value:
        raise ValueError(f"{value} is not among the values")
    count = len(ordered) - 1
    if not count:
        return None

    def at(position: int) -> float:
        return ordered[position + (position >= place)]

    return Summary(count, (at((count - 1) // 2) + at(count // 2)) / 2, at(0), at(count - 1))


def in_seconds(value: float) -> str:
    """Return seconds with two decimals below 100, one above."""
    return f"{value:.2f}" if abs(value) < 99.995 else f"{value:.1f}"


def in_times(value: float) -> str:
    """Return a ratio with one decimal, two below 2."""
    return f"{value:.2f}" if value < 1.995 else f"{value:.1f}"


def in_percent(value: float) -> str:
    """Return a fraction as whole percent."""
    return f"{100 * value:.0f}"


def in_gb(value: float) -> str:
    """Return bytes as GB (1e9) with two decimals, two digits below 0.1 GB."""
    return f"{value / GB:.2f}" if value >= GB / 10 else f"{value / GB:.2g}"


def beyond_floor(value: float, base: float) -> bool:
    """Whether `value` is off `base` by at least 10 % and 2 s: less is called the same."""
    apart = abs(value - base)
    return apart >= EFFECT_FLOOR_S and apart >= EFFECT_FLOOR * base
