"""What a plan is expected to cost: rough minutes, and the bytes that will be read."""

from __future__ import annotations

from typing import Any, Optional

from coldproof_agent import plan as plans
from coldproof_agent import reading, sweeps, weights
from coldproof_agent.engineprofile import Profile
from coldproof_agent.errors import Refusal
from coldproof_agent.files import device_bytes
from coldproof_agent.plan import Plan, Step


def of(plan: Plan, chosen: Optional[Profile], steps: list[Step]) -> dict[str, Any]:
    """Returns rough minutes and the bytes that will be read: assumed, the first runs tell more."""
    if chosen is None:
        return {"minutes": None, "bytes": None}
    assumed = chosen.data["assumed"]
    seconds = 0.0
    total = 0
    for step in steps:
        try:
            size = device_bytes(weights.of(plan.path(step.tier), chosen.data))
        except Refusal:
            size = int(plan.local["make_model_mib"]) << 20
        last = step.mode == "warm" and step.pair == plan.settings["repeats"]
        if last and sweeps.planned(plan, step.tier, step.variant):
            swept = reading.SWEEPS * min(size, reading.SWEEP_BYTES)
            seconds += swept / assumed["bytes_per_s"]
            total += swept
        times = 2 if step.mode == "prime" and chosen.data["compile_caches"] else 1
        reads = step.mode != "warm" or plans.prewarms(plan, step.tier, step.variant)
        seconds += times * (
            assumed["start_s"] + (size / assumed["bytes_per_s"] if reads else 0) + 1
        )
        total += times * size if reads else 0
    return {"minutes": round(seconds / 60, 1), "bytes": total}
