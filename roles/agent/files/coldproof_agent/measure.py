"""One run: prepare the caches, look, start the server, wait, look again, end it, judge."""

from __future__ import annotations

import datetime
import os
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple, Optional

from coldproof_agent import (
    __version__,
    compilecache,
    cooling,
    gpu,
    host,
    ready,
    verdict,
    weights,
)
from coldproof_agent.errors import Refusal
from coldproof_agent.evidence import Witnessing
from coldproof_agent.files import FileRef
from coldproof_agent.launcher import ProcessLauncher
from coldproof_agent.phases import Phases, markers
from coldproof_agent.plan import Step
from coldproof_agent.scene import Scene
from coldproof_agent.serverlog import ServerLog
from coldproof_agent.status import Status

PORT_TRIES = 3


class Server(NamedTuple):
    """What one start gave."""

    waited: ready.Waited
    log: dict[str, Any]
    phases: Phases
    watch: compilecache.Watch
    engine: dict[str, Any]
    argv: list[str]
    read_bytes: Optional[int]
    stopped: dict[str, Any]
    gpu: dict[str, Any]


def run(scene: Scene, step: Step, seq: int, ledger: Path, status: Status) -> dict[str, Any]:
    """Makes one start.

    Args:
        scene: its tier and variant.
        step: what to do.
        seq: its number in the journal.
        ledger: see :class:`launcher.ProcessLauncher`.
        status: where to say what is going on.

    Returns:
        the record, without its checksum, as in schemas/run.schema.json.

    Raises:
        Refusal: the start could not be prepared (method refused, GPU busy, weights gone).
    """
    files = scene.weights()
    about = weights.describe(scene.path, files)
    status.set(phase="cooling" if step.mode != "warm" else "preparing")
    method = _prepare(scene, step, files)
    _need_idle_gpu(scene)
    seen = Witnessing(scene, step.mode, files)
    watched = compilecache.look(scene.cache_folders(_environment(scene)))
    started_at = datetime.datetime.now(datetime.timezone.utc)
    server = _serve(scene, step, seq, ledger, status, seen)
    changed = compilecache.look(scene.cache_folders(_environment(scene)))
    record = _record(scene, step, seq, about, server, seen, method)
    record.update(
        {
            "started_at": started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "compile": server.watch.verdict(server.argv, watched.digest != changed.digest),
            "compile_changed": watched.digest != changed.digest,
            "compile_cache": {
                "dirs": scene.cache_folders(_environment(scene)),
                "before": watched.as_dict(),
                "after": changed.as_dict(),
            },
        }
    )
    return record


def _prepare(scene: Scene, step: Step, files: list[FileRef]) -> Optional[str]:
    """Makes things cold where the mode wants it. Returns the method's name."""
    if step.mode == "warm":
        return None
    if step.mode == "prime":
        scene.before_prime(files)
        return "evict"
    method = str(scene.plan.settings["cold_method"])
    if method == "drop_caches":
        cooling.drop_caches(float(scene.plan.settings["drop_caches_timeout_s"]))
    # After drop_caches too: what it left (large folios, pages of a batch) goes file by file.
    if scene.engine_files.known:
        cooling.evict(scene.engine_files.files, scene.engine_verdicts())
    cooling.evict(files, scene.verdicts(files, True))
    return method


def _need_idle_gpu(scene: Scene) -> None:
    tenants = gpu.tenants(scene.plan.local["gpus"])
    if tenants:
        named = ", ".join(f"pid {one['pid']} ({one['name']})" for one in tenants[:3])
        raise Refusal(
            "gpu_busy", f"the GPU is used by {named}: end it or choose others", "coldproof_gpus"
        )


def _environment(scene: Scene) -> dict[str, str]:
    return dict(scene.command(scene.values(0, "")).env)


def _serve(
    scene: Scene, step: Step, seq: int, ledger: Path, status: Status, seen: Witnessing
) -> Server:
    """Starts the server, waits until it is ready, and ends it on every path."""
    name = f"coldproof-{uuid.uuid4().hex[:12]}"
    settings = scene.plan.settings
    address = str(scene.plan.local["host"])
    gpus = scene.plan.local["gpus"]
    memory_before = gpu.look(gpus)
    port = _port(address, int(scene.plan.local["port"]))
    values = scene.values(port, name)
    command = scene.command(values)
    check = _check(scene, address, port, name)
    phases = Phases(str(scene.profile.data["first_phase"]), markers(scene.profile.data["markers"]))
    watch = compilecache.Watch(scene.profile.data["compile"])

    def on_line(stamp: float, text: str) -> None:
        phases.line(stamp, text)
        watch.line(text)

    status.set(phase="starting")
    logs = scene.folder / "logs"
    logs.mkdir(exist_ok=True, mode=0o755)
    launcher = ProcessLauncher(ledger)
    memory: dict[str, Any] = {"devices": [], "used_mb": None, "reason": "never ready"}
    log: Optional[ServerLog] = None
    stopped: dict[str, Any] = {}
    seen.before()
    try:
        pipe = launcher.start(command, name)
        secret = list(scene.secret.values())
        log = ServerLog(
            pipe, logs / f"{seq:04d}-{step.mode}.log", launcher.started_at, secret, on_line
        )
        waited = ready.wait(launcher, check, status.beat)
        seen.at_ready(launcher)
        if waited.load_s is not None:
            status.set(phase="ready", last_s=waited.load_s)
            memory = gpu.look(gpus)
            if step.mode == "prime":
                scene.after_prime()
                seen.after_prime()
    except OSError as error:
        waited = ready.Waited("not_started", str(error), None, 0.0, {}, 0.0)
    finally:
        status.set(phase="stopping")
        stopped = launcher.stop(float(settings["stop_timeout_s"]), status.beat)
        if log is not None:
            log.close()
    released = gpu.wait_released(memory_before["used_mb"], gpus)
    return Server(
        waited,
        log.describe(scene.folder) if log else {"file": None, "tail": []},
        phases,
        watch,
        scene.describe_engine(command),
        list(command.argv),
        launcher.read_bytes_at_end,
        stopped,
        {
            "devices": memory["devices"] or memory_before["devices"],
            "mem_before_mb": memory_before["used_mb"],
            "mem_ready_mb": memory["used_mb"],
            "mem_after_mb": released["used_mb"],
            "released": released["released"],
            "reason": memory_before["reason"] or memory["reason"],
        },
    )


def _port(address: str, wanted: int) -> int:
    """Returns a port that is free now: a chosen one is tried again before the clock starts."""
    for attempt in range(PORT_TRIES):
        try:
            return ready.free_port(address, wanted)
        except OSError as error:
            if attempt == PORT_TRIES - 1:
                raise Refusal(
                    "port_taken",
                    f"port {wanted} of {address} cannot be used: {error.strerror}. "
                    "Give another, or 0 to have one chosen.",
                    "coldproof_port",
                ) from error
            time.sleep(1.0)
    raise AssertionError("unreachable")


def _check(scene: Scene, address: str, port: int, name: str) -> ready.Check:
    settings, data = scene.plan.settings, scene.profile.data
    command = settings["engine_command"]
    given = any("{served_model_name}" in word for word in command)
    names_model = bool(data["ready"]["model_id"]) or given
    path = str(settings["ready_path"] or data["ready"]["path"] or "/v1/models")
    wants_id = names_model and path.endswith("/models")
    return ready.Check(
        address,
        port,
        path,
        data["health_path"],
        name if wants_id else None,
        float(settings["ready_timeout_s"]),
    )


def _record(
    scene: Scene,
    step: Step,
    seq: int,
    about: dict[str, Any],
    server: Server,
    seen: Witnessing,
    method: Optional[str],
) -> dict[str, Any]:
    plan, waited = scene.plan, server.waited
    is_ready = waited.load_s is not None
    judged = verdict.Verdict("not_applicable", [], None, [])
    if step.mode != "prime":
        judged = verdict.judge(seen.evidence(is_ready, method or "none"))
    flags = list(judged.flags)
    if server.gpu["released"] is False:
        flags.append("gpu_memory_not_released")
    if server.stopped.get("killed"):
        flags.append("needed_sigkill")
    if server.stopped.get("left"):
        flags.append(f"left_{server.stopped['left']}_processes_after_sigterm")
    if server.stopped.get("stuck"):
        flags.append("processes_that_would_not_die")
    missing = server.phases.missing() if is_ready else []
    memory = server.gpu["mem_ready_mb"]
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
        "gpu_mem_used_mb": memory,
        "phases": server.phases.result(waited.load_s) if waited.load_s is not None else [],
        "phases_missing": missing,
        "edges": waited.edges,
        "resolution_s": waited.resolution_s,
        "weights": about,
        "engine_files": scene.engine_files.as_dict(),
        **seen.as_record(server.read_bytes),
        "concurrency": 1,
        "gpu": server.gpu,
        "host": host.describe(),
        "engine": server.engine,
        "log": server.log,
        "stop": server.stopped,
        "flags": flags,
        "agent": __version__,
        "uid": os.geteuid(),
    }
