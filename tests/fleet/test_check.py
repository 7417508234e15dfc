"""--check prints the plan and changes nothing, neither here nor there."""

from __future__ import annotations

from pathlib import Path

from tests.fleet.conftest import EMPTY
from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet
from tests.fleet.play import run_playbook


def test_check_prints_the_plan_and_changes_nothing(fleet: Fleet, workplace: Path) -> None:
    node = fleet.add("gpu-check")
    node.variables["coldproof_model_path"] = str(write_model(node.folder / "models/m"))
    try:
        before = sorted(node.folder.rglob("*"))
        play = run_playbook(
            workplace, fleet.inventory("gpu-check"), "--check", "-e", "coldproof_repeats=3"
        )
        assert play.code == 0, play.output
        assert "default/default prime" in play.output
        assert "default/default cold 3" in play.output
        assert "default/default warm 3" in play.output
        assert "minutes" in play.output
        assert sorted(node.folder.rglob("*")) == before
        assert not play.reports.exists()
        assert len(play.remote_tasks("gpu-check")) == 1
        assert not any(task["changed"] for task in play.remote_tasks("gpu-check"))
    finally:
        fleet.nodes.pop("gpu-check").stop()


def test_check_names_a_node_that_would_be_refused(fleet: Fleet, workplace: Path) -> None:
    play = run_playbook(workplace, fleet.inventory(EMPTY), "--check")
    assert play.code == 2
    assert "safetensors" in play.output
    assert not play.reports.exists()
