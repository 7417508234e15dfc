"""Agent and supervisor killed at once: what they leave is named, ended, and in nobody's way."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from coldproof_agent import procfs, ready
from tests.unit.agent import plans
from tests.unit.agent.drivers import campaigns, drive, smi

Answer = Callable[..., dict[str, Any]]
HOOK = """
import os, time
open(folder + "/apps", "w").write(f"GPU-0, {os.getpid()}, python, 9000\\n")
open(folder + "/pid", "w").write(f"{os.getpid()}\\n")
if start == 2:
    time.sleep(3600)
"""


class Orphan(NamedTuple):
    """A server that nobody owns any more, and its campaign."""

    server: procfs.Process
    plan: dict[str, Any]
    state: Path
    env: dict[str, str]


@pytest.fixture
def orphan(tiny: Path, tmp_path: Path) -> Iterator[Orphan]:
    """A server that holds its port and a GPU; agent and supervisor were killed in its cold run.

    The GPU lists it for a while when it has ended.
    """
    state = tmp_path / "state"
    port = ready.free_port("127.0.0.1", 0)
    plan = campaigns.hooked(tiny, tmp_path, HOOK, local={"port": port})
    plans.put(state, plan)
    (tmp_path / "gpus").write_text(smi.card(0) + "\n")
    (tmp_path / "during").write_text(smi.card(0, 9100) + "\n")
    env = {"PATH": smi.put(tmp_path, smi.by_files(tmp_path))}
    with campaigns.foreground(state, **env) as agent:
        try:
            campaigns.until(
                lambda: len(campaigns.starts(tmp_path)) == 2 or agent.poll() is not None,
                "the second start",
            )
            server = procfs.process(campaigns.starts(tmp_path)[1]["pid"])
            assert server is not None
            campaigns.until(lambda: procfs.listeners(port, "127.0.0.1"), "it listens")
            os.kill(server.ppid, signal.SIGSTOP)
        finally:
            agent.kill()
    os.kill(server.ppid, signal.SIGKILL)
    campaigns.until(lambda: (tmp_path / "pid").read_text() == f"{server.pid}\n", "it is on the GPU")
    (tmp_path / "linger").write_text("2\n")
    assert drive.living([server]) == [server]
    yield Orphan(server, plan, state, env)
    for one in drive.living([server]):
        os.kill(one.pid, signal.SIGKILL)


def preflight(answer: Answer, orphan: Orphan, plan: dict[str, Any]) -> dict[str, Any]:
    """Asks what would keep a plan from being carried out."""
    encoded = base64.b64encode(json.dumps(plan).encode()).decode()
    return answer("preflight", "--plan-b64", encoded, "--state", orphan.state, **orphan.env)


def test_preflight_names_an_orphan_and_ends_nothing(orphan: Orphan, answer: Answer) -> None:
    found = preflight(answer, orphan, orphan.plan)
    assert found["refusals"] == []
    (warning,) = (one for one in found["warnings"] if "earlier run" in one)
    assert "which will be ended: " in warning
    assert f"pid {orphan.server.pid} (" in warning
    assert str(campaigns.ENGINE)[:20] in warning
    assert drive.living([orphan.server]) == [orphan.server]
    assert (orphan.state / "launched.json").exists()


def test_the_next_start_ends_an_orphan_on_its_port_and_goes_on(
    orphan: Orphan, answer: Answer
) -> None:
    started = answer("start", "--state", orphan.state, **orphan.env)
    assert (started["ok"], started["joined"]) == (True, False), started
    assert drive.left_after([orphan.server], 1.0) == []
    campaigns.until(lambda: campaigns.status(orphan.state)["done"], "the campaign ends")
    name = orphan.plan["campaign"]
    (ended,) = campaigns.events(orphan.state, name, "leftover_ended")
    assert ended["pid"] == orphan.server.pid
    assert "engine.py" in ended["command"]
    assert [(one["mode"], one["outcome"]) for one in campaigns.runs(orphan.state, name)] == [
        ("prime", "ready"), ("cold", "ready"), ("warm", "ready"),
    ]  # fmt: skip
    assert len(campaigns.events(orphan.state, name, "interrupted")) == 1
    assert not (orphan.state / "launched.json").exists()


def test_somebody_elses_server_on_the_port_is_refused_still(orphan: Orphan, answer: Answer) -> None:
    """Without the ledger nothing says that it is ours."""
    (orphan.state / "launched.json").unlink()
    refused = answer("start", "--state", orphan.state, status=1, **orphan.env)["refusals"]
    assert {one["code"] for one in refused} == {"port_taken", "gpu_busy"}
    assert drive.living([orphan.server]) == [orphan.server]
