"""Plans: the golden one is read, and what is wrong is refused by field and variable."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from coldproof_agent import csvfile, durable, plan, schema
from coldproof_agent.errors import Refusal
from tests.unit.agent import plans

ROOT = Path(__file__).parents[3]
CORPUS = ROOT / "tests/corpus/v1"


def test_the_golden_plan_is_read_and_expanded() -> None:
    found = plan.read(CORPUS / "plan.json")
    steps = plan.expand(found)
    assert [one.mode for one in steps] == ["prime", *["cold", "warm"] * 3]
    assert steps[1].title(3) == "nvme/default cold 1/3"


def test_the_golden_records_make_the_golden_csv() -> None:
    records = durable.read_records(CORPUS / "runs.jsonl")
    lines = [csvfile.row(one) for one in records if one["mode"] != "prime"]
    text = "\n".join([csvfile.HEADER, *lines]) + "\n"
    assert text == (CORPUS / "storage_load_bench.csv").read_text()


def test_shared_tiers_come_last() -> None:
    value = plans.make(
        "/x",
        tiers=[{"name": "nfs", "shared": "filer"}, {"name": "disk", "shared": None}],
        local={"tier_paths": {"disk": "/a", "nfs": "/b"}},
    )
    value["local"]["tier_paths"] = {"disk": "/a", "nfs": "/b"}
    assert [one.tier for one in plan.expand(plan.check(value))][::3] == ["disk", "nfs"]


def test_a_warm_only_tier_has_no_cold_steps() -> None:
    value = plans.make("/x", tiers=[{"name": "disk", "warm_only": True}], repeats=2)
    assert [one.mode for one in plan.expand(plan.check(value))] == ["prime", "warm", "warm"]


BAD: list[tuple[str, tuple[str, ...], Any, str]] = [
    ("a newer schema", ("schema",), "coldproof.plan/2", "coldproof.plan/1"),
    ("no repeats", ("settings", "repeats"), 0, "coldproof_repeats"),
    ("repeats as text", ("settings", "repeats"), "3", "coldproof_repeats"),
    ("repeats as truth", ("settings", "repeats"), True, "coldproof_repeats"),
    ("an unknown method", ("settings", "cold_method"), "vacuum", "coldproof_cold_method"),
    ("no tiers", ("settings", "tiers"), [], "coldproof_tiers"),
    ("a tier with a slash", ("settings", "tiers"), [{"name": "../x"}], "coldproof_tiers"),
    ("an empty path", ("local", "tier_paths"), {"disk": ""}, "coldproof_tiers"),
    ("a path of another tier", ("local", "tier_paths"), {"nvme": "/x"}, "coldproof_tiers"),
    ("a port too high", ("local", "port"), 70000, "coldproof_port"),
    ("an unknown field", ("settings", "repaets"), 3, "repaets"),
    ("a node with a slash", ("node",), "../../etc", "inventory_hostname"),
    ("arguments as text", ("settings", "engine_args"), "--x", "coldproof_engine_args"),
]


@pytest.mark.parametrize(("_what", "path", "bad", "named"), BAD, ids=[one[0] for one in BAD])
def test_what_is_wrong_is_named(_what: str, path: tuple[str, ...], bad: Any, named: str) -> None:
    value = plans.make("/x")
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = bad
    with pytest.raises(Refusal) as refused:
        plan.check(value)
    assert named in f"{refused.value.message} {refused.value.variable}"
    assert path[-1] in refused.value.message or "tier disk" in refused.value.message


def test_settings_that_are_not_the_campaigns_are_refused() -> None:
    value = plans.make("/x")
    value["settings"]["repeats"] = 7
    with pytest.raises(Refusal) as refused:
        plan.check(value)
    assert refused.value.variable == "coldproof_campaign"


def test_our_reading_of_the_schemas_is_that_of_jsonschema() -> None:
    for kind in ("plan", "status", "campaign"):
        value = json.loads((CORPUS / f"{kind}.json").read_text())
        rules = schema.load(kind)
        jsonschema.validate(value, rules)
        schema.check(value, rules, kind)
        for key in rules["required"]:
            broken = copy.deepcopy(value)
            del broken[key]
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(broken, rules)
            with pytest.raises(Refusal):
                schema.check(broken, rules, kind)
    rules = schema.load("run")
    for one in durable.read_records(CORPUS / "runs.jsonl"):
        jsonschema.validate(one, rules)
        schema.check(one, rules, "run")
