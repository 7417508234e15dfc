"""Attributes the seconds of a start to phases, by the log lines that an engine profile names."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

UNATTRIBUTED = "unattributed"


class Marker(NamedTuple):
    """A log line that begins a phase.

    ``expected``: a profile that never sees it says so. ``after``: the phases it counts in (empty:
    any), so that a line that recurs later does not begin its phase again.
    """

    name: str
    pattern: re.Pattern[str]
    phase: str
    expected: bool
    after: tuple[str, ...]


def markers(data: Sequence[dict[str, Any]]) -> list[Marker]:
    """Reads the markers of a profile."""
    return [
        Marker(
            str(one["name"]),
            re.compile(str(one["pattern"])),
            str(one["phase"]),
            bool(one.get("expected", True)),
            tuple(one.get("after", ())),
        )
        for one in data
    ]


class Phases:
    """A timeline that log lines advance; phases do not overlap.

    Args:
        first: the phase that begins with the process.
        known: the profile's markers, tried in their order.
    """

    def __init__(self, first: str, known: Sequence[Marker]) -> None:
        self._known = known
        self._edges: list[tuple[float, str]] = [(0.0, first)]
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}

    def line(self, stamp: float, text: str) -> None:
        """Takes a log line that came ``stamp`` seconds after process start."""
        for one in self._known:
            if one.after and self._edges[-1][1] not in one.after:
                continue
            if not one.pattern.search(text):
                continue
            with self._lock:
                self._seen.add(one.name)
                if self._edges[-1][1] != one.phase:
                    self._edges.append((stamp, one.phase))
            return

    def preceded(self, name: str, until: float) -> None:
        """Says that another phase came before the first, until so many seconds after the start."""
        with self._lock:
            first, *others = self._edges
            if not others or until < others[0][0]:
                self._edges = [(0.0, name), (until, first[1]), *others]

    def result(self, load_s: float) -> list[dict[str, Any]]:
        """Returns name and seconds of each phase in order of first appearance.

        ``unattributed`` is always there; the sum is ``load_s``.
        """
        end = round(load_s * 1000)
        with self._lock:
            edges = [(round(at * 1000), name) for at, name in self._edges]
        edges = [edge for edge in edges if edge[0] < end] or [(0, UNATTRIBUTED)]
        spent: dict[str, int] = {}  # whole milliseconds: their sum is exact
        for (begun, name), (over, _) in zip(edges, [*edges[1:], (end, "")]):
            spent[name] = spent.get(name, 0) + over - begun
        spent[UNATTRIBUTED] = spent.pop(UNATTRIBUTED, 0)
        return [{"name": name, "seconds": part / 1000} for name, part in spent.items()]

    def missing(self) -> list[str]:
        """Returns the expected markers that no line matched."""
        return [one.name for one in self._known if one.expected and one.name not in self._seen]

    def now(self) -> Optional[str]:
        """Returns the phase the server is in."""
        return self._edges[-1][1]
