"""Controllers that are still running: to be killed, or joined by a second one."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.fleet.nodes import Node
from tests.fleet.play import ROOT, controller_environment

START_LIMIT_S = 180.0


class Controller:
    """An ansible-playbook of probe.yml in a process group of its own."""

    def __init__(self, directory: Path, inventory: Path, *arguments: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.output_file = directory / "controller.log"
        command = [str(Path(sys.executable).parent / "ansible-playbook"), str(ROOT / "probe.yml")]
        with self.output_file.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "-i", str(inventory), "-l", "gpu-nodes", *arguments],
                cwd=directory,
                env=controller_environment(directory, directory / "controller-tasks.jsonl"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.output_file.read_text("utf-8", "replace")

    def kill(self, number: signal.Signals) -> None:
        """Sends a signal to ansible-playbook alone and waits for its end: workers may survive.

        They would for ever, in a pipe that nobody reads: they end with the tests.
        """
        atexit.register(_end_group, self.process.pid)
        os.kill(self.process.pid, number)
        self.process.wait(timeout=30)

    def __enter__(self) -> Controller:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)


def _end_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def status(node: Node) -> dict[str, Any]:
    """Returns the node's status.json, or one of step 0."""
    try:
        found: dict[str, Any] = json.loads((node.state / "status.json").read_text("utf-8"))
    except FileNotFoundError:
        return {"step": 0}
    return found


def wait_for_step(node: Node, step: int, controller: Controller) -> None:
    """Returns when the node has come so far; fails if the controller ended before."""
    deadline = time.monotonic() + START_LIMIT_S
    while status(node)["step"] < step:
        assert controller.process.poll() is None, controller.output
        assert time.monotonic() < deadline, controller.output
        time.sleep(0.05)


def wait_for_start(node: Node, run: str, controller: Controller) -> None:
    """Returns when the node starts the server of a run whose title holds this ("cold 2/")."""
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        now = status(node)
        if now.get("phase") == "starting" and run in str(now["run"]):
            return
        assert controller.process.poll() is None, controller.output
        assert time.monotonic() < deadline, controller.output
        time.sleep(0.02)
