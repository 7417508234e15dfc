"""A whole review: everything that both its outputs tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coldproof.fleet.analysis import Fleet
from coldproof.policy import Policy
from coldproof.review.actions import actions
from coldproof.review.alternatives import Action
from coldproof.review.assess import Assessment, assess, missing_nodes, outcome
from coldproof.review.probes import Probe, probes
from coldproof.review.restore import Restore, restore


@dataclass(frozen=True)
class Review:
    """A campaign held against a policy: verdict, reasons (safe to print) and all the parts."""

    fleet: Fleet
    policy: Policy
    verdict: str
    reasons: Sequence[str]
    assessments: Sequence[Assessment]
    missing: Sequence[tuple[str, str]]
    restores: Sequence[Restore]
    probes: Sequence[Probe]
    actions: Sequence[Action]


def review(fleet: Fleet, policy: Policy) -> Review:
    """Return the review of a fleet by a policy."""
    assessments = assess(fleet, policy)
    verdict, reasons = outcome(fleet, assessments, policy)
    found = (restore(family, policy) for family in fleet.families)
    return Review(
        fleet=fleet,
        policy=policy,
        verdict=verdict,
        reasons=reasons,
        assessments=assessments,
        missing=missing_nodes(fleet),
        restores=[one for one in found if one],
        probes=probes(fleet, policy),
        actions=actions(fleet),
    )
