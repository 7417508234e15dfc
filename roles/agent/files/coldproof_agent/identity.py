"""What must not change on a node while a campaign lasts: else its runs cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coldproof_agent import container, engineprofile, gpu, host, storage, weights
from coldproof_agent.errors import Refusal
from coldproof_agent.files import FileRef
from coldproof_agent.journal import Journal
from coldproof_agent.plan import Plan


def of(plan: Plan, state: Path) -> dict[str, Any]:
    """Returns kernel, GPUs and their drivers, versions of the engine, and of each tier the weights'
    manifest and the mounts that they lie on: not devices, whose names a reboot may change."""
    chosen = engineprofile.load(str(plan.settings["engine"]))
    devices = gpu.look(plan.local["gpus"])["devices"]
    files = {
        name: weights.of(path, chosen.data)
        for name, path in sorted(plan.local["tier_paths"].items())
    }
    return {
        "kernel": host.describe()["kernel"],
        "driver": sorted({str(one["driver"]) for one in devices}),
        "gpus": sorted(str(one["uuid"]) for one in devices),
        "engine": _engine(plan, chosen, state),
        "weights": {name: weights.manifest(found) for name, found in files.items()},
        "storage": {name: _mounts(found) for name, found in files.items()},
    }


def _engine(plan: Plan, chosen: engineprofile.Profile, state: Path) -> dict[str, str]:
    inside = container.of(plan, chosen, state)
    if inside:
        return inside.versions()
    where = engineprofile.place(chosen, plan.local, state)
    return engineprofile.versions(chosen, where, plan.settings["engine_command"], state)


def _mounts(files: Sequence[FileRef]) -> list[str]:
    samples = {one.dev: one.path for one in files}.values()
    mounts = [storage.mount_of(path) for path in samples]
    return sorted(f"{one.filesystem} at {one.point}" for one in mounts)


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
    changed = [name for name in now if name in before and now[name] != before[name]]
    if changed:
        name = changed[0]
        raise Refusal(
            "node_changed",
            f"{', '.join(changed)} changed since this campaign began here ({name}: "
            f"{before.get(name)} then, {now[name]} now): its runs cannot be compared. Collect what "
            "there is, clean the node and begin a new campaign, or restore what it was.",
            "coldproof_campaign",
        )
