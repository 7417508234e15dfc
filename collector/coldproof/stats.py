"""Medians that never travel without their number and range."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

EFFECT_FLOOR = 0.10  # of the median it is held against
EFFECT_FLOOR_S = 2.0


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


def in_seconds(value: float) -> str:
    """Return seconds with two decimals below 100, one above."""
    return f"{value:.2f}" if abs(value) < 99.995 else f"{value:.1f}"


def in_times(value: float) -> str:
    """Return a ratio with one decimal, two below 2."""
    return f"{value:.2f}" if value < 1.995 else f"{value:.1f}"


def in_percent(value: float) -> str:
    """Return a fraction as whole percent."""
    return f"{100 * value:.0f}"


def beyond_floor(value: float, base: float) -> bool:
    """Whether `value` is off `base` by at least 10 % and 2 s: less is called the same."""
    apart = abs(value - base)
    return apart >= EFFECT_FLOOR_S and apart >= EFFECT_FLOOR * base
