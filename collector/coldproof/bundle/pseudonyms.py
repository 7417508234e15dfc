"""Pseudonyms: the same name is the same pseudonym all over a bundle, and tells nothing."""

from __future__ import annotations

from collections.abc import Iterable


class Pseudonyms:
    """Numbers by kind, given in the order of asking: ask in a fixed order for fixed bytes."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = {}
        self._given: set[str] = set()
        self._width = 1

    def nodes(self, names: Iterable[str]) -> None:
        """Give the nodes their numbers, in the order of their names and equally long."""
        ordered = sorted(set(names))
        self._width = max(2, len(str(len(ordered))))
        for name in ordered:
            self.of("node", name)

    def of(self, kind: str, name: str) -> str:
        """Return the pseudonym of a name; one that is a pseudonym already stays."""
        known = self._known.setdefault(kind, {})
        if name in known or name in self._given:
            return known.get(name, name)
        width = self._width if kind == "node" else 1
        known[name] = f"{kind}-{len(known) + 1:0{width}d}"
        self._given.add(known[name])
        return known[name]

    def counts(self) -> dict[str, int]:
        """Return how many names of each kind there are."""
        return {kind: len(known) for kind, known in sorted(self._known.items()) if known}
