"""What is refused, and that a refusal is still a report, or touches nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet.conftest import DOWN, EMPTY, HEALTHY
from tests.fleet.nodes import Fleet
from tests.fleet.play import ROOT, run_playbook


@pytest.mark.parametrize(("name", "status"), [(DOWN, "unreachable"), (EMPTY, "refused")])
def test_the_only_node_still_makes_a_report(
    fleet: Fleet, workplace: Path, name: str, status: str
) -> None:
    play = run_playbook(workplace, fleet.inventory(name))
    assert play.code == 2
    assert play.outcomes()[name]["status"] == status
    assert name in play.report()
    assert play.recap()[name]["failed"] == 1


def test_all_nodes_bad_still_make_a_report(fleet: Fleet, workplace: Path) -> None:
    play = run_playbook(workplace, fleet.inventory(DOWN, EMPTY))
    assert play.code == 2
    assert set(play.outcomes()) == {DOWN, EMPTY}


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("coldproof_repeat=2", "no variable coldproof_repeat: did you mean coldproof_repeats?"),
        ("coldproof_model_pth=/x", "did you mean coldproof_model_path?"),
        ("coldproof_repeats=0", "coldproof_repeats is 0"),
        ("coldproof_repeats=many", "'coldproof_repeats' is of type str"),
        ("coldproof_cold_method=freeze", "value of coldproof_cold_method must be one of"),
        ("coldproof_cold_method=reboot", "set coldproof_reboot_ok"),
        ("coldproof_engine_args=--eager", "coldproof_engine_args: this is text"),
        ("coldproof_model_path=", "set coldproof_model_path"),
        ("coldproof_poll_seconds=1", "coldproof_poll_seconds is 1"),
    ],
)
def test_variables_are_refused_before_anything_is_touched(
    fleet: Fleet, workplace: Path, argument: str, said: str
) -> None:
    play = run_playbook(workplace, fleet.inventory(HEALTHY[0]), "-e", argument)
    assert play.code == 2
    assert said in " ".join(play.output.replace("''", "'").split()), play.output
    assert play.remote_tasks(HEALTHY[0]) == []
    assert not play.reports.exists()


@pytest.mark.parametrize("argument", ["coldproof_engine=vllm", "coldproof_model_path=/srv/m"])
def test_the_demonstration_takes_nothing_real(workplace: Path, argument: str) -> None:
    play = run_playbook(workplace, ROOT / "inventory/local.yml", "-e", argument)
    assert play.code == 2
    assert "give your inventory with -i" in " ".join(play.output.split())
    assert not play.reports.exists()


def test_a_node_with_a_name_that_is_a_path_is_refused(fleet: Fleet, workplace: Path) -> None:
    inventory = workplace / "inventory.yml"
    text = fleet.inventory(HEALTHY[0]).read_text("utf-8")
    inventory.write_text(text.replace(f"    {HEALTHY[0]}:", "    ../../escape:"), encoding="utf-8")
    play = run_playbook(workplace, inventory)
    assert play.code == 2
    assert "in the inventory" in " ".join(play.output.split())
    assert play.remote_tasks("../../escape") == []


def test_settings_that_differ_between_nodes_are_refused(fleet: Fleet, workplace: Path) -> None:
    odd = fleet.nodes[EMPTY]
    odd.variables["coldproof_max_model_len"] = 1024
    try:
        play = run_playbook(workplace, fleet.inventory(DOWN, EMPTY))
    finally:
        del odd.variables["coldproof_max_model_len"]
    assert play.outcomes()[EMPTY]["code"] == "settings_differ"
    assert play.outcomes()[EMPTY]["variable"] == "coldproof_max_model_len"


def test_a_name_that_is_none_costs_the_others_nothing(fleet: Fleet, workplace: Path) -> None:
    inventory = workplace / "inventory.yml"
    text = fleet.inventory(HEALTHY[0], EMPTY).read_text("utf-8")
    inventory.write_text(text.replace(f"    {EMPTY}:", "    'fe80::1':"), encoding="utf-8")
    play = run_playbook(workplace, inventory)
    assert play.code == 2
    assert {name: one["status"] for name, one in play.outcomes().items()} == {
        HEALTHY[0]: "complete"
    }
    assert HEALTHY[0] in play.report()
    assert {name for name, counts in play.recap().items() if counts["failed"]} == {"fe80::1"}
    assert "fe80::1: a node is called by letters" in " ".join(play.output.split())
