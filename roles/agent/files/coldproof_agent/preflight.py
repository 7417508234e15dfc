"""Looks, without touching anything, whether a plan can be carried out here, and what it costs."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from coldproof_agent import (
    campaign,
    container,
    engineprofile,
    engineprogram,
    expectation,
    freshcache,
    gpu,
    host,
    leftovers,
    locks,
    procfs,
    ready,
    reboot,
    storage,
    weights,
)
from coldproof_agent import plan as plans
from coldproof_agent.errors import Refusal
from coldproof_agent.files import device_bytes
from coldproof_agent.plan import Plan

RESERVE_BYTES = 512 << 20
STATE_BYTES = 256 << 20
CLUSTER_AGENTS = ("kubelet", "slurmd")


def examine(plan: Plan, state: Path) -> dict[str, Any]:
    """Returns all refusals at once, warnings, expected minutes and bytes, and the steps."""
    refusals: list[dict[str, Any]] = []
    warnings: list[str] = []

    def attempt(check: Callable[[], Any]) -> Any:
        try:
            return check()
        except Refusal as refusal:
            refusals.append(refusal.as_dict())
            return None

    orphans = leftovers.living(state / "launched.json") if not locks.holder(state) else []
    if orphans:
        named = ", ".join(f"pid {one.pid} ({procfs.command(one.pid)[:80]})" for one in orphans[:3])
        warnings.append(f"an earlier run left processes here, which will be ended: {named}")
    for check in (_rights, _lock, _state_folder, _cluster, _port, _gpu):
        attempt(lambda check=check: check(plan, state))  # type: ignore[misc]
    chosen = attempt(lambda: engineprofile.load(str(plan.settings["engine"])))
    if chosen is not None:
        attempt(lambda: _engine(plan, chosen, state))
        for name in plan.local["tier_paths"]:
            for refusal in _tier(plan, chosen, name, warnings):
                refusals.append(refusal.as_dict())
    if host.reclaims_idle_pages():
        warnings.append(
            "DAMON runs on this kernel and may take idle pages out of the page cache: warm starts "
            "that last long may be refuted, because they were not warm"
        )
    steps = plans.expand(plan)
    return {
        "ok": not refusals,
        "refusals": refusals,
        "warnings": warnings,
        "expected": expectation.of(plan, chosen, steps),
        "steps": [{"seq": n, **one._asdict()} for n, one in enumerate(steps, 1)],
    }


def _rights(plan: Plan, _state: Path) -> None:
    method = plan.settings["cold_method"]
    if method != "evict" and os.geteuid() != 0:
        raise Refusal(
            "rights",
            f"method {method} needs root here: set ansible_become, or use evict",
            "coldproof_cold_method",
        )
    if method == "reboot" and not plan.consent["reboot_ok"]:
        raise Refusal(
            "no_consent",
            "method reboot reboots this node before each cold start: set coldproof_reboot_ok: true",
            "coldproof_reboot_ok",
        )
    if method == "reboot" and not reboot.possible():
        raise Refusal(
            "no_systemd", "method reboot needs systemd on the node", "coldproof_cold_method"
        )
    user = plan.local["engine_user"]
    if user is None:
        return
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        raise Refusal(
            "engine_user", f"there is no user {user!r}", "coldproof_engine_user"
        ) from None
    if os.geteuid() not in (0, uid):
        raise Refusal(
            "rights",
            f"only root can start the server as {user}: set ansible_become",
            "coldproof_engine_user",
        )


def _lock(plan: Plan, state: Path) -> None:
    held = locks.holder(state)
    if held and held[1] != plan.campaign:
        raise Refusal(
            "locked",
            f"campaign {held[1]} is running on this node (pid {held[0]}): wait for it",
            "coldproof_campaign",
        )
    others = [name for name in campaign.unfinished(state) if name != plan.campaign]
    if others:
        raise Refusal(
            "other_campaign",
            f"campaign {others[0]} is not finished on this node. Resume it "
            f"(coldproof_campaign={others[0]}), or delete {campaign.folder_of(state, others[0])}.",
            "coldproof_campaign",
        )


def existing(path: Path) -> Path:
    """Returns a path, or its nearest parent that exists."""
    while not os.path.exists(path) and path != path.parent:
        path = path.parent
    return path


def _state_folder(plan: Plan, state: Path) -> None:
    variable = "coldproof_state_dir"
    folder = existing(state)
    filesystem = storage.mount_of(str(folder)).filesystem
    if plan.settings["cold_method"] == "reboot" and filesystem in storage.MEMORY:
        raise Refusal(
            "state_folder", f"{folder} lies on {filesystem}, which a reboot empties", variable
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refusal("state_folder", f"{folder} is not writable by this user", variable)
    room = os.statvfs(folder)
    if room.f_bavail * room.f_frsize < STATE_BYTES or (room.f_files and not room.f_favail):
        raise Refusal(
            "state_folder",
            f"{folder} has {room.f_bavail * room.f_frsize >> 20} MiB free: "
            f"{STATE_BYTES >> 20} MiB are needed",
            variable,
        )


def _cluster(plan: Plan, _state: Path) -> None:
    if plan.consent["node_drained"]:
        return
    for one in procfs.processes().values():
        if one.name in CLUSTER_AGENTS:
            raise Refusal(
                "not_drained",
                f"{one.name} runs here: drain the node, then set coldproof_node_drained: true",
                "coldproof_node_drained",
            )


def _port(plan: Plan, state: Path) -> None:
    address, port = str(plan.local["host"]), int(plan.local["port"])
    if locks.holder(state) or leftovers.living(state / "launched.json"):
        return  # our own campaign may be using it, or what it left behind
    try:
        ready.free_port(address, port)
    except socket.gaierror as error:
        raise Refusal(
            "host_unknown",
            f"{address}: {error.strerror}: give an address of this node",
            "coldproof_host",
        ) from error
    except OSError as error:
        raise Refusal(
            "port_taken",
            f"port {port} of {address} cannot be used: {error.strerror}",
            "coldproof_port",
        ) from error


def _gpu(plan: Plan, state: Path) -> None:
    if locks.holder(state):
        return
    orphans = [one.pid for one in leftovers.living(state / "launched.json")]
    gpu.need_idle(plan.local["gpus"], plan.local["gpu_allowed"], orphans)
    wanted = plan.local["gpus"]
    if wanted and len(gpu.look(wanted)["devices"]) < len(set(wanted)):
        raise Refusal("gpu_missing", f"not all of the GPUs {wanted} are here", "coldproof_gpus")


def _engine(plan: Plan, chosen: engineprofile.Profile, state: Path) -> None:
    if plan.demo and chosen.name != "reference":
        raise Refusal(
            "demo",
            f"the demo runs the reference engine, not {chosen.name}: give your inventory with -i",
            "coldproof_engine",
        )
    if chosen.name == "custom" and not plan.settings["engine_command"]:
        raise Refusal(
            "engine_missing", "engine custom needs a command line", "coldproof_engine_command"
        )
    if chosen.name == "custom" and not plan.settings["ready_path"]:
        raise Refusal(
            "engine_missing",
            "engine custom needs the path that is 200 when ready",
            "coldproof_ready_path",
        )
    if plan.settings["launcher"] != "process":
        container.examine(plan, chosen, state)
        if plan.settings["compile_cache"] == "fresh":
            freshcache.check(chosen.data, state, 0)
        return
    where = engineprofile.place(chosen, plan.local, state)
    if plan.settings["compile_cache"] == "fresh":
        root = campaign.folder_of(state, plan.campaign) / freshcache.FOLDER
        freshcache.check(chosen.data, root, pwd.getpwnam(where.user).pw_uid)
    if chosen.data["installation"] == "copied":
        return
    path = next(iter(plan.local["tier_paths"].values()))
    values = {"model_path": path, "model_file": path}
    words = engineprofile.argv(chosen, where, plan.settings["engine_command"], values)
    for variant in plan.settings["variants"]:
        every = [*words, *plan.settings["engine_args"], *variant.get("args", [])]
        engineprogram.need_model(chosen.data, every, path)


def _tier(
    plan: Plan, chosen: engineprofile.Profile, name: str, warnings: list[str]
) -> Iterator[Refusal]:
    """Yields what is wrong with a tier; adds what is only worth knowing to the warnings."""
    path = Path(plan.path(name))
    tier = plan.tier(name)
    mib = int(plan.local["make_model_mib"])
    size = mib << 20
    lie = [str(existing(path))]
    if not (mib and not os.path.exists(path / "model.safetensors.index.json")):
        try:
            found = weights.of(str(path), chosen.data)
            weights.manifest(found)
            for variant in plan.settings["variants"]:
                given = [*plan.settings["engine_args"], *variant.get("args", [])]
                weights.one_set(str(path), chosen.data, given)
        except Refusal as refusal:
            yield refusal
            return
        size = device_bytes(found)
        # A Hugging Face cache links to blobs: the tier is where they lie, each of them.
        lie = list({one.dev: one.path for one in found}.values())
    elif os.statvfs(lie[0]).f_bavail * os.statvfs(lie[0]).f_frsize < 1.1 * size:
        yield Refusal(
            "disk_full", f"{path}: no room for a model of {mib} MiB", "coldproof_make_model_mib"
        )
    filesystems = {storage.mount_of(one).filesystem for one in lie}
    in_memory = filesystems & storage.MEMORY
    if in_memory and not tier.get("warm_only"):
        yield Refusal(
            "tier_in_memory",
            f"tier {name}: {path} lies on {in_memory.pop()}, which cannot be evicted: there is no "
            "cold start from it. Set warm_only: true for this tier.",
            "coldproof_tiers",
        )
    room = host.usable_memory()
    if size + RESERVE_BYTES > room:
        yield Refusal(
            "memory",
            f"tier {name}: {size >> 20} MiB of weights cannot stay in the page cache of "
            f"{room >> 20} MiB: there is no warm start here",
            "coldproof_tiers",
        )
    if "overlay" in filesystems:
        warnings.append(
            f"tier {name}: {path} lies on overlayfs, where no block device can be named: "
            "cold runs will be unproven. Put the weights on a mount of their own."
        )
