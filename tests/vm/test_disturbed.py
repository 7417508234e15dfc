"""A network that is cut and clocks that step in mid-run: the runs are as long as they would be."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.fleet import plant
from tests.fleet.play import Play
from tests.vm.conftest import SMALL_MIB
from tests.vm.fleet import Machines
from tests.vm.job import fetched, in_run, probe, status, when_started
from tests.vm.machines import MODELS, Machine

REPEATS = 3
CUT_S = 60
PLANTED_S = 16.0
# What a minute from the first cold start on covers.
DURING_THE_CUT = {("cold", 1), ("warm", 1), ("cold", 2)}
STEPS = {("cold", 1): "+ 3600", ("warm", 1): "- 7200", ("cold", 2): "+ 3600"}  # seconds


@pytest.fixture
def job(
    machines: Machines, bookworm: Machine, trixie: Machine, workplace: Path
) -> tuple[Play, dict[str, Any]]:
    """Planted starts on both, while one loses its network and the other one's clock steps."""
    planted = plant.variables("/usr/bin/python3", f"{MODELS}/planted.py", PLANTED_S)
    for machine in (bookworm, trixie):
        machine.variables |= planted | {
            "coldproof_model": f"random-{SMALL_MIB}m",
            "coldproof_model_path": f"{MODELS}/small",
            "coldproof_repeats": REPEATS,
        }
    before: dict[str, Any] = {}

    def cut() -> None:
        when_started(bookworm, "cold 1/3")
        bookworm.network_cut(CUT_S)
        before.update(status(bookworm))

    def step() -> None:
        for (mode, pair), seconds in STEPS.items():
            when_started(trixie, f"{mode} {pair}/3")
            time.sleep(2)
            trixie.ssh(f"date -s @$(($(date +%s) {seconds}))")

    inventory = machines.inventory(bookworm.name, trixie.name)
    return in_run(lambda: probe(workplace, inventory), cut, step), before


def test_disturbed_starts_last_as_long_as_the_others(
    job: tuple[Play, dict[str, Any]], bookworm: Machine, trixie: Machine
) -> None:
    play, before = job
    assert play.code == 0, play.output
    after = status(bookworm)
    assert after["done"]
    # The same agent: it was neither ended nor started again.
    assert (after["pid"], after["boot_id"]) == (before["pid"], before["boot_id"])
    for machine, disturbed in ((bookworm, DURING_THE_CUT), (trixie, set(STEPS))):
        assert play.outcomes()[machine.name]["status"] == "complete"
        records = fetched(play, machine)
        plant.assert_same(records, disturbed)
        runs = [run for run in records if run["mode"] != "prime"]
        assert [run["mode"] for run in runs] == ["cold", "warm"] * REPEATS
        assert [run["state"] for run in runs] == ["proven_cold", "proven_warm"] * REPEATS
        assert [run["seq"] for run in records] == sorted(run["seq"] for run in records)
    stamps = [run["started_at"] for run in fetched(play, trixie)]
    assert stamps != sorted(stamps), "no clock has stepped"
