"""The capacity review as JSON: the numbers of the markdown, all rows. Text is as it came."""

from __future__ import annotations

from typing import Any

from coldproof.fleet.analysis import Fleet
from coldproof.fleet.families import Kin
from coldproof.policy import Policy
from coldproof.review.assess import Assessment
from coldproof.review.probes import Probe
from coldproof.review.restore import Restore
from coldproof.review.result import Review

SCHEMA = "coldproof.review/1"


def document(review: Review, code: int) -> dict[str, Any]:
    """Return capacity_review.json; times in seconds, three decimals."""
    fleet = review.fleet
    return {
        "schema": SCHEMA,
        "campaign": fleet.gathered.name,
        "demo": fleet.gathered.demo,
        "verdict": review.verdict,
        "reasons": list(review.reasons),
        "exit_code": code,
        "policy": _policy(review.policy),
        "hardware": {str(number): kind.text for kind, number in fleet.classes.items()},
        "budgets": [_assessment(fleet, one) for one in review.assessments],
        "restore": [_restore(fleet, one) for one in review.restores],
        "startup": [_probe(one) for one in review.probes],
        "change_first": [
            {"where": one.where, "seconds": _rounded(one.seconds), "what": one.text}
            for one in review.actions
        ],
        "left_out": dict(fleet.gathered.left_out),
        "missing_nodes": [
            {"node": node, "status": fleet.gathered.nodes[node].status}
            for node, _ in review.missing
        ],
    }


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "service_classes": [
            {
                "name": one.name,
                "cold_start_s": one.cold_start_s,
                "warm_start_s": one.warm_start_s,
                "required": one.required,
                "tiers": list(one.tiers),
                "variants": list(one.variants),
            }
            for one in policy.classes
        ],
        "max_missing_nodes": policy.max_missing_nodes,
        "replicas": {"count": policy.replicas, "per_node": policy.per_node},
        "rollout": {"batch": policy.batch},
        "startup": {"margin": policy.margin, "period_s": policy.period_s},
    }


def _row(fleet: Fleet, kin: Kin | None, tier: str, variant: str) -> dict[str, Any]:
    return {
        "hardware": fleet.classes.get(kin.hardware) if kin and kin.hardware else None,
        "tier": tier,
        "variant": variant,
        "scope": kin.circumstances.scope if kin else None,
        "method": kin.circumstances.method if kin else None,
        "concurrency": kin.circumstances.concurrency if kin else None,
    }


def _assessment(fleet: Fleet, one: Assessment) -> dict[str, Any]:
    return {
        "service_class": one.service.name,
        "required": one.service.required,
        **_row(fleet, one.kin, one.tier, one.variant),
        "mode": one.mode,
        "nodes": list(one.nodes),
        "budget_s": one.budget_s,
        "verdict": one.verdict,
        "room_s": _rounded(one.room_s),
        "starts": one.starts,
        "slowest_s": _rounded(one.slowest.load_s) if one.slowest else None,
        "slowest_run_id": one.slowest.run_id if one.slowest else None,
        "why": one.why,
    }


def _restore(fleet: Fleet, one: Restore) -> dict[str, Any]:
    return {
        **_row(fleet, one.kin, one.kin.tier, one.kin.variant),
        "nodes": one.nodes,
        "nodes_needed": one.nodes_needed,
        "restore_at_least_s": _rounded(one.restore_s),
        "slowest_cold_seen_s": _rounded(one.slowest_seen_s),
        "batches": one.batches,
        "roll_cold_at_least_s": _rounded(one.roll_cold_s),
        "roll_warm_at_least_s": _rounded(one.roll_warm_s),
    }


def _probe(one: Probe) -> dict[str, Any]:
    return {
        "hardware": one.hardware,
        "tier": one.tier,
        "variant": one.variant,
        "slowest_s": _rounded(one.slowest_s),
        "slowest_run_id": one.slowest.run_id,
        "starts": one.n,
        "first_ever": one.first_ever,
        "failed": one.censored,
        "lead_s": _rounded(one.lead_s),
        "period_seconds": one.period_s,
        "failure_threshold": one.failure_threshold,
        "ready_timeout_s": one.ready_timeout_s,
        "ready_timeout_variable": one.variable,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
