"""Nodes and agents that are lost while the campaign runs: nothing that had finished is lost."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet, Node
from tests.fleet.play import Play, run_playbook

pytestmark = pytest.mark.faults

REPEATS = 4
STARTS = 1 + 2 * REPEATS
NUMBERS = itertools.count(1)


@pytest.fixture
def alone(fleet: Fleet) -> Iterator[Node]:
    """A node of its own, so that what is done to it touches no other test."""
    node = fleet.add(f"gpu-lost-{next(NUMBERS)}")
    node.variables["coldproof_model_path"] = str(write_model(node.folder / "models/m", mib=64))
    node.variables["coldproof_repeats"] = REPEATS
    yield node
    fleet.nodes.pop(node.name).stop()


def status(node: Node) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((node.state / "status.json").read_text("utf-8"))
    except FileNotFoundError:
        return {"step": 0}
    return found


def meanwhile(
    fleet: Fleet, node: Node, workplace: Path, act: Callable[[], None], *arguments: str
) -> Play:
    """Runs the main job, and calls `act` when the third start has begun."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_playbook, workplace, fleet.inventory(node.name), *arguments)
        deadline = time.monotonic() + 60
        while status(node)["step"] < 3 and time.monotonic() < deadline and not running.done():
            time.sleep(0.05)
        assert not running.done(), running.result().output
        act()
        return running.result()


def finished(folder: Path) -> list[int]:
    lines = (folder / "runs.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["seq"] for line in lines]


def test_a_cut_connection_does_not_disturb_the_campaign(
    fleet: Fleet, alone: Node, workplace: Path
) -> None:
    def cut() -> None:
        alone.cut()
        time.sleep(4)
        alone.start()

    play = meanwhile(fleet, alone, workplace, cut)
    assert play.code == 0, play.output
    assert play.outcomes()[alone.name]["status"] == "complete"
    assert len(finished(play.campaign() / "nodes" / alone.name)) == STARTS


def test_a_killed_agent_keeps_its_rows_and_the_next_run_goes_on(
    fleet: Fleet, alone: Node, workplace: Path
) -> None:
    play = meanwhile(fleet, alone, workplace, lambda: os.kill(status(alone)["pid"], signal.SIGKILL))
    assert play.code == 2
    outcome = play.outcomes()[alone.name]
    assert (outcome["status"], outcome["code"]) == ("incomplete", "agent_gone")
    before = finished(play.campaign() / "nodes" / alone.name)
    assert 2 <= len(before) < STARTS

    again = run_playbook(workplace, fleet.inventory(alone.name))
    assert again.code == 0, again.output
    assert again.campaign() == play.campaign()
    after = finished(again.campaign() / "nodes" / alone.name)
    assert set(before) <= set(after)
    assert len(set(after)) == len(after)
    assert again.outcomes()[alone.name]["status"] == "complete"


def test_a_node_lost_for_good_is_a_row_and_is_collected_later(
    fleet: Fleet, alone: Node, workplace: Path
) -> None:
    # One more attempt instead of six: how long it is tried is not what is tested.
    play = meanwhile(fleet, alone, workplace, alone.cut, "-e", "ansible_ssh_retries=1")
    assert play.code == 2
    outcome = play.outcomes()[alone.name]
    assert outcome["status"] == "unreachable"
    assert "Connection refused" in outcome["message"]
    assert alone.name in play.report()

    alone.start()
    again = run_playbook(workplace, fleet.inventory(alone.name))
    assert again.code == 0, again.output
    assert again.campaign() == play.campaign()
    assert len(finished(again.campaign() / "nodes" / alone.name)) == STARTS
