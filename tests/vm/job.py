"""The main job on machines: run to its end, followed on the node, and read afterwards."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.fleet.nodes import FleetError
from tests.fleet.play import Play, run_playbook
from tests.vm.machines import Machine

STATE = "/var/lib/coldproof"
# An emulated machine takes seconds for each task and each start.
PLAYBOOK_LIMIT_S = 1500
MID_RUN_LIMIT_S = 600.0


def probe(workplace: Path, inventory: Path, *arguments: str) -> Play:
    """Runs probe.yml over the machines of an inventory."""
    return run_playbook(workplace, inventory, *arguments, limit_s=PLAYBOOK_LIMIT_S)


def probe_meanwhile(
    workplace: Path, inventory: Path, machine: Machine, run: str, act: Callable[[list[str]], None]
) -> Play:
    """Runs probe.yml, and calls `act` as soon as a server starts in a run whose title ends so.

    `act` is given the lines of runs.jsonl that the node held at that instant.
    """
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(probe, workplace, inventory)
        # One connection that waits on the node: a login takes about as long as a start does.
        waiting = pool.submit(machine.ssh, _wait_script(run), limit_s=MID_RUN_LIMIT_S + 60)
        while not waiting.done():
            assert not running.done(), running.result().output
            time.sleep(0.05)
        act(_whole_lines(waiting.result()))
        return running.result()


def _wait_script(run: str) -> str:
    steps = [
        f"""grep -q '"phase": "starting".* {run}"' {STATE}/status.json 2>/dev/null""",
        f"cat {STATE}/campaigns/$(ls -t {STATE}/campaigns | head -1)/runs.jsonl",
    ]
    loop = f"until {steps[0]}; do sleep 0.3; done; {steps[1]}"
    return f"timeout {MID_RUN_LIMIT_S:.0f} sh -c {shlex.quote(loop)}"


def status(machine: Machine) -> dict[str, Any]:
    """Returns the node's status.json; nothing if there is none, or the node does not answer."""
    try:
        found: dict[str, Any] = json.loads(machine.ssh(f"cat {STATE}/status.json"))
    except FleetError:
        return {}
    return found


def on_node(machine: Machine, campaign: str) -> list[str]:
    """Returns the lines of runs.jsonl that the node itself holds, without their newlines."""
    return _whole_lines(machine.ssh(f"cat {STATE}/campaigns/{campaign}/runs.jsonl"))


def _whole_lines(text: str) -> list[str]:
    assert not text or text.endswith("\n"), f"a torn record: {text[-200:]!r}"
    return text.splitlines()


def fetched(done: Play, machine: Machine) -> list[dict[str, Any]]:
    """Returns the records that were fetched from a node, in the order of its file."""
    path = done.campaign() / "nodes" / machine.name / "runs.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
