"""One run: prepare the caches, look, start the server, wait, look again, end it, judge."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import (
    __version__,
    compilecache,
    cooling,
    gpu,
    gpurecord,
    host,
    reading,
    residency,
    serve,
    verdict,
    weights,
)
from coldproof_agent import plan as plans
from coldproof_agent.doubts import Doubts
from coldproof_agent.errors import Refusal
from coldproof_agent.evidence import Witnessing
from coldproof_agent.files import FileRef
from coldproof_agent.plan import Step
from coldproof_agent.scene import Scene
from coldproof_agent.status import Status


def run(
    scene: Scene,
    step: Step,
    seq: int,
    ledger: Path,
    status: Status,
    rebooted: Optional[dict[str, Any]] = None,
    sweep: Optional[Callable[[Mapping[str, Any]], bool]] = None,
) -> dict[str, Any]:
    """Makes one start.

    Whatever reads or lists files is done before the caches are emptied: between that and the start
    there is only the look at them.

    Args:
        scene: its tier and variant.
        step: what to do.
        seq: its number in the journal.
        ledger: see :class:`launcher.ProcessLauncher`.
        status: where to say what is going on.
        rebooted: what is known of the reboot before a cold run of method reboot.
        sweep: says of its record whether to find the tier's ceiling now, all evidence taken.

    Returns:
        the record, without its checksum, as in schemas/run.schema.json.

    Raises:
        Refusal: the start could not be prepared (method refused, GPU busy, weights gone).
    """
    files = scene.weights()
    about = weights.describe(scene.path, files)
    memory = _idle_gpu(scene)
    doubts = Doubts(scene, files, memory["devices"])
    attempt = serve.Attempt(scene, step, seq, ledger, bool(memory["devices"]))
    caches = scene.cache_folders(attempt.command.env)
    scene.empty_caches(attempt.command)
    before = compilecache.look(caches)
    seen = Witnessing(scene, step.mode, files, attempt.command)
    started_at = datetime.datetime.now(datetime.timezone.utc)
    status.set(phase="cooling" if step.mode != "warm" else "preparing")
    prewarm = _prewarm(scene, step, files)
    method, dropped = _prepare(scene, step, files)
    seen.dropped = dropped
    served = attempt.make(seen, doubts, status)
    released = gpu.wait_released(memory["used_mb"], scene.plan.local["gpus"])
    after = compilecache.look(caches)
    scene.remove_caches()
    changed = before.digest != after.digest
    record = _record(scene, step, seq, served, seen, method, rebooted)
    record.update(
        {
            "started_at": started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "weights": about,
            "compile": served.watch.verdict(attempt.command.argv, before, after, bool(caches)),
            "prewarm": prewarm,
            "compile_changed": changed,
            "compile_cache": {
                "mode": scene.compile_cache,
                "dirs": caches,
                "before": before.as_dict(),
                "after": after.as_dict(),
            },
            "gpu": gpurecord.describe(memory, served.memory, released, served.links, doubts.others),
        }
    )
    if released["released"] is False:
        record["flags"].append("gpu_memory_not_released")
    for reason in doubts.found(served.memory):
        record["reasons"].append(reason)
        if record["state"].startswith("proven"):
            record["state"] = "unproven"
    if sweep and sweep(record):
        # Last of all: what changes from here on is nothing to the start.
        status.set(phase="sweeping")
        record["ceiling"] = _swept(scene, files, seq)
    return record


def _swept(scene: Scene, files: list[FileRef], seq: int) -> dict[str, Any]:
    """Returns the ceiling; a storage that fails under it costs no finished run."""
    when = f"after run {seq:04d}, the last of its tier and variant"
    try:
        return {**reading.ceiling(files, scene.verdicts(files, True)), "when": when}
    except OSError as error:
        failed = {"way": "direct", "error": str(error.strerror)}
        return {"bytes_per_s": None, "reliable": False, "sweeps": [failed], "when": when}


def _prepare(
    scene: Scene, step: Step, files: list[FileRef]
) -> tuple[Optional[str], Optional[float]]:
    """Makes things cold where the mode wants it.

    Returns:
        the method's name, and the resident share of the weights that drop_caches left.
    """
    if step.mode == "warm":
        return None, None
    if step.mode == "prime":
        scene.before_prime(files)
        return "evict", None
    method = str(scene.plan.settings["cold_method"])
    dropped = None
    if method == "drop_caches":
        cooling.drop_caches(float(scene.plan.settings["drop_caches_timeout_s"]))
        dropped = residency.look(files, scene.verdicts(files, True)).high
    # After drop_caches and a reboot too: what they left (pages of a batch, say) goes file by file.
    if scene.engine_files.known:
        cooling.evict(scene.engine_files.files, scene.engine_verdicts())
    cooling.evict(files, scene.verdicts(files, True))
    return method, dropped


def _prewarm(scene: Scene, step: Step, files: list[FileRef]) -> Optional[dict[str, Any]]:
    """Evicts and reads both sets where the variant pre-warms. Raises Refusal."""
    if step.mode != "warm" or not plans.prewarms(scene.plan, scene.tier, scene.variant):
        return None
    try:
        made = {"weights": reading.prewarm_cold(files, scene.verdicts(files, True))}
        engine = scene.engine_files
        if engine.known:
            made["engine"] = reading.prewarm_cold(engine.files, scene.engine_verdicts())
    except OSError as error:
        raise Refusal(
            "prewarm",
            f"{error.filename or scene.path}: {error.strerror}: it cannot be pre-warmed; let the "
            "agent read it, or leave out the variant's prewarm",
            "coldproof_variants",
        ) from error
    return made


def _idle_gpu(scene: Scene) -> dict[str, Any]:
    """Returns the GPU memory before the start. Raises Refusal if somebody else computes there."""
    wanted = scene.plan.local["gpus"]
    gpu.need_idle(wanted, scene.plan.local["gpu_allowed"])
    return gpu.look(wanted)


def _record(
    scene: Scene,
    step: Step,
    seq: int,
    server: serve.Served,
    seen: Witnessing,
    method: Optional[str],
    rebooted: Optional[dict[str, Any]],
) -> dict[str, Any]:
    plan, waited = scene.plan, server.waited
    is_ready = waited.load_s is not None
    judged = verdict.Verdict("not_applicable", [], None, [])
    if step.mode != "prime":
        same_boot = None
        if rebooted:
            same_boot = rebooted["boot_id_before"] == rebooted["boot_id"]
        judged = verdict.judge(seen.evidence(is_ready, method or "none", same_boot))
    flags = list(judged.flags)
    if scene.compile_cache == "fresh":
        flags.append("fresh_compile_cache")
    if server.first_token and server.first_token["problem"]:
        flags.append("first_token_failed")
    if server.stopped.get("killed"):
        flags.append("needed_sigkill")
    if server.stopped.get("left"):
        flags.append(f"left_{server.stopped['left']}_processes_after_sigterm")
    if server.stopped.get("stuck"):
        flags.append("processes_that_would_not_die")
    if server.stopped.get("removed") is False:
        flags.append("container_not_removed")
    return {
        "schema": "coldproof.run/1",
        "run_id": f"{plan.campaign}.{plan.node}.{seq:04d}",
        "campaign": plan.campaign,
        "node": plan.node,
        "seq": seq,
        **step._asdict(),
        "demo": plan.demo,
        "outcome": waited.outcome,
        "outcome_detail": waited.detail,
        "state": judged.state,
        "reasons": judged.reasons,
        "scope": judged.scope,
        "method": method,
        "model": plan.settings["model"],
        "max_model_len": plan.settings["max_model_len"],
        "load_s": waited.load_s,
        "elapsed_s": waited.elapsed_s,
        "gpu_mem_used_mb": server.memory["used_mb"],
        "phases": server.phases.result(waited.load_s) if waited.load_s is not None else [],
        "phases_missing": server.phases.missing() if is_ready else [],
        "unattributed": server.phases.gaps(waited.load_s) if waited.load_s is not None else [],
        "edges": waited.edges,
        "told": server.told,
        "first_token": server.first_token,
        "resolution_s": waited.resolution_s,
        "engine_files": scene.engine_files.as_dict(),
        **seen.as_record(server.read_bytes),
        "concurrency": scene.concurrency,
        "host": host.describe(),
        "engine": server.engine,
        "log": server.log,
        "stop": server.stopped,
        "reboot": rebooted,
        "flags": flags,
        "agent": __version__,
        "uid": os.geteuid(),
    }
