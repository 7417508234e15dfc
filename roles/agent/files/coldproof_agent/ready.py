"""Waits for a server to become ready, and keeps every edge on the way."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

from coldproof_agent import host, httpget
from coldproof_agent.launcher import ProcessLauncher

MIN_POLL_S, MAX_POLL_S, POLL_SHARE = 0.02, 0.25, 0.01
ANSWER_S = 2.0
WRONG_MODEL_S = 5.0


class Check(NamedTuple):
    """What ready means: GET ``path`` is 200 and, if ``model_id`` is given, lists that model."""

    host: str
    port: int
    path: str
    health_path: Optional[str]
    model_id: Optional[str]
    timeout_s: float


class Waited(NamedTuple):
    """How it ended. ``load_s`` is None if the server never became ready; all in seconds."""

    outcome: str
    detail: Optional[str]
    load_s: Optional[float]
    elapsed_s: float
    edges: dict[str, Optional[float]]
    resolution_s: float


def free_port(address: str, wanted: int) -> int:
    """Returns the wanted port, or a free one for 0.

    Raises:
        OSError: it is taken.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, wanted))
        return int(probe.getsockname()[1])


def wait(server: ProcessLauncher, check: Check, idle: Callable[[], None]) -> Waited:
    """Polls until the server is ready, has ended, or the time is over.

    The interval grows with the time already waited (1 % of it, 20 to 250 ms), so that the poll
    costs under 1 % of a core and its resolution stays under 1 % of the result.

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
    ooms = host.kills_by_oom()
    answered: Optional[float] = None
    detail: Optional[str] = None
    notes_due = 0.5
    while True:
        elapsed = time.monotonic() - server.started_at
        interval = min(MAX_POLL_S, max(MIN_POLL_S, POLL_SHARE * elapsed))
        if server.wait(interval):
            return _ended(server, edges, ooms, interval)
        idle()
        elapsed = time.monotonic() - server.started_at
        if elapsed > notes_due:  # new sessions of daemons go to the ledger, ever more seldom
            server.tree()
            notes_due *= 2
        if elapsed > check.timeout_s:
            outcome = "wrong_model" if answered is not None else "timeout"
            why = detail or f"not ready within {check.timeout_s:g} s"
            return Waited(outcome, why, None, round(elapsed, 3), edges, interval)
        problem = _poll(server, check, edges)
        now = time.monotonic() - server.started_at
        if problem is None:
            edges["ready"] = edges["ready"] or round(now, 3)
            return _confirm(server, check, edges, ooms, interval)
        if problem[0] == "foreign_listener":
            return Waited(*problem, None, round(now, 3), edges, interval)
        detail = problem[1] or detail
        if problem[0] == "wrong_model":
            answered = answered or now
            if now - answered > WRONG_MODEL_S:
                return Waited("wrong_model", detail, None, round(now, 3), edges, interval)


def _poll(
    server: ProcessLauncher, check: Check, edges: dict[str, Optional[float]]
) -> Optional[tuple[str, Optional[str]]]:
    """Asks once. Returns None if ready, else what is not so yet."""
    if check.health_path and edges["health_200"] is None and check.health_path != check.path:
        health = httpget.get(check.host, check.port, check.health_path, ANSWER_S)
        if not health.connected:
            return "waiting", None
        _edge(server, edges, "port_open")
        if health.status == 200:
            _edge(server, edges, "health_200")
        elif health.status == 503:
            return "waiting", None
    answer = httpget.get(check.host, check.port, check.path, ANSWER_S)
    if not answer.connected:
        return "waiting", None
    _edge(server, edges, "port_open")
    if answer.status != 200:
        return "waiting", answer.problem or f"{check.path} answered {answer.status}"
    if not server.owns_listener(check.port):
        if server.wait(0.0):
            return "waiting", None
        return "foreign_listener", f"port {check.port} is answered by a process we did not start"
    if check.model_id is not None:
        named = _models(answer.json())
        if check.model_id not in named:
            return "wrong_model", f"{check.path} names {named or 'no model'}, not this run's"
    if check.path.endswith("/models"):
        _edge(server, edges, "models_200")
    return None


def _edge(server: ProcessLauncher, edges: dict[str, Optional[float]], name: str) -> None:
    if edges[name] is None:
        edges[name] = round(time.monotonic() - server.started_at, 3)


def _models(body: Any) -> list[str]:
    """Returns the ids of an OpenAI list of models."""
    try:
        return [str(one["id"])[:200] for one in body["data"]][:20]
    except (KeyError, TypeError):
        return []


def _confirm(
    server: ProcessLauncher,
    check: Check,
    edges: dict[str, Optional[float]],
    ooms: int,
    interval: float,
) -> Waited:
    """Asks again: a server that answered once and died was never ready."""
    load_s = edges["ready"]
    if (
        server.wait(MIN_POLL_S * 2)
        or httpget.get(check.host, check.port, check.path, ANSWER_S).status != 200
    ):
        server.wait(0.5)
        edges["ready"] = None
        ended = _ended(server, edges, ooms, interval)
        return ended._replace(detail=f"answered 200 once, then: {ended.detail}")
    return Waited("ready", None, load_s, float(load_s or 0.0), edges, interval)


def _ended(
    server: ProcessLauncher, edges: dict[str, Optional[float]], ooms: int, interval: float
) -> Waited:
    elapsed = round(time.monotonic() - server.started_at, 3)
    status = server.exit_status
    if status is None:
        why = "no answer any more" if server.supervised else "its supervisor was killed"
    else:
        why = f"signal {-status}" if status < 0 else f"exit status {status}"
    outcome = "crashed"
    if host.kills_by_oom() > ooms and status in (-9, 137):
        outcome, why = "oom", "the kernel's OOM killer ended a process"
    return Waited(outcome, f"{why} after {elapsed:.1f} s", None, elapsed, edges, interval)
