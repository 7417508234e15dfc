"""collect.yml fetches what nodes hold at any time; clean.yml leaves nothing, and proves it."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import pytest

from tests.fleet import plant
from tests.fleet.controllers import Controller, wait_for_start, wait_for_step
from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet, Node, processes_of
from tests.fleet.play import run_playbook

pytestmark = pytest.mark.faults

REPEATS = 40
STARTS = 1 + 2 * REPEATS


@pytest.fixture
def pair(fleet: Fleet) -> list[Node]:
    """Two nodes of their own; the second one never takes part in the main job."""
    made = []
    for name in ("gpu-collect-1", "gpu-collect-2"):
        node = fleet.nodes.get(name) or fleet.add(name)
        node.variables["coldproof_model_path"] = str(write_model(node.folder / "models/m", mib=64))
        node.variables["coldproof_repeats"] = REPEATS
        made.append(node)
    return made


def test_a_killed_controller_costs_nothing(fleet: Fleet, pair: list[Node], workplace: Path) -> None:
    node, other = pair
    with Controller(workplace, fleet.inventory(node.name)) as controller:
        wait_for_step(node, 3, controller)
        controller.kill(signal.SIGKILL)

    inventory = fleet.inventory(node.name, other.name)
    early = run_playbook(workplace, inventory, playbook="collect.yml")
    assert early.code == 2
    outcomes = early.outcomes()
    assert (outcomes[node.name]["status"], outcomes[node.name]["code"]) == ("incomplete", "running")
    assert outcomes[other.name]["code"] == "nothing_held"
    assert other.name in early.report()
    taken = (early.campaign() / "nodes" / node.name / "runs.jsonl").read_text("utf-8").splitlines()
    assert len(taken) >= 2

    deadline = time.monotonic() + 240
    while not json.loads((node.state / "status.json").read_text("utf-8"))["done"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    late = run_playbook(workplace, fleet.inventory(node.name), playbook="collect.yml")
    assert late.code == 0, late.output
    assert late.outcomes()[node.name]["status"] == "complete"
    runs = (late.campaign() / "nodes" / node.name / "runs.jsonl").read_text("utf-8").splitlines()
    assert len(runs) == STARTS
    assert set(taken) <= set(runs)

    # What the controller has is not lost with the node.
    assert run_playbook(workplace, inventory, playbook="clean.yml").code == 0
    after = run_playbook(workplace, fleet.inventory(node.name), playbook="collect.yml")
    assert after.code == 0, after.output
    assert after.outcomes()[node.name]["status"] == "complete"


def test_clean_ends_and_removes_all_and_changes_nothing_twice(
    fleet: Fleet, pair: list[Node], workplace: Path
) -> None:
    # Of its own: one start lasts as long as this needs it, for an agent without its archive does
    # not begin another.
    node = fleet.nodes.get("gpu-clean-all") or fleet.add("gpu-clean-all")
    node.variables["coldproof_model_path"] = pair[0].variables["coldproof_model_path"]
    python = fleet.connection()["ansible_python_interpreter"]
    node.variables |= plant.variables(python, str(plant.SERVER), seconds=60)
    with Controller(workplace, fleet.inventory(node.name)) as controller:
        wait_for_start(node, "prime", controller)
        controller.kill(signal.SIGKILL)
    (node.state / "coldproof-agent.pyz").unlink()

    play = run_playbook(workplace, fleet.inventory(node.name), playbook="clean.yml")
    assert play.code == 0, play.output
    assert re.search(r"; [1-9]\d* processes ended", " ".join(play.output.split())), play.output
    assert not node.state.exists()
    assert processes_of(node) == []
    assert list(play.reports.glob("[0-9]*/campaign.json"))

    again = run_playbook(workplace, fleet.inventory(node.name), playbook="clean.yml")
    assert again.code == 0, again.output
    assert not any(task["changed"] for task in again.remote_tasks(node.name))


def test_clean_names_what_is_not_its_own(fleet: Fleet, pair: list[Node], workplace: Path) -> None:
    node = pair[0]
    node.state.mkdir(exist_ok=True)
    mine = node.state / "somebody's.txt"
    mine.touch()
    try:
        play = run_playbook(workplace, fleet.inventory(node.name), playbook="clean.yml")
        assert play.code == 2
        assert "somebody's.txt" in play.output
        assert mine.exists()
    finally:
        mine.unlink()
        node.state.rmdir()


def test_collect_without_a_campaign_says_so(
    fleet: Fleet, pair: list[Node], workplace: Path
) -> None:
    play = run_playbook(workplace, fleet.inventory(pair[1].name), playbook="collect.yml")
    assert play.code == 2
    assert "holds no campaign" in " ".join(play.output.split())
    assert play.remote_tasks(pair[1].name) == []
