"""Waits for a server to become ready, and keeps every edge on the way."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Optional

from coldproof_agent import host, httpget
from coldproof_agent.launcher import ProcessLauncher

MIN_POLL_S, MAX_POLL_S, POLL_SHARE = 0.02, 0.25, 0.01
ANSWER_S = 2.0
CONFIRM_S = 0.04
WRONG_MODEL_S = 5.0


class Check(NamedTuple):
    """What ready means: GET ``path`` is 200 and, if ``model_id`` is given, lists that model.

    Attributes:
        models_path: where the model is listed, if ``path`` lists none.
        said: when the server said in its log that it is ready, in seconds from process start. An
            answer may cost it a second; then the moment it said so counts, once it does answer.
        answer_s: longest time for one answer.
    """

    host: str
    port: int
    path: str
    health_path: Optional[str]
    model_id: Optional[str]
    timeout_s: float
    models_path: Optional[str] = None
    said: Callable[[], Optional[float]] = lambda: None
    answer_s: float = ANSWER_S


class Waited(NamedTuple):
    """How it ended. ``load_s`` is None if the server never became ready; all in seconds."""

    outcome: str
    detail: Optional[str]
    load_s: Optional[float]
    elapsed_s: float
    edges: dict[str, Optional[float]]
    resolution_s: float


def listsmodels_of(path: str) -> bool:
    """Says whether a readiness path answers with the list of models."""
    return path.partition("?")[0].rstrip("/").endswith("/models")


def free_port(address: str, wanted: int) -> int:
    """Returns the wanted port, or a free one for 0.

    The free one is below the range that the kernel gives to outgoing connections, where there is
    room: from that range it could be taken before the server binds it, even by our own polls.

    Raises:
        OSError: it is taken.
    """
    below = range(10240, _first_ephemeral())
    for port in [wanted] if wanted else random.sample(below, min(20, len(below))):
        with contextlib.suppress(OSError):
            return _bound(address, port)
    return _bound(address, wanted)


def _bound(address: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        return int(probe.getsockname()[1])


def _first_ephemeral() -> int:
    """Returns where the kernel's range for outgoing connections begins (ip(7)), 0 if unknown."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def wait(server: ProcessLauncher, check: Check, idle: Callable[[], None]) -> Waited:
    """Polls until the server is ready, has ended, or the time is over.

    The interval grows with the time already waited (1 % of it, 20 to 250 ms), so that its
    resolution stays at 1 % of the result. A poll costs about 0.3 ms of a core: up to 2 % in the
    first two seconds, under 1 % after them.

    Args:
        server: what was started.
        check: what ready means.
        idle: called at each poll.
    """
    edges: dict[str, Optional[float]] = {
        "process_start": 0.0,
        "port_open": None,
        "health_200": None,
        "models_200": None,
        "ready": None,
        "first_token": None,
    }
    watch = _Watch(server, check, edges, host.kills_by_oom())
    notes_due = 0.5
    while True:
        elapsed = time.monotonic() - server.started_at
        interval = min(MAX_POLL_S, max(MIN_POLL_S, POLL_SHARE * elapsed))
        if server.wait(interval):
            return watch.ended(interval)
        idle()
        elapsed = time.monotonic() - server.started_at
        if elapsed > notes_due:  # new sessions of daemons go to the ledger, ever more seldom
            server.tree()
            notes_due *= 2
        if elapsed > check.timeout_s:
            return watch.given_up(interval)
        over = watch.poll(interval)
        if over is not None:
            return over


def still(server: ProcessLauncher, waited: Waited) -> Waited:
    """Takes "ready" back if the server has ended since: call it when all evidence is taken."""
    if waited.load_s is None or not server.wait(0.0):
        return waited
    detail = f"was ready after {waited.load_s:.3f} s, then: {_why(server)}"
    edges = {**waited.edges, "ready": None}
    return waited._replace(outcome="crashed", detail=detail, load_s=None, edges=edges)


class _Watch:
    """What has been seen of one start so far."""

    def __init__(
        self, server: ProcessLauncher, check: Check, edges: dict[str, Optional[float]], ooms: int
    ) -> None:
        self._server, self._check, self._edges, self._ooms = server, check, edges, ooms
        self._wrong_since: Optional[float] = None
        self._outcome = "timeout"
        self._detail: Optional[str] = None
        self._took_back = 0
        self._said_early = False

    def poll(self, interval: float) -> Optional[Waited]:
        """Asks once; if it was ready, once more: many a server answers and dies, or goes back.

        Returns:
            how it ended, None if it goes on.
        """
        said, asked = self._check.said(), self._now()
        problem = _poll(self._server, self._check, self._edges)
        if problem is None:
            took = round(self._now() - asked, 3)
            said = self._check.said() if said is None else said  # while it was asked
            if said is None or self._said_early or self._took_back:
                self._edges["ready"], interval = self._now(), max(interval, took)
            else:
                self._edges["ready"] = round(said, 3)
            if self._server.wait(CONFIRM_S):
                return self.ended(interval)
            problem = _poll(self._server, self._check, self._edges)
            if problem is None:
                load_s = float(self._edges["ready"] or 0.0)
                detail = "answered 200 and took it back" if self._took_back else None
                return Waited("ready", detail, load_s, load_s, self._edges, interval)
            self._take_back()
        self._said_early = self._said_early or said is not None
        outcome, detail = problem
        self._detail = detail or self._detail
        if outcome == "foreign_listener":
            self._edges.update(port_open=None, health_200=None)
            return self._over(outcome, interval)
        if outcome == "wrong_model":
            self._wrong_since = self._wrong_since or self._now()
            if self._now() - self._wrong_since > WRONG_MODEL_S:
                return self._over(outcome, interval)
        return None

    def ended(self, interval: float) -> Waited:
        """Returns how a server ended that has ended."""
        again = "answered 200 once, then: " if self._edges["ready"] or self._took_back else ""
        self._take_back()
        elapsed = self._now()
        self._detail = f"{again}{_why(self._server)} after {elapsed:.1f} s{self._oom()}"
        killed = self._oom() and self._server.exit_status in (-9, 137)
        return self._over("oom" if killed else "crashed", interval)

    def given_up(self, interval: float) -> Waited:
        """Returns what is to be said when the time is over."""
        self._detail = self._detail or f"not ready within {self._check.timeout_s:g} s"
        self._detail += self._oom()
        if self._server.owns_listener(self._check.port, self._check.host) is False:
            self._detail = _foreign(self._check)
            return self._over("foreign_listener", interval)
        return self._over("timeout" if self._wrong_since is None else "wrong_model", interval)

    def _oom(self) -> str:
        """Returns what to add if the kernel ran out of memory meanwhile: a worker may be gone."""
        struck = host.kills_by_oom() - self._ooms
        return f"; the OOM killer ended {struck} processes of this host meanwhile" if struck else ""

    def _take_back(self) -> None:
        self._took_back += self._edges["ready"] is not None
        self._edges.update(ready=None, models_200=None)

    def _over(self, outcome: str, interval: float) -> Waited:
        return Waited(outcome, self._detail, None, self._now(), self._edges, interval)

    def _now(self) -> float:
        return round(time.monotonic() - self._server.started_at, 3)


def _poll(
    server: ProcessLauncher, check: Check, edges: dict[str, Optional[float]]
) -> Optional[tuple[str, Optional[str]]]:
    """Asks once. Returns None if ready, else what is not so yet."""
    if check.health_path and edges["health_200"] is None and check.health_path != check.path:
        asked = time.monotonic()
        health = httpget.get(check.host, check.port, check.health_path, check.answer_s)
        if not health.connected:
            return "waiting", None
        _edge(server, edges, "port_open", asked)
        if health.status == 200:
            _edge(server, edges, "health_200")
        elif health.status == 503:
            return "waiting", f"{check.health_path} answered 503"
    asked = time.monotonic()
    answer = httpget.get(check.host, check.port, check.path, check.answer_s)
    if not answer.connected:
        return "waiting", None
    _edge(server, edges, "port_open", asked)
    if answer.status != 200:
        return "waiting", answer.problem or f"{check.path} answered {answer.status}"
    owned = server.owns_listener(check.port, check.host)
    if owned is False and not server.wait(MIN_POLL_S):  # it may be forking, or ending: look again
        owned = server.owns_listener(check.port, check.host)
        if owned is False and not server.wait(0.0):
            return "foreign_listener", _foreign(check)
    if not owned:
        return "waiting", None
    if check.path == check.health_path:
        _edge(server, edges, "health_200")
    models_path = check.path if listsmodels_of(check.path) else check.models_path
    if check.model_id is not None and models_path is not None:
        if models_path != check.path:
            answer = httpget.get(check.host, check.port, models_path, check.answer_s)
            if answer.status != 200:
                return "waiting", answer.problem or f"{models_path} answered {answer.status}"
        named = models_of(answer.json())
        if check.model_id not in named:
            return "wrong_model", f"{models_path} names {named or 'no model'}, not this run's"
    if models_path is not None:
        _edge(server, edges, "models_200")
    return None


def _foreign(check: Check) -> str:
    return f"port {check.port} is answered by a process we did not start"


def _edge(
    server: ProcessLauncher,
    edges: dict[str, Optional[float]],
    name: str,
    at: Optional[float] = None,
) -> None:
    if edges[name] is None:
        edges[name] = round((time.monotonic() if at is None else at) - server.started_at, 3)


def models_of(body: Any) -> list[str]:
    """Returns the ids of an OpenAI list of models."""
    try:
        return [str(one["id"])[:200] for one in body["data"]][:20]
    except (KeyError, TypeError):
        return []


def _why(server: ProcessLauncher) -> str:
    status = server.exit_status
    if status is None:
        return "its supervisor was killed"
    return f"signal {-status}" if status < 0 else f"exit status {status}"
