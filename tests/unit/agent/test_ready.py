"""Ready is what our own server says of this run's model, twice; nothing else ever is."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import procfs, ready
from tests.counts import LONG, seeded
from tests.unit.agent.drivers import drive

TRAPS = {  # behaviour: seconds it takes as its argument, outcomes it may end with
    "once": (0.0, {"crashed"}),
    "after": (0.02, {"crashed"}),
    "wrong": (0.0, {"wrong_model"}),
    "garbage": (0.0, {"timeout"}),
    "nested": (0.0, {"wrong_model"}),
    "digits": (0.0, {"timeout"}),
    "short": (0.0, {"timeout"}),
    "drip": (0.0, {"timeout"}),
    "endless": (0.0, {"timeout"}),
    "mute": (0.0, {"timeout"}),
    "crash": (0.0, {"crashed"}),
    "hang": (0.0, {"timeout"}),
    "forks_away": (0.0, {"crashed"}),
}


def test_each_edge_is_kept(tmp_path: Path) -> None:
    waited = drive.run(drive.job(tmp_path, "ok", 0.4, health="/health"))["waited"]
    edges = waited["edges"]
    assert waited["outcome"] == "ready"
    assert waited["load_s"] == waited["elapsed_s"] == edges["ready"]
    assert 0.0 == edges["process_start"] < edges["port_open"] < edges["health_200"]
    assert edges["health_200"] <= edges["models_200"] <= edges["ready"]
    assert edges["health_200"] >= 0.4
    assert waited["resolution_s"] <= 0.25


def trap(folder: Path, name: str, health: bool) -> dict[str, Any]:
    """Springs one trap. Returns the answer of the stand-in agent."""
    seconds, _ = TRAPS[name]
    path = "/health" if health else None
    given = drive.job(folder, name, seconds, timeout_s=1.0, health=path, evidence_s=0.3)
    answer = drive.run(given, timeout_s=120)
    assert answer["left"] == []
    return answer


def test_no_trap_is_ever_ready(tmp_path: Path) -> None:
    chance = seeded("traps")
    names = list(TRAPS) * (16 if LONG else 1)
    chance.shuffle(names)
    health = [chance.random() < 0.5 for _ in names]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(trap, [tmp_path] * len(names), names, health))
    for name, answer in zip(names, answers, strict=True):
        waited = answer["waited"]
        assert waited["load_s"] is None, (name, waited)
        assert waited["edges"]["ready"] is None, (name, waited)
        assert waited["outcome"] in TRAPS[name][1], (name, waited)
        assert waited["detail"], name
        assert waited["elapsed_s"] < 20, (name, waited)


def test_a_crash_keeps_the_last_words(tmp_path: Path) -> None:
    answer = drive.run(drive.job(tmp_path, "crash"))
    assert answer["waited"]["outcome"] == "crashed"
    assert "exit status 1" in answer["waited"]["detail"]
    assert answer["log"][-1].endswith("server: no such model")


def test_a_server_that_ends_while_evidence_is_taken_was_not_ready(tmp_path: Path) -> None:
    answer = drive.run(drive.job(tmp_path, "after", 0.5, evidence_s=2.0))
    assert answer["waited"]["outcome"] == "crashed"
    assert answer["waited"]["load_s"] is None
    assert "was ready after" in answer["waited"]["detail"]
    assert "exit status 7" in answer["waited"]["detail"]


def test_200_taken_back_counts_from_when_it_stays(tmp_path: Path) -> None:
    waited = drive.run(drive.job(tmp_path, "early", 1.0))["waited"]
    assert waited["outcome"] == "ready"
    assert waited["load_s"] >= 1.0
    assert "took it back" in waited["detail"]


def test_sglang_is_ready_when_it_says_so_and_then_answers(tmp_path: Path) -> None:
    """Its models are listed before it is ready, and each answer of /health costs it a second."""
    waited = drive.run(drive.job(tmp_path, "sglang", 1.0, engine="sglang"))["waited"]
    edges = waited["edges"]
    assert waited["outcome"] == "ready"
    # Not the second and a bit that asking took.
    assert 1.0 <= waited["load_s"] < edges["health_200"], waited
    assert edges["health_200"] > edges["ready"] > edges["port_open"]


def test_a_line_that_comes_too_early_counts_for_nothing(tmp_path: Path) -> None:
    waited = drive.run(drive.job(tmp_path, "hasty", 1.5, engine="sglang"))["waited"]
    assert waited["outcome"] == "ready"
    assert waited["load_s"] >= 2.5
    assert waited["resolution_s"] >= 1.0


@contextlib.contextmanager
def foreign(behaviour: str, port: int, model: str) -> Iterator[None]:
    """Somebody else's server on a port."""
    words = [sys.executable, "-I", "-S", str(drive.HERE / "server.py"), behaviour, str(port), model]
    child = subprocess.Popen(words, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"listening\n"
        yield
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("ours", ["hang", "ok"])
def test_somebody_elses_server_is_never_ours(tmp_path: Path, ours: str) -> None:
    """Even with the right model id; our own hangs, or cannot bind the port."""
    given = drive.job(tmp_path, ours, timeout_s=3.0)
    with foreign("ok", given["port"], given["model_id"]):
        waited = drive.run(given)["waited"]
    assert waited["load_s"] is None
    assert waited["outcome"] == ("foreign_listener" if ours == "hang" else "crashed") or (
        ours == "ok" and waited["outcome"] == "foreign_listener"  # it asked before ours ended
    )


def test_a_port_shared_with_somebody_else_is_not_ours(tmp_path: Path) -> None:
    """SO_REUSEPORT: both listen, and the kernel chooses who answers."""
    given = drive.job(tmp_path, "shared", timeout_s=5.0, model_id=None)
    with foreign("shared", given["port"], "theirs"):
        waited = drive.run(given)["waited"]
    assert waited["outcome"] == "foreign_listener"
    assert waited["load_s"] is None


def test_a_foreign_server_that_only_refuses_is_named_in_the_end(tmp_path: Path) -> None:
    given = drive.job(tmp_path, "hang", timeout_s=1.0)
    with foreign("mute", given["port"], "theirs"):
        waited = drive.run(given)["waited"]
    assert waited["outcome"] == "foreign_listener"
    assert "we did not start" in waited["detail"]


def test_a_listener_of_another_address_disturbs_nobody(tmp_path: Path) -> None:
    given = drive.job(tmp_path, "ok")
    with socket.socket() as other:
        other.bind(("127.0.0.2", given["port"]))
        other.listen()
        assert drive.run(given)["waited"]["outcome"] == "ready"


def test_no_proxy_is_ever_asked(tmp_path: Path) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = proxy.accept()
                    asked.append(connection.recv(100))
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        names = ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY")
        given = drive.job(tmp_path, "ok")
        waited = drive.run(given, env={**dict.fromkeys(names, url), "no_proxy": ""})["waited"]
    assert waited["outcome"] == "ready"
    assert asked == []


def test_a_taken_port_is_refused_and_a_free_one_is_free() -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, pytest.raises(OSError, match="in use"):
        ready.free_port("127.0.0.1", taken.getsockname()[1])
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {ready.free_port("127.0.0.1", 0) for _ in range(20)}
    assert len(ports) > 1
    assert max(ports) < first, "in that range our own polls could take it"
    assert all(not procfs.listeners(port) for port in ports)


def test_waiting_costs_next_to_nothing(tmp_path: Path) -> None:
    """Agent and supervisor, with all modules of the agent loaded, for twelve seconds."""
    answer = drive.run(drive.job(tmp_path, "hang", timeout_s=12.0, cost=True))
    assert answer["waited"]["outcome"] == "timeout"
    cost = answer["cost"]
    print(cost)
    assert cost["of_s"] > 8
    assert cost["cpu_s"] < 0.01 * cost["of_s"] + 2 / os.sysconf("SC_CLK_TCK")  # read twice
    assert cost["pss_mib"] < 30.0
