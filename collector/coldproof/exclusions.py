"""What was left out or repaired of the input: nothing is dropped in silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

LISTED = 50


@dataclass(frozen=True, order=True)
class Exclusion:
    """One thing left out: where it is (line 0 means the whole file), which field, and why.

    `lost` is false where no start of the campaign can have been in it: what was repaired, what
    another file tells, what is of another campaign.
    """

    node: str
    file: str
    line: int
    field: str
    reason: str
    lost: bool = True


class Exclusions:
    """The first fifty exclusions of each node, and the count of all."""

    def __init__(self) -> None:
        self._listed: list[Exclusion] = []
        self._counts: Counter[str] = Counter()
        self._lost: dict[str, tuple[int, Exclusion]] = {}

    def add(
        self, node: str, file: str, line: int, field: str, reason: str, *, lost: bool = True
    ) -> None:
        """Count one exclusion, and list it if the node has fewer than fifty."""
        self._counts[node] += 1
        one = Exclusion(node, file, line, field, reason, lost)
        if self._counts[node] <= LISTED:
            self._listed.append(one)
        if lost:
            count, first = self._lost.get(node, (0, one))
            self._lost[node] = (count + 1, min(first, one))

    def lost(self) -> dict[str, tuple[int, Exclusion]]:
        """Return how many may have held a start, and the first of them, by node."""
        return dict(sorted(self._lost.items()))

    def listed(self) -> list[Exclusion]:
        """Return those listed, sorted."""
        return sorted(self._listed)

    def counts(self) -> dict[str, int]:
        """Return the number of all, by node, sorted by name."""
        return dict(sorted(self._counts.items()))
