"""What is refused of a node's variables before anything is touched, and the plan of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from coldproof.variables import names, plan, rules

ROOT = Path(__file__).resolve().parents[3]
SPECS = yaml.safe_load((ROOT / "roles/coldproof/meta/argument_specs.yml").read_text("utf-8"))[
    "argument_specs"
]["variables"]["options"]
DEFAULTS = yaml.safe_load((ROOT / "roles/coldproof/defaults/main.yml").read_text("utf-8"))
HOST = rules.Host("gpu-01", "ssh")


def values(**given: Any) -> dict[str, Any]:
    return {**DEFAULTS, "coldproof_model_path": "/srv/models/m/", **given}


def refused(host: rules.Host = HOST, **given: Any) -> list[tuple[str, str]]:
    return [(one.code, one.variable) for one in rules.wrong(values(**given), host)]


def test_the_defaults_with_a_model_are_no_reason() -> None:
    assert refused() == []


@pytest.mark.parametrize(
    ("given", "code", "variable"),
    [
        ({"coldproof_model_path": ""}, "no_model_path", "coldproof_model_path"),
        ({"coldproof_tiers": [{"name": "a", "path": "/a"}]}, "two_model_paths", None),
        (
            {"coldproof_tiers": [{"name": "a", "path": "/a"}] * 2, "coldproof_model_path": ""},
            "tier_names",
            "coldproof_tiers",
        ),
        ({"coldproof_variants": []}, "variant_names", "coldproof_variants"),
        ({"coldproof_variants": [{"name": "a"}] * 2}, "variant_names", "coldproof_variants"),
        ({"coldproof_repeats": 0}, "out_of_range", "coldproof_repeats"),
        ({"coldproof_repeats": 101}, "out_of_range", "coldproof_repeats"),
        ({"coldproof_port": -1}, "out_of_range", "coldproof_port"),
        ({"coldproof_port": 65536}, "out_of_range", "coldproof_port"),
        ({"coldproof_poll_seconds": 9}, "out_of_range", "coldproof_poll_seconds"),
        ({"coldproof_max_model_len": 0}, "out_of_range", "coldproof_max_model_len"),
        ({"coldproof_reboot_batch": 0}, "out_of_range", "coldproof_reboot_batch"),
        ({"coldproof_reboot_timeout_s": 0}, "out_of_range", "coldproof_reboot_timeout_s"),
        ({"coldproof_cold_method": "reboot"}, "no_consent", "coldproof_reboot_ok"),
        (
            {
                "coldproof_cold_method": "reboot",
                "coldproof_reboot_ok": True,
                "coldproof_model_path": "",
                "coldproof_tiers": [{"name": "a", "path": "/a", "shared": "filer"}],
            },
            "shared_reboot",
            "coldproof_cold_method",
        ),
        ({"coldproof_shared_tier_concurrency": 0}, "out_of_range", None),
        ({"coldproof_launcher": "podman"}, "no_image", "coldproof_container_image"),
        ({"coldproof_engine": "custom"}, "custom_engine", "coldproof_engine_command"),
        ({"coldproof_demo": True}, "demo_only", "coldproof_demo"),
    ],
)
def test_each_rule_refuses_what_it_is_for(
    given: dict[str, Any], code: str, variable: str | None
) -> None:
    (found,) = refused(**given)
    assert found[0] == code
    assert variable is None or found[1] == variable


def test_the_controller_is_not_rebooted() -> None:
    given = {"coldproof_cold_method": "reboot", "coldproof_reboot_ok": True}
    assert refused(**given) == []
    local = rules.Host("gpu-01", "local")
    assert refused(local, **given) == [("local_reboot", "coldproof_cold_method")]


def test_a_node_with_a_name_that_is_a_path_is_refused() -> None:
    assert refused(rules.Host("../../escape", "ssh")) == [("node_name", "inventory_hostname")]


@pytest.mark.parametrize("path", ["/srv/models/m", "/home/me/demo/../m", "/home/me/demonstration"])
def test_the_demonstration_takes_only_its_own_model(path: str) -> None:
    given = {
        "coldproof_demo": True,
        "coldproof_engine": "reference",
        "coldproof_state_dir": "/home/me/demo/state",
    }
    assert refused(**given, coldproof_model_path="/home/me/demo/model") == []
    assert refused(**given, coldproof_model_path=path) == [("demo_only", "coldproof_demo")]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("coldproof_repeat", "coldproof_repeats"),
        ("coldproof_model_pth", "coldproof_model_path"),
        ("coldproof_hostss", "coldproof_hosts"),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_what_was_meant(name: str, meant: str) -> None:
    (one,) = rules.misnamed([name, "coldproof_hosts", "ansible_host", *SPECS], SPECS)
    assert one.message == f"there is no variable {name}: did you mean {meant}?"
    assert rules.misnamed(list(SPECS), SPECS) == []


def test_text_is_no_list() -> None:
    found = names.texts(values(coldproof_engine_args="--eager", coldproof_engine_env="A=b"), SPECS)
    assert found == ["coldproof_engine_args", "coldproof_engine_env"]
    (one,) = rules.mistyped(values(coldproof_gpus="0"), SPECS)
    assert (one.code, one.variable) == ("wrong_type", "coldproof_gpus")


def test_an_outcome_says_all_reasons() -> None:
    both = rules.wrong(values(coldproof_repeats=0, coldproof_port=-1), HOST)
    outcome = rules.joined(both)
    assert (outcome["status"], outcome["code"]) == ("refused", "out_of_range")
    assert outcome["variable"] == "coldproof_repeats"
    assert "coldproof_repeats is 0" in outcome["message"]
    assert "coldproof_port is -1; it has to be 0 to 65535" in outcome["message"]


def test_a_plan_is_what_the_schema_says() -> None:
    schema = json.loads((ROOT / "schemas/plan.schema.json").read_text("utf-8"))
    made = plan.plan(values(coldproof_gpu_allowed=[7]), "gpu-01")
    jsonschema.validate({**made, "campaign": "20261123T215900Z-0123456789ab"}, schema)
    assert made["settings"]["model"] == "m"
    assert made["local"]["tier_paths"] == {"default": "/srv/models/m/"}
    assert made["local"]["gpus"] is None
    assert made["local"]["gpu_allowed"] == ["7"]


def test_tiers_go_to_settings_by_name_and_to_the_node_by_path() -> None:
    tiers = [{"name": "nvme", "path": "/a"}, {"name": "nfs", "path": "/b", "shared": "filer"}]
    made = plan.plan(values(coldproof_tiers=tiers, coldproof_model_path=""), "gpu-01")
    assert made["settings"]["tiers"] == [
        {"name": "nvme", "shared": None, "warm_only": False},
        {"name": "nfs", "shared": "filer", "warm_only": False},
    ]
    assert made["local"]["tier_paths"] == {"nvme": "/a", "nfs": "/b"}
