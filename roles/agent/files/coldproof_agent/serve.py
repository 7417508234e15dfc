"""One server: started, waited for, looked at when ready, and ended on every path."""

from __future__ import annotations

import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple, Optional

from coldproof_agent import compilecache, gpu, ready, redact
from coldproof_agent.containerlauncher import ContainerLauncher
from coldproof_agent.doubts import Doubts
from coldproof_agent.errors import Refusal
from coldproof_agent.evidence import Witnessing
from coldproof_agent.launcher import ProcessLauncher
from coldproof_agent.phases import Phases, markers
from coldproof_agent.plan import Step
from coldproof_agent.scene import Scene
from coldproof_agent.serverlog import ServerLog
from coldproof_agent.status import Status

PORT_TRIES = 3


class Served(NamedTuple):
    """What one start gave: ``memory`` of the GPUs at ready, ``read_bytes`` of the whole tree."""

    waited: ready.Waited
    log: dict[str, Any]
    phases: Phases
    watch: compilecache.Watch
    engine: dict[str, Any]
    read_bytes: Optional[int]
    stopped: dict[str, Any]
    memory: dict[str, Any]


class Attempt:
    """A start that is ready to be made: port, model id and command line are chosen.

    Raises:
        Refusal: the port is taken, or there is no program to start.
    """

    def __init__(self, scene: Scene, step: Step, seq: int, ledger: Path) -> None:
        self._scene, self._step = scene, step
        self._name = f"coldproof-{uuid.uuid4().hex[:12]}"
        self._address = str(scene.plan.local["host"])
        self._port = _port(self._address, int(scene.plan.local["port"]))
        self.command = scene.command(scene.values(self._port, self._name))
        self._launcher = _launcher(scene, ledger)
        logs = scene.folder / "logs"
        logs.mkdir(exist_ok=True, mode=0o755)
        self._log_path = logs / f"{seq:04d}-{step.mode}.log"

    def make(self, seen: Witnessing, doubts: Doubts, status: Status) -> Served:
        """Starts the server, waits, takes the evidence at ready, ends everything."""
        scene, server = self._scene, self._launcher
        data = scene.profile.data
        phases = Phases(str(data["first_phase"]), markers(data["markers"]))
        watch = compilecache.Watch(data["compile"])

        def on_line(stamp: float, text: str) -> None:
            phases.line(stamp, text)
            watch.line(text)

        def beat() -> None:
            elapsed = round(time.monotonic() - server.started_at, 1)
            status.beat(server_phase=phases.now(), elapsed_s=elapsed)

        status.set(phase="starting")
        memory: dict[str, Any] = {"devices": [], "used_mb": None, "reason": "never ready"}
        log: Optional[ServerLog] = None
        waited = ready.Waited("interrupted", None, None, 0.0, {}, 0.0)
        seen.before()
        try:
            try:
                pipe = server.start(self.command, self._name)
            except OSError as error:
                waited = ready.Waited("not_started", str(error), None, 0.0, {}, 0.0)
            else:
                log = ServerLog(pipe, self._log_path, server.started_at, self._secrets(), on_line)
                waited = ready.wait(server, self._check(), beat)
                seen.at_ready(server)
            if waited.load_s is not None:
                began = round(server.began_s(), 3)
                if began:
                    waited.edges["server_process"] = began
                    phases.preceded("container_start", began)
                status.set(phase="ready", last_s=waited.load_s)
                memory = gpu.look(scene.plan.local["gpus"])
                doubts.at_ready([one.pid for one in server.tree()])
                if self._step.mode == "prime":
                    scene.after_prime()
                    seen.after_prime()
                waited = ready.still(server, waited)
        finally:
            status.set(phase="stopping")
            stopped = server.stop(float(scene.plan.settings["stop_timeout_s"]), status.beat)
            if log is not None:
                log.close()
        return Served(
            waited,
            log.describe(scene.folder) if log else {"file": None, "tail": []},
            phases,
            watch,
            scene.describe_engine(self.command, self._port, self._name),
            server.read_bytes_at_end,
            stopped,
            memory,
        )

    def _secrets(self) -> list[str]:
        """Returns what must not show in the log: engines print their arguments."""
        found = redact.found_in(self.command.argv, self.command.env)
        return [*self._scene.secret.values(), *found]

    def _check(self) -> ready.Check:
        settings, data = self._scene.plan.settings, self._scene.profile.data
        given = any("{served_model_name}" in word for word in settings["engine_command"])
        names_model = given if settings["engine_command"] else bool(data["ready"]["model_id"])
        path = str(settings["ready_path"] or data["ready"]["path"])
        return ready.Check(
            self._address,
            self._port,
            path,
            data["health_path"],
            self._name if names_model and ready.lists_models(path) else None,
            float(settings["ready_timeout_s"]),
        )


def _launcher(scene: Scene, ledger: Path) -> ProcessLauncher:
    """Returns the launcher that the plan chooses, with everything read that it needs."""
    if scene.container is None:
        return ProcessLauncher(ledger)
    scene.container.prepare()
    files = [one.path for one in scene.weights()]
    binds = scene.container.binds(os.path.realpath(scene.path), files)
    return ContainerLauncher(ledger, scene.container, binds, list(scene.secret))


def _port(address: str, wanted: int) -> int:
    """Returns a port that is free now: a chosen one is tried again before the clock starts."""
    for attempt in range(PORT_TRIES):
        try:
            return ready.free_port(address, wanted)
        except socket.gaierror as error:
            raise Refusal(
                "host_unknown",
                f"{address}: {error.strerror}: give an address of this node",
                "coldproof_host",
            ) from error
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
