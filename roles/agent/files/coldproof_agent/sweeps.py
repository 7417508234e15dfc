"""When a tier's ceiling is found: once, when all that was to be made cold has been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coldproof_agent.plan import Plan


def planned(plan: Plan, tier: str, variant: str) -> bool:
    """Says whether it is found after this variant: the last one of a tier that is made cold."""
    variants = plan.settings["variants"]
    return bool(not plan.tier(tier).get("warm_only") and variant == variants[-1]["name"])


def due(
    plan: Plan, runs: Sequence[Mapping[str, Any]], last: bool, record: Mapping[str, Any]
) -> bool:
    """Says whether it is found after a start.

    Args:
        plan: the plan.
        runs: the records of all starts before it.
        last: whether the start is the last one that is planned of its tier and variant.
        record: of the start, which has ended.
    """
    if not planned(plan, record["tier"], record["variant"]):
        return False
    if last:
        return True
    # Nothing comes after it, and what the other variants read is held against something.
    cold = any(one["tier"] == record["tier"] and one["mode"] == "cold" for one in runs)
    return cold and gives_up(record)


def gives_up(record: Mapping[str, Any]) -> bool:
    """Says whether a start ends its tier and variant in this invocation: no more are made."""
    if record["mode"] == "prime":
        return bool(record["outcome"] != "ready")
    return bool(record["outcome"] == "not_started")


def decides(record: Mapping[str, Any]) -> str:
    """Returns the variable that a start which gave up is most likely to be mended by."""
    return {
        "timeout": "coldproof_ready_timeout_s",
        "foreign_listener": "coldproof_port",
        "wrong_model": "coldproof_engine_command",
    }.get(str(record["outcome"]), "coldproof_engine")
