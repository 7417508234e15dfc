"""All that is known of a fleet, found once: every output tells of the same findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from coldproof.fleet.ceilings import Ceiling, Use, ceilings, use_of
from coldproof.fleet.differing import differing
from coldproof.fleet.drift import Drift, drift
from coldproof.fleet.families import Family, families
from coldproof.fleet.findings import Finding, Unknown, findings
from coldproof.fleet.hardware import Hardware, hardware_classes
from coldproof.fleet.manifests import odd_manifests
from coldproof.fleet.outliers import Judgement, Outlier, judge
from coldproof.gather import Gathered
from coldproof.groups import Entry, Group, Place, entries


@dataclass(frozen=True)
class Fleet:
    """A campaign's rows, their families and what was found in them."""

    gathered: Gathered
    entries: Sequence[Entry]
    hardware: Mapping[str, Hardware]
    families: Sequence[Family]
    judgements: Sequence[Judgement]
    ceilings: Mapping[tuple[str, str], Ceiling]
    findings: Sequence[Finding]
    unknown: Sequence[Unknown]

    @cached_property
    def odd(self) -> Mapping[str, Sequence[Place]]:
        """The places by manifest that hold other weights than most."""
        return odd_manifests(self.entries)

    @cached_property
    def odd_places(self) -> frozenset[Place]:
        """All places that hold other weights than most."""
        return frozenset(place for places in self.odd.values() for place in places)

    @cached_property
    def outliers(self) -> Sequence[Outlier]:
        """The outliers of all families."""
        return [one for judgement in self.judgements for one in judgement.outliers]

    @cached_property
    def drifts(self) -> Sequence[Drift]:
        """The rows that drifted."""
        found = (drift(group) for entry in self.entries for group in entry.groups)
        return [one for one in found if one]

    @cached_property
    def classes(self) -> Mapping[Hardware, int]:
        """The number by which a hardware class is called, from 1."""
        return {kind: number for number, kind in enumerate(sorted(set(self.hardware.values())), 1)}

    @cached_property
    def of_node(self) -> Mapping[str, Sequence[Finding]]:
        """The findings by node."""
        found: dict[str, list[Finding]] = {}
        for one in self.findings:
            found.setdefault(one.node, []).append(one)
        return found

    def use(self, group: Group) -> Use:
        """Return how much of its tier's ceiling a group used."""
        return use_of(group, self.ceilings)


def look(gathered: Gathered) -> Fleet:
    """Return what a campaign shows of its fleet."""
    found = entries(gathered.runs, gathered.planned, gathered.complete)
    hardware = hardware_classes(gathered.runs)
    kin = families(found, hardware)
    own, silent = findings(gathered.runs)
    odd, mute = differing(gathered.runs, hardware)
    return Fleet(
        gathered=gathered,
        entries=found,
        hardware=hardware,
        families=kin,
        judgements=[judge(family) for family in kin],
        ceilings=ceilings(gathered.runs),
        findings=sorted({*own, *odd}),
        unknown=sorted({*silent, *mute}),
    )
