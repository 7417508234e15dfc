"""What must not change on a node while a campaign lasts: else its runs cannot be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coldproof_agent import engineprofile, gpu, host, weights
from coldproof_agent.errors import Refusal
from coldproof_agent.journal import Journal
from coldproof_agent.plan import Plan


def of(plan: Plan, state: Path) -> dict[str, Any]:
    """Returns kernel, GPU drivers, versions of the engine, and the weights' manifests."""
    chosen = engineprofile.load(str(plan.settings["engine"]))
    where = engineprofile.place(chosen, plan.local, state)
    drivers = {str(one["driver"]) for one in gpu.look(plan.local["gpus"])["devices"]}
    return {
        "kernel": host.describe()["kernel"],
        "driver": sorted(drivers),
        "engine": engineprofile.versions(chosen, where),
        "weights": {
            name: weights.manifest(weights.find(path, chosen.data["weights"]))
            for name, path in sorted(plan.local["tier_paths"].items())
        },
    }


def check(plan: Plan, state: Path, journal: Journal) -> None:
    """Notes the identity at a campaign's beginning; later compares with it.

    Raises:
        Refusal: code ``node_changed``, naming the difference and the ways out.
    """
    now = of(plan, state)
    begun = journal.first("campaign")
    if begun is None:
        journal.note("campaign", campaign=plan.campaign, identity=now)
        return
    before = begun["identity"]
    changed = [name for name in now if now[name] != before.get(name)]
    if changed:
        name = changed[0]
        raise Refusal(
            "node_changed",
            f"{', '.join(changed)} changed since this campaign began here ({name}: "
            f"{before.get(name)} then, {now[name]} now): its runs cannot be compared. Collect what "
            "there is, clean the node and begin a new campaign, or restore what it was.",
            "coldproof_campaign",
        )
