"""A node that is lost in its turn may measure on: who is given the next turn is not alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fleet.controllers import Controller, wait_for_step
from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet
from tests.fleet.play import run_playbook

LOST, NEXT, DOWN = "gpu-adrift-1", "gpu-adrift-2", "gpu-adrift-3"
REPEATS = 4


@pytest.mark.slow
def test_a_turn_after_a_lost_one_counts_the_lost_node(fleet: Fleet, workplace: Path) -> None:
    try:
        for name in (LOST, NEXT, DOWN):
            node = fleet.add(name, up=name != DOWN)
            path = write_model(node.folder / "shared/m", mib=64)
            node.variables |= {
                "coldproof_model_path": "",
                "coldproof_tiers": [{"name": "filer", "path": str(path), "shared": "filer-1"}],
                "coldproof_repeats": REPEATS,
            }
        lost = fleet.nodes[LOST]
        inventory = fleet.inventory(LOST, NEXT, DOWN)
        # One more attempt instead of six: how long it is tried is not what is tested.
        with Controller(workplace, inventory, "-e", "ansible_ssh_retries=1") as controller:
            wait_for_step(lost, 2, controller)
            lost.cut()
            controller.process.wait(timeout=240)
        assert concurrency(workplace, NEXT) == {2}, controller.output

        lost.start()
        again = run_playbook(workplace, inventory)
        outcomes = {name: node["status"] for name, node in again.outcomes().items()}
        assert outcomes == {LOST: "complete", NEXT: "complete", DOWN: "unreachable"}
        assert concurrency(workplace, LOST) == {1}, "it had its turn alone"
        assert concurrency(workplace, NEXT) == {2}
    finally:
        for name in (LOST, NEXT, DOWN):
            fleet.nodes.pop(name).stop()


def concurrency(workplace: Path, name: str) -> set[int]:
    [records] = workplace.glob(f"reports/2*/nodes/{name}/runs.jsonl")
    return {json.loads(line)["concurrency"] for line in records.read_text("utf-8").splitlines()}
