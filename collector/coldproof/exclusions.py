"""What was left out or repaired of the input: nothing is dropped in silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

LISTED = 50


@dataclass(frozen=True, order=True)
class Exclusion:
    """One thing left out: where it is (line 0 means the whole file), which field, and why."""

    node: str
    file: str
    line: int
    field: str
    reason: str


class Exclusions:
    """The first fifty exclusions of each node, and the count of all."""

    def __init__(self) -> None:
        self._listed: list[Exclusion] = []
        self._counts: Counter[str] = Counter()

    def add(self, node: str, file: str, line: int, field: str, reason: str) -> None:
        """Count one exclusion, and list it if the node has fewer than fifty."""
        self._counts[node] += 1
        if self._counts[node] <= LISTED:
            self._listed.append(Exclusion(node, file, line, field, reason))

    def listed(self) -> list[Exclusion]:
        """Return those listed, sorted."""
        return sorted(self._listed)

    def counts(self) -> dict[str, int]:
        """Return the number of all, by node, sorted by name."""
        return dict(sorted(self._counts.items()))
