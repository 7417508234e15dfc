"""Runs the drivers beside it: the stand-in agent as a process of its own, and its servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from coldproof_agent import procfs, ready

HERE = Path(__file__).parent
SOURCE = HERE.parents[3] / "roles/agent/files"
FAMILY = 4  # processes of the behaviours "family" and "deaf": server, two children, a daemon
SLEEPERS = (
    "setsid env -i sleep 3600 & sleep 3600 & trap '' TERM; while :; do sleep 3600 & wait; done"
)


def job(folder: Path, behaviour: str, seconds: float = 0.0, **more: Any) -> dict[str, Any]:
    """Returns a job for the stand-in agent: a server of a behaviour (see server.py)."""
    port = ready.free_port("127.0.0.1", 0)
    name = f"coldproof-{uuid.uuid4().hex[:12]}"
    program = [sys.executable, "-I", "-S", str(HERE / "server.py")]
    return {
        "do": "run",
        "argv": [*program, behaviour, str(port), name, str(seconds)],
        "ledger": str(folder / f"launched-{name}.json"),
        "marker": name,
        "port": port,
        "model_id": name,
        "timeout_s": 20.0,
        **more,
    }


def agent(given: dict[str, Any], **env: str) -> subprocess.Popen[str]:
    """Starts the stand-in agent in a session of its own."""
    return subprocess.Popen(
        [*given.get("before", []), sys.executable, str(HERE / "agent.py"), json.dumps(given)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(
    given: dict[str, Any], timeout_s: float = 60.0, env: dict[str, str] | None = None
) -> dict[str, Any]:
    """Runs the stand-in agent to its end. Returns its last answer."""
    child = agent(given, **(env or {}))
    output, errors = child.communicate(timeout=timeout_s)
    assert child.returncode == 0, errors
    answer = json.loads(output.splitlines()[-1])
    assert isinstance(answer, dict)
    return answer


class Held:
    """A stand-in agent that keeps its server. Use as a context: the whole tree ends with it.

    Args:
        given: the job; ``family`` in it says how many processes to wait for.
        env: what its environment has beside ours.
    """

    def __init__(self, given: dict[str, Any], env: dict[str, str] | None = None) -> None:
        self._child = agent({**given, "do": "hold"}, **(env or {}))
        self.tree: list[procfs.Process] = []
        while len(self.tree) < given.get("family", 1):
            answer = self.read()
            if "tree" in answer:
                self.supervisor = int(answer["supervisor"])
                self.tree = living(procfs.process(pid) for pid in answer["tree"])
        self.agent = self._child.pid
        keeper = procfs.process(self.supervisor)
        self.all = [*self.tree, *living([procfs.process(self.agent), keeper])]

    def read(self) -> dict[str, Any]:
        """Returns the agent's next answer."""
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        assert line, self._child.communicate()[1]
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Sends a signal; reaps the agent, as its parent, if that ended it."""
        os.kill(pid, number)
        if pid == self.agent and number == signal.SIGKILL:
            self._child.wait(10)

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        for one in living(self.all):
            os.kill(one.pid, signal.SIGKILL)
        self._child.communicate(timeout=10)


def living(processes: Iterable[procfs.Process | None]) -> list[procfs.Process]:
    """Returns those of some processes that live still, not later ones of their numbers."""
    found = []
    for one in processes:
        now = procfs.process(one.pid) if one else None
        if one and now and now.starttime == one.starttime and now.state not in "ZX":
            found.append(one)
    return found


def left_after(processes: Iterable[procfs.Process], within_s: float) -> list[procfs.Process]:
    """Waits until some processes are gone. Returns those that are not."""
    wanted = list(processes)
    end = time.monotonic() + within_s
    while living(wanted) and time.monotonic() < end:
        time.sleep(0.01)
    return living(wanted)


def marked(marker: str) -> list[procfs.Process]:
    """Returns the living processes that carry a marker in their environment."""
    word = f"COLDPROOF_RUN={marker}".encode()
    return [one for one in procfs.processes().values() if word in procfs.environment(one.pid)]
