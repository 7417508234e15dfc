"""One server: started, waited for, looked at when ready, and ended on every path."""

from __future__ import annotations

import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple, Optional

from coldproof_agent import compilecache, firsttoken, gpu, logwatch, ready, redact
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
    """What one start gave.

    ``memory`` and PCIe ``links`` of the GPUs at ready, ``read_bytes`` of the whole tree, ``told``
    by its log, ``first_token`` as of :func:`firsttoken.ask` (None: not asked for).
    """

    waited: ready.Waited
    log: dict[str, Any]
    phases: Phases
    watch: compilecache.Watch
    engine: dict[str, Any]
    read_bytes: Optional[int]
    stopped: dict[str, Any]
    memory: dict[str, Any]
    told: dict[str, Any]
    links: dict[int, dict[str, Any]]
    first_token: Optional[dict[str, Any]]


class Attempt:
    """A start that is ready to be made: port, model id and command line are chosen.

    Args:
        scene, step: what is started.
        seq: the run's number in the journal.
        ledger: see :class:`launcher.ProcessLauncher`.
        has_gpu: whether there is a GPU for it: some lines of a log come only then.

    Raises:
        Refusal: the port is taken, or there is no program to start.
    """

    def __init__(self, scene: Scene, step: Step, seq: int, ledger: Path, has_gpu: bool) -> None:
        self._scene, self._step, self._has_gpu = scene, step, has_gpu
        self._name = f"coldproof-{uuid.uuid4().hex[:12]}"
        self._address = str(scene.plan.local["host"])
        self._port = _port(self._address, int(scene.plan.local["port"]))
        values = scene.values(self._port, self._name)
        self.command = scene.command(values)
        self._model_id = scene.model_id(values)
        self._launcher = _launcher(scene, ledger)
        logs = scene.folder / "logs"
        logs.mkdir(exist_ok=True, mode=0o755)
        self._log_path = logs / f"{seq:04d}-{step.mode}.log"

    def make(self, seen: Witnessing, doubts: Doubts, status: Status) -> Served:
        """Starts the server, waits, takes the evidence at ready, ends everything."""
        scene, server = self._scene, self._launcher
        data = scene.profile.data
        known = markers(data["markers"], self.command.argv, gpu=self._has_gpu)
        phases = Phases(str(data["first_phase"]), known, str(data.get("to_name", "")))
        watch, told = compilecache.Watch(data["compile"]), logwatch.LogWatch(data)

        def on_line(stamp: float, text: str) -> None:
            phases.line(stamp, text)
            watch.line(text)
            told.line(stamp, text)

        def beat() -> None:
            elapsed = round(time.monotonic() - server.started_at, 1)
            status.beat(server_phase=phases.now(), elapsed_s=elapsed)

        status.set(phase="starting")
        memory: dict[str, Any] = {"devices": [], "used_mb": None, "reason": "never ready"}
        log: Optional[ServerLog] = None
        links: dict[int, dict[str, Any]] = {}
        first_token: Optional[dict[str, Any]] = None
        waited = ready.Waited("interrupted", None, None, 0.0, {}, 0.0)
        seen.before()
        try:
            try:
                pipe = server.start(self.command, self._name)
            except OSError as error:
                waited = ready.Waited("not_started", str(error), None, 0.0, {}, 0.0)
            else:
                log = ServerLog(pipe, self._log_path, server.started_at, self._secrets(), on_line)
                check = self._check(told)
                waited = ready.wait(server, check, beat)
                seen.at_ready(server)
            if waited.load_s is not None:
                began = round(server.began_s(), 3)
                if began:
                    waited.edges["server_process"] = began
                    phases.preceded("container start", began)
                status.set(phase="ready", last_s=waited.load_s)
                memory = gpu.look(scene.plan.local["gpus"])
                links = gpu.links(scene.plan.local["gpus"]) if memory["devices"] else {}
                doubts.at_ready([one.pid for one in server.tree()])
                if self._step.mode == "prime":
                    scene.after_prime()
                    seen.after_prime()
                # Last: it may read and compile what no start before its first request does.
                first_token = self._first_token(check)
                waited = ready.still(server, _with_token(waited, first_token))
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
            scene.describe_engine(self.command, self._port, self._model_id or self._name),
            server.read_bytes_at_end,
            stopped,
            memory,
            told.values(),
            links,
            first_token,
        )

    def _first_token(self, check: ready.Check) -> Optional[dict[str, Any]]:
        """Asks for a token if that is wanted; a failure is told, and spoils nothing else."""
        if not self._scene.plan.settings["first_token"]:
            return None
        return firsttoken.ask(check, self._scene.profile.data["completion"])

    def _secrets(self) -> list[str]:
        """Returns what must not show in the log: engines print their arguments."""
        found = redact.found_in(self.command.argv, self.command.env)
        return [*self._scene.secret.values(), *found]

    def _check(self, told: logwatch.LogWatch) -> ready.Check:
        settings, data = self._scene.plan.settings, self._scene.profile.data["ready"]
        own_path = settings["ready_path"]
        return ready.Check(
            self._address,
            self._port,
            str(own_path or data["path"]),
            self._scene.profile.data["health_path"],
            self._model_id,
            float(settings["ready_timeout_s"]),
            data.get("models_path"),
            (lambda: None) if own_path else told.ready_at,
            float(data.get("answer_s", ready.ANSWER_S)),
        )


def _with_token(waited: ready.Waited, token: Optional[dict[str, Any]]) -> ready.Waited:
    """Adds the edge of the first token: ready, and what one completion took after it."""
    if token is None or token["seconds"] is None or waited.load_s is None:
        return waited
    edges = {**waited.edges, "first_token": round(waited.load_s + token["seconds"], 3)}
    return waited._replace(edges=edges)


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
