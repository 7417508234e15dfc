"""Starts after a prewarm: evicted, read, proven warm; with the reference engine."""

from __future__ import annotations

from pathlib import Path

from coldproof_agent import durable, expectation, plan
from coldproof_agent.engineprofile import load
from tests.unit.agent import plans
from tests.unit.agent.drivers.campaigns import run

VARIANTS = [{"name": "default"}, {"name": "prewarmed", "prewarm": True}]


def test_a_prewarm_is_measured_from_cold_and_its_start_is_warm(tiny: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    name = plans.put(state, plans.make(tiny, variants=VARIANTS, repeats=2))
    assert run(state, 240) == 0
    records = durable.read_records(state / "campaigns" / name / "runs.jsonl")
    made = [one for one in records if one["variant"] == "prewarmed" and one["mode"] != "prime"]
    assert [one["mode"] for one in made] == ["warm", "warm"]
    for one in made:
        assert one["state"] == "proven_warm", one["reasons"]
        weights = one["prewarm"]["weights"]
        assert weights["left"] <= 0.01
        assert weights["fraction"] == 1.0
        assert weights["bytes"] == one["weights"]["logical_bytes"]
        assert weights["seconds"] > 0
        assert one["prewarm"]["engine"]["bytes"] > 0
    others = [one for one in records if one["variant"] == "default"]
    assert {one["prewarm"] for one in others} == {None}


def test_its_bytes_are_in_what_is_expected(tiny: Path) -> None:
    profile = load("reference")

    def cost(variants: list[dict[str, object]]) -> int:
        chosen = plan.check(plans.make(tiny, variants=variants, repeats=1))
        return int(expectation.of(chosen, profile, plan.expand(chosen))["bytes"])

    both = cost(VARIANTS)
    assert both > cost([{"name": "default"}])
    assert cost([{"name": "prewarmed", "prewarm": True}]) == cost([{"name": "default"}])


def test_what_is_in_memory_is_not_prewarmed() -> None:
    value = plans.make("/x", tiers=[{"name": "disk", "warm_only": True}], variants=VARIANTS)
    checked = plan.check(value)
    assert not plan.prewarms(checked, "disk", "prewarmed")
    assert [one.mode for one in plan.expand(checked)] == ["prime", "warm"] * 2
