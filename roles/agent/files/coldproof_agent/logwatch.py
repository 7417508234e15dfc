"""Values and moments that an engine tells in its log, by the patterns of its profile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional


class LogWatch:
    """Looks at each line for a profile's ``captures`` and for its line of readiness.

    Args:
        data: the profile. Each capture has ``name``, ``title``, ``unit`` and a ``pattern`` whose
            first group that took part is a number; the first line that shows it counts.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._captures = [(one, re.compile(one["pattern"])) for one in data.get("captures", ())]
        line = data["ready"].get("line")
        self._ready = re.compile(line) if line else None
        self._values: dict[str, dict[str, Any]] = {}
        self._ready_at: Optional[float] = None

    def line(self, stamp: float, text: str) -> None:
        """Takes a log line that came ``stamp`` seconds after process start."""
        if self._ready and self._ready_at is None and self._ready.search(text):
            self._ready_at = stamp
        for one, pattern in self._captures:
            found = None if one["name"] in self._values else pattern.search(text)
            value = (
                _number(next((group for group in found.groups() if group), "")) if found else None
            )
            if value is not None:
                kept = {"title": one["title"], "unit": one["unit"], "value": value}
                self._values[str(one["name"])] = kept

    def ready_at(self) -> Optional[float]:
        """Returns when the engine said that it is ready, seconds; None until it did."""
        return self._ready_at

    def values(self) -> dict[str, dict[str, Any]]:
        """Returns what was captured by name: ``title``, ``unit`` and ``value``."""
        return dict(self._values)


def _number(text: str) -> Optional[float]:
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return value if 0 <= value < 1e15 else None
