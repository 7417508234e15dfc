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


def in_run(job: Callable[[], Play], *acts: Callable[[], None]) -> Play:
    """Runs a job, and beside it what is to happen to its machines meanwhile.

    An act that fails, or a job that ends before an act is over, fails the test.
    """
    with ThreadPoolExecutor(1 + len(acts)) as pool:
        running = pool.submit(job)
        doing = [pool.submit(act) for act in acts]
        while not all(act.done() for act in doing):
            failed = next((act for act in doing if act.done() and act.exception()), None)
            if failed is not None:
                failed.result()
            assert not running.done(), running.result().output
            time.sleep(0.05)
        for act in doing:
            act.result()
        return running.result()


def when_started(machine: Machine, run: str) -> list[str]:
    """Waits until a server starts in a run whose title ends so ("cold 2/3").

    Returns the lines of runs.jsonl that the node held at that instant. One connection waits on
    the node: a login takes about as long as a start does.
    """
    looks = f"""grep -q '"phase": "starting".* {run}"' {STATE}/status.json 2>/dev/null"""
    shows = f"cat {STATE}/campaigns/$(ls -t {STATE}/campaigns | head -1)/runs.jsonl"
    loop = shlex.quote(f"until {looks}; do sleep 0.3; done; {shows}")
    waits = f"timeout {MID_RUN_LIMIT_S:.0f} sh -c {loop}"
    return _whole_lines(machine.ssh(waits, limit_s=MID_RUN_LIMIT_S + 60))


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
