"""How long it takes at least to restore replicas after a reboot, and to roll a fleet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from coldproof.fleet.families import Family, Kin
from coldproof.policy import Policy


@dataclass(frozen=True)
class Restore:
    """Lower bounds of one family, seconds; None where the family is too small or has no starts.

    `restore_s`: all needed nodes start at once; the greatest median cold start among the fastest
    nodes that hold the replicas. `roll_cold_s`, `roll_warm_s`: batch after batch over all nodes,
    each as long as its slowest node's median; batches of like nodes make the sum least.
    """

    kin: Kin
    nodes: int
    nodes_needed: int
    restore_s: float | None
    slowest_seen_s: float | None
    batches: int
    roll_cold_s: float | None
    roll_warm_s: float | None


def restore(family: Family, policy: Policy) -> Restore | None:
    """Return the bounds of a family; None without a node with enough evidence."""
    able = [member.group for member in family.members if member.group.sufficient]
    if not able:
        return None
    cold = sorted(group.cold_s.median for group in able if group.cold_s)
    warm = sorted(group.warm_s.median for group in able if group.warm_s)
    needed = math.ceil(policy.replicas / policy.per_node)
    return Restore(
        kin=family.kin,
        nodes=len(able),
        nodes_needed=needed,
        restore_s=cold[needed - 1] if needed <= len(cold) else None,
        slowest_seen_s=max((group.cold_s.high for group in able if group.cold_s), default=None),
        batches=math.ceil(len(able) / policy.batch),
        roll_cold_s=_roll(cold, policy.batch),
        roll_warm_s=_roll(warm, policy.batch),
    )


def _roll(medians: Sequence[float], batch: int) -> float | None:
    slowest_first = sorted(medians, reverse=True)
    return sum(slowest_first[::batch]) if slowest_first else None
