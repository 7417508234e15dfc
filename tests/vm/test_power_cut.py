"""A machine loses its power in a cold run and gets it back: nothing that had finished is lost."""

from __future__ import annotations

import json
from pathlib import Path

from tests.vm.fleet import Machines
from tests.vm.job import fetched, in_run, on_node, probe, when_started
from tests.vm.machines import Machine

REPEATS = 3
MODES = ("cold", "warm")


def test_a_power_cut_in_a_cold_run_loses_no_finished_run(
    machines: Machines, trixie: Machine, workplace: Path
) -> None:
    trixie.variables["coldproof_repeats"] = REPEATS
    # One more attempt instead of six: how long the node is tried is not what is tested.
    trixie.variables["ansible_ssh_retries"] = 1
    inventory = machines.inventory(trixie.name)
    kept: list[str] = []

    def cut() -> None:
        finished = when_started(trixie, "cold 2/3")
        trixie.power_cut()
        kept.extend(finished)

    first = in_run(lambda: probe(workplace, inventory), cut)
    assert first.code == 2, first.output
    assert first.outcomes()[trixie.name]["status"] == "unreachable"
    assert trixie.name in first.report()
    assert [json.loads(line)["mode"] for line in kept][-2:] == ["cold", "warm"]

    trixie.power_on()
    trixie.wait_for_ssh()
    after = on_node(trixie, first.campaign().name)
    assert after[: len(kept)] == kept

    again = probe(workplace, inventory)
    assert again.code == 0, again.output
    assert again.campaign() == first.campaign()
    assert again.outcomes()[trixie.name]["status"] == "complete"
    assert on_node(trixie, first.campaign().name)[: len(kept)] == kept
    records = fetched(again, trixie)
    assert records[: len(kept)] == [json.loads(line) for line in kept]
    numbers = [record["seq"] for record in records]
    assert numbers == sorted(set(numbers))
    ready = [run for run in records if run["mode"] != "prime" and run["outcome"] == "ready"]
    assert {run["state"] for run in ready} == {"proven_cold", "proven_warm"}
    # The interrupted pair does not count; another one is measured in its place.
    cold, warm = ({run["pair"] for run in ready if run["mode"] == mode} for mode in MODES)
    assert len(cold & warm) == REPEATS, (cold, warm)
    assert len({run["boot_id"] for run in ready}) == 2
