"""Several controllers, and what a controller must not do to itself."""

from __future__ import annotations

import itertools
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import plant
from tests.fleet.controllers import Controller, wait_for_start, wait_for_step
from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet, Node, make_key
from tests.fleet.play import run_playbook

pytestmark = pytest.mark.faults

REPEATS = 40
STARTS = 1 + 2 * REPEATS
PLANTED_PAIRS = 6
NUMBERS = itertools.count(1)


@pytest.fixture
def alone(fleet: Fleet) -> Iterator[Node]:
    """A node of its own."""
    node = fleet.add(f"gpu-shared-{next(NUMBERS)}")
    node.variables["coldproof_model_path"] = str(write_model(node.folder / "models/m", mib=64))
    node.variables["coldproof_repeats"] = REPEATS
    yield node
    fleet.nodes.pop(node.name).stop()


def runs(folder: Path) -> list[str]:
    return (folder / "runs.jsonl").read_text("utf-8").splitlines()


def test_a_second_controller_joins_and_another_plan_is_refused(
    fleet: Fleet, alone: Node, workplace: Path
) -> None:
    inventory = fleet.inventory(alone.name)
    with Controller(workplace, inventory) as first:
        wait_for_step(alone, 1, first)
        other = run_playbook(
            workplace.parent / "other", inventory, "-e", "coldproof_max_model_len=1024"
        )
        second = run_playbook(workplace, inventory)
        assert first.process.wait(timeout=240) == 0, first.output
    outcome = other.outcomes()[alone.name]
    assert outcome["status"] == "refused"
    assert outcome["code"] in ("locked", "other_campaign")
    assert second.campaign().name in outcome["message"]
    assert second.code == 0, second.output
    assert second.outcomes()[alone.name]["status"] == "complete"
    assert len(runs(second.campaign() / "nodes" / alone.name)) == STARTS


def test_planted_starts_last_as_long_whatever_becomes_of_controller_and_sshd(
    fleet: Fleet, alone: Node, workplace: Path
) -> None:
    python = fleet.connection()["ansible_python_interpreter"]
    alone.variables |= plant.variables(python, str(plant.SERVER), seconds=1.5)
    alone.variables["coldproof_repeats"] = PLANTED_PAIRS
    inventory = fleet.inventory(alone.name)
    with Controller(workplace, inventory) as first:
        wait_for_start(alone, "cold 1/", first)
        first.kill(signal.SIGKILL)
    with Controller(workplace, inventory) as second:
        wait_for_start(alone, "warm 3/", second)
        alone.cut()
        time.sleep(0.5)
        alone.start()
        assert second.process.wait(timeout=240) == 0, second.output
    folder = next(workplace.glob("reports/[0-9]*"))
    records = [json.loads(line) for line in runs(folder / "nodes" / alone.name)]
    assert len(records) == 1 + 2 * PLANTED_PAIRS
    assert {record["outcome"] for record in records} == {"ready"}
    plant.assert_same(records, {("cold", 1), ("warm", 3)})


def test_another_host_key_is_a_row(fleet: Fleet, alone: Node, workplace: Path) -> None:
    inventory = fleet.inventory(alone.name)
    alone.stop()
    for file in (alone.host_key, alone.host_key.with_suffix(".pub")):
        file.unlink()
    make_key(alone.host_key)
    alone.start()
    play = run_playbook(workplace, inventory)
    assert play.code == 2
    outcome = play.outcomes()[alone.name]
    assert outcome["status"] == "unreachable"
    assert "host key" in outcome["message"].lower()


def test_becoming_does_not_reach_the_controller(fleet: Fleet, alone: Node, workplace: Path) -> None:
    # There is no such method on the controller's side: any task that became would fail.
    play = run_playbook(
        workplace,
        fleet.inventory(alone.name),
        "--check",
        *("-e", "ansible_become=true", "-e", "ansible_become_exe=/bin/false-sudo"),
    )
    opened = play.named("Open the campaign, or go on with an unfinished one")
    assert [task["event"] for task in opened] == ["ok"]
