"""The cold method reboot on machines that really reboot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet.play import Play
from tests.vm.conftest import BOOKWORM, OFF, TRIXIE
from tests.vm.fleet import Machines
from tests.vm.job import STATE, fetched, probe
from tests.vm.machines import Machine

UP = (BOOKWORM, TRIXIE)
REPEATS = 2
METHOD = ("-e", "coldproof_cold_method=reboot", "-e", f"coldproof_repeats={REPEATS}")


@pytest.fixture(scope="module")
def job(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """The main job by reboots over both machines and the one that is off."""
    directory = tmp_path_factory.mktemp("controller")
    return probe(directory, machines.inventory(), *METHOD, "-e", "coldproof_reboot_ok=true")


def test_every_node_has_an_outcome(job: Play) -> None:
    outcomes = {name: node["status"] for name, node in job.outcomes().items()}
    assert outcomes == dict.fromkeys(UP, "complete") | {OFF: "unreachable"}, job.output
    assert job.code == 2


@pytest.mark.parametrize("name", UP)
def test_every_cold_run_has_a_boot_of_its_own_and_is_proven(
    job: Play, machines: Machines, name: str
) -> None:
    records = fetched(job, machines.machines[name])
    cold = [run for run in records if run["mode"] == "cold"]
    warm = [run for run in records if run["mode"] == "warm"]
    assert len(cold) == len(warm) == REPEATS
    boots = [run["boot_id"] for run in records if run["mode"] == "prime"][:1]
    for run in cold:
        assert (run["state"], run["scope"]) == ("proven_cold", "host+guest"), run["reasons"]
        assert run["method"] == "reboot"
        assert run["boot_id"] not in boots
        assert run["reboot"]["boot_id_before"] == boots[-1]
        assert run["reboot"]["settled"], run["reboot"]
        boots.append(run["boot_id"])
    assert [run["state"] for run in warm] == ["proven_warm"] * REPEATS
    assert [run["boot_id"] for run in warm] == boots[1:]


@pytest.mark.parametrize("name", UP)
def test_the_unit_is_gone_at_the_end(job: Play, machines: Machines, name: str) -> None:
    assert job.code == 2
    left = machines.machines[name].ssh(
        "ls /etc/systemd/system /etc/systemd/system/multi-user.target.wants"
    )
    assert "coldproof" not in left


def test_without_consent_nothing_is_rebooted(
    machines: Machines, trixie: Machine, workplace: Path
) -> None:
    before = trixie.boot_id()
    done = probe(workplace, machines.inventory(trixie.name), *METHOD)
    assert done.code == 2
    assert "set coldproof_reboot_ok to true" in " ".join(done.output.split())
    assert done.remote_tasks(trixie.name) == []
    assert trixie.boot_id() == before
    assert "reboot" not in trixie.ssh(f"cat {STATE}/status.json 2>/dev/null || true")
