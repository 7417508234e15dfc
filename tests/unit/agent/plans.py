"""Plans for tests, as the controller would write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from coldproof_agent import plan


def make(path: Path | str, node: str = "node", **settings: Any) -> dict[str, Any]:
    """Returns a plan of one tier; ``local`` and ``consent`` may be among the settings."""
    local = settings.pop("local", {})
    consent = settings.pop("consent", {"node_drained": True})
    full = {
        "model": "random",
        "max_model_len": 2048,
        "engine": "reference",
        "tiers": [{"name": "disk", "shared": None}],
        "variants": [{"name": "default", "args": [], "env": {}}],
        "repeats": 1,
        "cold_method": "evict",
        "ready_timeout_s": 60,
        "stop_timeout_s": 5,
        **settings,
    }
    return {
        "schema": "coldproof.plan/1",
        "campaign": f"20261123T000000Z-{plan.digest(full)[:12]}",
        "node": node,
        "demo": False,
        "settings": full,
        "local": {"tier_paths": {"disk": str(path)}, **local},
        "consent": consent,
    }


def put(state: Path, value: dict[str, Any]) -> str:
    """Writes a plan where ``run`` finds it. Returns its campaign."""
    state.mkdir(parents=True, exist_ok=True)
    (state / "plan.json").write_text(json.dumps(value))
    (state / "campaigns" / value["campaign"]).mkdir(parents=True, exist_ok=True)
    return str(value["campaign"])
