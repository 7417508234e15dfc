"""The plan: checked, with its defaults, and expanded into steps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

from coldproof_agent import durable, schema
from coldproof_agent.errors import Refusal

MAX_PRIMES = 3
_DEFAULTS: dict[str, Any] = {
    "launcher": "process",
    "container_image": "",
    "container_args": [],
    "container_gpus": "all",
    "engine_command": [],
    "engine_args": [],
    "engine_env": {},
    "ready_path": "",
    "ready_timeout_s": 1800,
    "stop_timeout_s": 60,
    "drop_caches_timeout_s": 900,
    "max_minutes": 0,
    "compile_cache": "keep",
    "first_token": False,
}
_LOCAL_DEFAULTS: dict[str, Any] = {
    "engine_python": None,
    "engine_user": None,
    "engine_files": [],
    "compile_cache_dirs": [],
    "container_mounts": [],
    "container_cache_dir": None,
    "host": "127.0.0.1",
    "port": 0,
    "gpus": None,
    "gpu_allowed": [],
    "make_model_mib": 0,
}


class Step(NamedTuple):
    """One start to be made. ``pair`` is None for prime runs."""

    tier: str
    variant: str
    mode: str
    pair: Optional[int]

    def title(self, repeats: int) -> str:
        """Returns the step as an operator reads it."""
        count = f" {self.pair}/{repeats}" if self.pair else ""
        return f"{self.tier}/{self.variant} {self.mode}{count}"


class Plan(NamedTuple):
    """A checked plan."""

    campaign: str
    node: str
    demo: bool
    settings: Mapping[str, Any]
    local: Mapping[str, Any]
    consent: Mapping[str, Any]

    def variant(self, name: str) -> Mapping[str, Any]:
        """Returns a variant by name."""
        return next(one for one in self.settings["variants"] if one["name"] == name)

    def tier(self, name: str) -> Mapping[str, Any]:
        """Returns a tier by name."""
        return next(one for one in self.settings["tiers"] if one["name"] == name)

    def path(self, tier: str) -> str:
        """Returns where a tier's model lies on this node."""
        return str(self.local["tier_paths"][tier])


def digest(settings: Mapping[str, Any]) -> str:
    """Returns the digest a campaign is named by: SHA-256 of the settings' canonical JSON."""
    return hashlib.sha256(durable.canonical(settings)).hexdigest()


def read(path: Path) -> Plan:
    """Reads a plan file. Raises Refusal."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise Refusal("bad_plan", f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise Refusal("bad_plan", f"{path}: not JSON ({error})") from error
    return check(value, str(path))


def check(value: Any, where: str = "plan.json") -> Plan:
    """Checks a decoded plan against its schema and itself.

    Raises:
        Refusal: naming the field and the variable it comes from.
    """
    schema.check(value, schema.load("plan"), where)
    settings = {**_DEFAULTS, **value["settings"]}
    local = {**_LOCAL_DEFAULTS, **value["local"]}
    for kind in ("tiers", "variants"):
        names = [one["name"] for one in settings[kind]]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise Refusal("bad_plan", f"{where}: two {kind} are named {twice}", f"coldproof_{kind}")
    for one in settings["tiers"]:
        if one["name"] not in local["tier_paths"]:
            raise Refusal(
                "bad_plan", f"{where}: tier {one['name']} has no path here", "coldproof_tiers"
            )
    expected = value["campaign"].rpartition("-")[2]
    if digest(value["settings"])[:12] != expected:
        raise Refusal(
            "bad_plan",
            f"{where}: the settings are not those campaign {value['campaign']} was named by",
            "coldproof_campaign",
        )
    return Plan(
        value["campaign"],
        value["node"],
        bool(value.get("demo")),
        settings,
        local,
        {"reboot_ok": False, "node_drained": False, **value["consent"]},
    )


def expand(plan: Plan) -> list[Step]:
    """Returns the steps in order: local tiers first, then the shared ones.

    A prime run of each tier and variant stands for up to three, until the compile caches settle.
    """
    steps = []
    tiers = sorted(plan.settings["tiers"], key=lambda one: one.get("shared") is not None)
    for tier in tiers:
        for variant in plan.settings["variants"]:
            here = (str(tier["name"]), str(variant["name"]))
            steps.append(Step(*here, "prime", None))
            for pair in range(1, plan.settings["repeats"] + 1):
                if not warm_only(plan, *here):
                    steps.append(Step(*here, "cold", pair))
                steps.append(Step(*here, "warm", pair))
    return steps


def prewarms(plan: Plan, tier: str, variant: str) -> bool:
    """Says whether files are evicted and read before each warm start: not those in memory."""
    return bool(plan.variant(variant).get("prewarm") and not plan.tier(tier).get("warm_only"))


def warm_only(plan: Plan, tier: str, variant: str) -> bool:
    """Says whether no cold starts are made: the tier has none, or the variant pre-warms."""
    return bool(plan.tier(tier).get("warm_only")) or prewarms(plan, tier, variant)
