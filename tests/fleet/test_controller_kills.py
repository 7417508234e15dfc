"""Controllers that are killed at random instants: each campaign is resumed, and nothing is lost."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.counts import LONG, seeded
from tests.fleet.controllers import Controller
from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet, Node
from tests.fleet.play import run_playbook

KILLS = 10  # of one campaign, which goes on meanwhile
CAMPAIGNS = 30 if LONG else 1
REPEATS = 40
STARTS = 1 + 2 * REPEATS
LATEST_S = 12.0


@pytest.fixture
def node(fleet: Fleet) -> Iterator[Node]:
    """A node of its own."""
    made = fleet.add("gpu-orphaned")
    made.variables["coldproof_model_path"] = str(write_model(made.folder / "models/m", mib=8))
    made.variables["coldproof_repeats"] = REPEATS
    yield made
    fleet.nodes.pop(made.name).stop()


@pytest.mark.slow
def test_every_campaign_is_resumed(fleet: Fleet, node: Node, tmp_path: Path) -> None:
    dice = seeded("controller kills")
    inventory = fleet.inventory(node.name)
    killed = 0
    for number in range(CAMPAIGNS):
        workplace = tmp_path / f"controller-{number}"
        # Another plan each time: the one before is finished.
        settings = ("-e", f"coldproof_max_model_len={2048 + number}")
        for _ in range(KILLS):
            with Controller(workplace, inventory, *settings) as controller:
                time.sleep(dice.uniform(0.2, LATEST_S))
                if controller.process.poll() is None:
                    controller.kill(signal.SIGKILL)
                    killed += 1
        last = run_playbook(workplace, inventory, *settings)
        assert last.code == 0, last.output
        [campaign] = workplace.glob("reports/2*")
        assert last.outcomes()[node.name]["status"] == "complete"
        lines = (campaign / "nodes" / node.name / "runs.jsonl").read_text("utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        assert {record["outcome"] for record in records} == {"ready"}
        assert len({record["seq"] for record in records}) == len(records) == STARTS
    assert killed >= 0.8 * CAMPAIGNS * KILLS, "it says little if they had ended before"
    print(f"{killed} controllers killed")
