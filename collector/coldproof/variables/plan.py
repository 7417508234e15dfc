"""What a node's variables ask for: its part of the plan (schemas/plan.schema.json)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

SCHEMA = "coldproof.plan/1"
# Settings that are called as their variables are, without the prefix.
SETTINGS = (
    "max_model_len", "engine", "launcher", "container_image", "container_gpus", "engine_command",
    "engine_env", "ready_path", "variants", "repeats", "cold_method", "compile_cache",
    "first_token", "ready_timeout_s", "stop_timeout_s", "drop_caches_timeout_s", "max_minutes",
)  # fmt: skip
WORDS = ("container_args", "engine_args")
LOCAL = ("engine_files", "compile_cache_dirs", "container_mounts", "host", "port", "make_model_mib")
LOCAL_OR_NONE = ("engine_python", "engine_user", "container_cache_dir")


def tiers(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the tiers, of which the short form, coldproof_model_path, is one called default."""
    if values["coldproof_tiers"]:
        return list(values["coldproof_tiers"])
    path = values["coldproof_model_path"]
    return [{"name": "default", "path": path}] if path else []


def settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is measured: equal on all nodes, and what the campaign's digest is taken of."""
    asked = {name: values[f"coldproof_{name}"] for name in SETTINGS}
    asked |= {name: [str(word) for word in values[f"coldproof_{name}"]] for name in WORDS}
    stores = tiers(values)
    # Left out where it is not asked for, so that plans without it keep their digest.
    asked["variants"] = [
        {name: value for name, value in one.items() if name != "prewarm" or value}
        for one in asked["variants"]
    ]
    asked["model"] = values["coldproof_model"] or PurePosixPath(stores[0]["path"]).name
    asked["tiers"] = [
        {
            "name": tier["name"],
            "shared": tier.get("shared"),
            "warm_only": bool(tier.get("warm_only")),
        }
        for tier in stores
    ]
    return asked


def plan(values: Mapping[str, Any], node: str) -> dict[str, Any]:
    """Returns a node's plan, all but the campaign's name; `values` have passed the rules."""
    local = {name: values[f"coldproof_{name}"] for name in LOCAL}
    local |= {name: values[f"coldproof_{name}"] or None for name in LOCAL_OR_NONE}
    return {
        "schema": SCHEMA,
        "node": node,
        "demo": values["coldproof_demo"],
        "settings": settings(values),
        "local": {
            **local,
            "tier_paths": {tier["name"]: tier["path"] for tier in tiers(values)},
            "gpus": values["coldproof_gpus"] or None,
            "gpu_allowed": [str(one) for one in values["coldproof_gpu_allowed"]],
        },
        "consent": {
            "reboot_ok": values["coldproof_reboot_ok"],
            "node_drained": values["coldproof_node_drained"],
        },
    }
