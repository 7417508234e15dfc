"""What a controller shows while it waits, and that an empty fleet is an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fleet.conftest import HEALTHY
from tests.fleet.nodes import Fleet
from tests.fleet.play import Play, run_playbook

# Starts take less than the second between two looks: enough of them for several looks.
REPEATS = 12
LINE = re.compile(
    r"^gpu-0\d  default/default (prime|(cold|warm) \d+/\d+)  [a-z_]+(  \d+\.\d s)?"
    r"(  \(last \d+\.\d s\))?$"
)


def test_a_node_that_is_followed_is_a_line(fleet: Fleet, workplace: Path) -> None:
    play = run_playbook(
        workplace, fleet.inventory(*HEALTHY[:2]), "-e", f"coldproof_repeats={REPEATS}"
    )
    assert play.code == 0, play.output
    shown = [line for line in play.output.splitlines() if LINE.match(line)]
    assert {line[:6] for line in shown} == set(HEALTHY[:2]), play.output
    assert any("last" in line for line in shown)
    assert "RETRYING" not in play.output


def test_the_noise_of_retries_is_nowhere(main_job: Play) -> None:
    assert "FAILED - RETRYING" not in main_job.output


@pytest.mark.parametrize(
    "inventory",
    ["gpu-nodes: {hosts: {}}", "others: {hosts: {somebody: {}}}"],
    ids=["empty group", "no group"],
)
def test_no_node_is_an_error(workplace: Path, inventory: str) -> None:
    path = workplace / "inventory.yml"
    path.write_text(inventory, encoding="utf-8")
    play = run_playbook(workplace, path)
    assert play.code not in (0, 2)
    if "there is no node" in play.output.lower():
        assert play.code == 4
        assert "-l" in play.output
        assert "gpu-nodes" in play.output
    else:
        assert "--limit leaves us with no hosts" in play.output


def test_a_limit_outside_the_group_is_an_error(fleet: Fleet, workplace: Path) -> None:
    path = workplace / "inventory.yml"
    path.write_text("gpu-nodes: {hosts: {a: {}}}\nothers: {hosts: {b: {}}}", encoding="utf-8")
    play = run_playbook(workplace, path, "-l", "others")
    assert play.code == 4
    assert "There is no node to work on" in play.output
