"""Several versions of one thing: equal ones count once, different ones exclude each other."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
Place = tuple[str, int]


class Versions(Generic[K, T]):
    """Items by key, each with its content's identity and its place (file, line)."""

    def __init__(self) -> None:
        self._first: dict[K, tuple[Hashable, T, Place]] = {}
        self._later: dict[K, list[tuple[Hashable, Place]]] = {}

    def add(self, key: K, content: Hashable, item: T, place: Place) -> None:
        """Add `item`; it is equal to another of the same key if their `content` is."""
        if key in self._first:
            self._later.setdefault(key, []).append((content, place))
        else:
            self._first[key] = (content, item, place)

    def agreed(self) -> Iterator[tuple[K, T]]:
        """Yield the items of which all versions are equal."""
        for key, (content, item, _) in self._first.items():
            if all(other == content for other, _ in self._later.get(key, ())):
                yield key, item

    def conflicts(self) -> Iterator[tuple[K, int, list[Place]]]:
        """Yield the keys whose versions differ: how many versions there are, and all places."""
        for key, later in self._later.items():
            content, _, place = self._first[key]
            versions = len({content, *(other for other, _ in later)})
            if versions > 1:
                yield key, versions, [place, *(where for _, where in later)]
