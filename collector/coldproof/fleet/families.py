"""Families: rows of several nodes that may be held against each other, and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from coldproof.fleet.hardware import Hardware, Storage, storage_of
from coldproof.groups import Circumstances, Entry, Group
from coldproof.runs import Run


class Kin(NamedTuple):
    """What the rows of a family have in common; `hardware` is None where it was not recorded."""

    tier: str
    variant: str
    hardware: Hardware | None
    storage: Storage
    circumstances: Circumstances

    @property
    def inside(self) -> str:
        """Tier and variant as one word; not safe to print."""
        return "/".join(part for part in (self.tier, self.variant) if part) or "unnamed tier"


@dataclass(frozen=True)
class Member:
    """A node's row in a family."""

    entry: Entry
    group: Group

    @property
    def node(self) -> str:
        """The node's name."""
        return self.group.place.node

    @property
    def failed(self) -> Sequence[Run]:
        """The failed starts that tell against the row."""
        return self.entry.concerning(self.entry.failed, self.group)


@dataclass(frozen=True)
class Family:
    """Rows of one hardware class, kind of storage, tier, variant and circumstances, by node."""

    kin: Kin
    members: Sequence[Member]


def families(found: Sequence[Entry], hardware: Mapping[str, Hardware]) -> list[Family]:
    """Return all families, also of a single row, sorted by tier, variant and what they share."""
    kinds: dict[Kin, list[Member]] = {}
    for entry in found:
        for group in entry.groups:
            kin = Kin(
                entry.place.tier,
                entry.place.variant,
                hardware.get(entry.place.node),
                _storage(group),
                group.circumstances,
            )
            kinds.setdefault(kin, []).append(Member(entry, group))
    return [Family(kin, kinds[kin]) for kin in sorted(kinds, key=repr)]


def _storage(group: Group) -> Storage:
    runs = (run for runs in (group.cold, group.warm) for run in runs)
    told = next((run for run in runs if run.record), None)
    return storage_of(told) if told else Storage("", "", network=False, virtual=False)
