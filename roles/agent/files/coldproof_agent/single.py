"""One start on one host, without a campaign: what measure_model_load.sh calls."""

from __future__ import annotations

import datetime
import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import (
    csvfile,
    durable,
    leftovers,
    locks,
    measure,
    oomscore,
    preflight,
    supervisor,
)
from coldproof_agent import plan as plans
from coldproof_agent.errors import Refusal
from coldproof_agent.journal import Journal
from coldproof_agent.plan import Step
from coldproof_agent.scene import Scene
from coldproof_agent.status import Status


def plan_of(
    settings: Mapping[str, Any], local: Mapping[str, Any], path: str, state: Path
) -> plans.Plan:
    """Returns a plan of one tier, under the id of earlier starts with the same settings."""
    full = {
        **settings,
        "tiers": [{"name": "default", "shared": None}],
        "variants": [{"name": "default", "args": [], "env": {}}],
        "repeats": 1,
    }
    digest = plans.digest(full)[:12]
    local = {**local, "tier_paths": {"default": path}}
    known = sorted(
        one.name
        for one in (state / "campaigns").glob(f"*-{digest}")
        if _kept(one / "local.json") == _where(local)
    )
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    node = re.sub(r"[^A-Za-z0-9_.-]", "_", platform.node()) or "node"
    campaign = known[-1] if known else f"{now}-{digest}"
    return plans.check(
        {
            "schema": "coldproof.plan/1",
            "campaign": campaign,
            "node": node,
            "settings": full,
            "local": local,
            "consent": {"node_drained": True},
        },
        "command line",
    )


def _where(local: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what tells one model and engine of a host from another."""
    return {"tier_paths": local["tier_paths"], "engine_python": local.get("engine_python")}


def _kept(path: Path) -> Any:
    """Returns the paths of earlier starts: another model's starts are another campaign."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def run(plan: plans.Plan, mode: str, state: Path, csv: Path) -> dict[str, Any]:
    """Makes one start and appends its row to a CSV. Returns the record.

    A cold start first primes if none was made with these settings: compile caches are filled and
    the engine files found by it.

    Raises:
        Refusal: it cannot be made here, or another agent is at work.
    """
    leftovers.end_of(state, plan.campaign)
    refusals = preflight.examine(plan, state)["refusals"]
    if refusals:
        raise Refusal(**refusals[0])
    folder = state / "campaigns" / plan.campaign
    folder.mkdir(parents=True, exist_ok=True)
    durable.replace(folder / "local.json", durable.canonical(_where(plan.local)))
    if locks.state_lock(state, plan.campaign) is None:
        raise Refusal("locked", f"another agent is at work in {state}", "coldproof_state_dir")
    supervisor.become_subreaper()
    oomscore.shield()
    durable.need_space(state, 16 << 20)
    journal = Journal(folder)
    status = Status(state / "status.json", plan.campaign, 1)
    scene = Scene(plan, "default", "default", state, folder, {})
    csvfile.sync(csv, [], own=False)
    if mode != "prime" and not any(
        one["outcome"] == "ready" for one in journal.of("default", "default", "prime")
    ):
        primed = _one(scene, journal, Step("default", "default", "prime", None), state, status)
        if primed["outcome"] != "ready":
            return primed
    record = _one(
        scene, journal, Step("default", "default", mode, _pair(journal, mode)), state, status
    )
    csvfile.sync(csv, [record], own=False)
    status.set(phase="done", done=True, step=1)
    return record


def _pair(journal: Journal, mode: str) -> Optional[int]:
    """Returns the pair: a warm start belongs to the cold one before it."""
    if mode == "prime":
        return None
    following = journal.next_pair("default", "default")
    last = next((one for one in reversed(journal.runs) if one["mode"] != "prime"), None)
    if mode == "warm" and last is not None and last["mode"] == "cold":
        return int(last["pair"])
    return following


def _one(scene: Scene, journal: Journal, step: Step, state: Path, status: Status) -> dict[str, Any]:
    seq = journal.begin(step)
    return journal.end(measure.run(scene, step, seq, state / "launched.json", status))
