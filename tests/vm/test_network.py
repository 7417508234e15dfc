"""A machine whose network is cut in mid-run: the run goes on, the job waits and completes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fleet import plant
from tests.vm.fleet import Machines
from tests.vm.job import fetched, probe_meanwhile, status
from tests.vm.machines import MODELS, Machine

REPEATS = 3
CUT_S = 60
PLANTED_S = 16.0
# What a minute from the first cold start on covers.
DISTURBED = {("cold", 1), ("warm", 1), ("cold", 2)}


def test_a_network_cut_for_a_minute_does_not_disturb_the_campaign(
    machines: Machines, bookworm: Machine, workplace: Path
) -> None:
    server = f"{MODELS}/planted.py"
    bookworm.variables |= plant.variables("/usr/bin/python3", server, PLANTED_S)
    bookworm.variables["coldproof_repeats"] = REPEATS
    before: dict[str, Any] = {}

    def cut(finished: list[str]) -> None:
        bookworm.network_cut(CUT_S)
        before.update(status(bookworm))

    play = probe_meanwhile(workplace, machines.inventory(bookworm.name), bookworm, "cold 1/3", cut)
    assert play.code == 0, play.output
    assert play.outcomes()[bookworm.name]["status"] == "complete"
    after = status(bookworm)
    assert after["done"]
    # The same agent: it was neither ended nor started again.
    assert (after["pid"], after["boot_id"]) == (before["pid"], before["boot_id"])
    records = fetched(play, bookworm)
    plant.assert_same(records, DISTURBED)
    runs = [run for run in records if run["mode"] != "prime"]
    assert [run["mode"] for run in runs] == ["cold", "warm"] * REPEATS
    assert [run["state"] for run in runs] == ["proven_cold", "proven_warm"] * REPEATS
