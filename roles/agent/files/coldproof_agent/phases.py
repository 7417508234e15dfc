"""Attributes the seconds of a start to phases, by the log lines that an engine profile names."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from coldproof_agent.cmdline import plain

UNATTRIBUTED = "unattributed"
BEGIN = "process start"


class Marker(NamedTuple):
    """A log line that begins a phase.

    Attributes:
        name: what reports call the line.
        pattern: what it looks like. A group ``back`` holds the seconds that the phase has lasted
            already when the line is written.
        phase: the phase it begins; ``unattributed`` where it only ends one.
        expected: a start that never shows it says so.
        after: it counts only when one of these markers was seen (empty: always).
        to_name: what it would take to name the seconds that follow, where they are unattributed.
        last: of several such lines in a row the last one counts (each rank says it, or each of
            several loads).
    """

    name: str
    pattern: re.Pattern[str]
    phase: str
    expected: bool
    after: tuple[str, ...] = ()
    to_name: str = ""
    last: bool = False


def markers(
    data: Sequence[Mapping[str, Any]], argv: Sequence[str] = (), gpu: bool = True
) -> list[Marker]:
    """Reads the markers of a profile, in the order in which a start shows them.

    Args:
        data: the profile's ``markers``. ``unless_args``: arguments with which there is no such
            phase, whatever a line says; ``needs_gpu``: it is not expected without a GPU.
        argv: the command line.
        gpu: whether the server uses a GPU.
    """
    given = {plain(word) for word in argv}
    return [
        Marker(
            str(one["name"]),
            re.compile(str(one["pattern"])),
            str(one["phase"]),
            bool(one.get("expected", True)) and (gpu or not one.get("needs_gpu", False)),
            tuple(one.get("after", ())),
            str(one.get("to_name", "")),
            bool(one.get("last", False)),
        )
        for one in data
        if not given & set(one.get("unless_args", ()))
    ]


class _Edge(NamedTuple):
    at: float
    phase: str
    since: str
    to_name: str


class Phases:
    """A timeline that log lines advance; phases do not overlap.

    Markers come in the profile's order: one that comes when a later one was seen begins nothing,
    and one that recurs neither, but for a marker of which the last counts.

    Args:
        first: the phase that begins with the process.
        known: the profile's markers.
        to_name: what it would take to name the first phase, where it is unattributed.
    """

    def __init__(self, first: str, known: Sequence[Marker], to_name: str = "") -> None:
        self._known = known
        self._edges = [_Edge(0.0, first, BEGIN, to_name)]
        self._seen: set[str] = set()
        self._reached = -1
        self._lock = threading.Lock()

    def line(self, stamp: float, text: str) -> None:
        """Takes a log line that came ``stamp`` seconds after process start."""
        numbers = [*range(self._reached + 1, len(self._known)), self._reached]
        for number in numbers if self._reached >= 0 else range(len(self._known)):
            one = self._known[number]
            if one.after and not self._seen.intersection(one.after):
                continue
            found = one.pattern.search(text)
            if found is None:
                continue
            with self._lock:
                self._advance(number, one, stamp - _back(found))
            return

    def _advance(self, number: int, one: Marker, at: float) -> None:
        """Begins a marker's phase; one that began already may turn out to be older, or to go on."""
        again = number == self._reached and len(self._edges) > 1
        if again:
            begun = self._edges.pop().at
            at = max(at, begun) if one.last else min(at, begun)
        at = max(at, self._edges[-1].at)
        self._edges.append(_Edge(at, one.phase, one.name, one.to_name))
        self._seen.add(one.name)
        self._reached = number

    def _spans(self, load_s: float) -> list[tuple[_Edge, int]]:
        """Returns each edge before ready and the milliseconds it lasted; their sum is exact."""
        end = round(load_s * 1000)
        with self._lock:
            edges = list(self._edges)
        begun = [min(round(one.at * 1000), end) for one in edges]
        spans = [(one, over - start) for one, start, over in zip(edges, begun, [*begun[1:], end])]
        return [span for span, start in zip(spans, begun) if start < end]

    def preceded(self, name: str, until: float) -> None:
        """Says that another phase came before the first, until so many seconds after the start."""
        with self._lock:
            first, *others = self._edges
            if not others or until < others[0].at:
                begun = _Edge(0.0, name, BEGIN, "")
                self._edges = [begun, first._replace(at=until), *others]

    def result(self, load_s: float) -> list[dict[str, Any]]:
        """Returns name and seconds of each phase in order of first appearance.

        ``unattributed`` is always there; the sum is ``load_s``.
        """
        spent: dict[str, int] = {}
        for one, length in self._spans(load_s):
            spent[one.phase] = spent.get(one.phase, 0) + length
        spent[UNATTRIBUTED] = spent.pop(UNATTRIBUTED, 0)
        return [{"name": name, "seconds": part / 1000} for name, part in spent.items()]

    def gaps(self, load_s: float) -> list[dict[str, Any]]:
        """Returns the unattributed spans: ``since`` which line, ``seconds``, and ``to_name``."""
        return [
            {"since": one.since, "seconds": length / 1000, "to_name": one.to_name}
            for one, length in self._spans(load_s)
            if one.phase == UNATTRIBUTED and length
        ]

    def missing(self) -> list[str]:
        """Returns the expected markers that no line matched."""
        return [one.name for one in self._known if one.expected and one.name not in self._seen]

    def now(self) -> Optional[str]:
        """Returns the phase the server is in."""
        return self._edges[-1].phase


def _back(found: re.Match[str]) -> float:
    """Returns the seconds that a line says its phase has lasted already."""
    text = found.groupdict().get("back")
    try:
        return max(0.0, float(text)) if text else 0.0
    except ValueError:
        return 0.0
