"""drop_caches on real kernels with NVMe disks: one without cachestat, one with it, one node off."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fleet.play import Play
from tests.vm.conftest import BOOKWORM, MODEL_MIB, OFF, TRIXIE
from tests.vm.fleet import Machines
from tests.vm.job import fetched, probe

UP = (BOOKWORM, TRIXIE)
REPEATS = 2


@pytest.fixture(scope="module")
def job(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """The main job over both machines and the one that is off."""
    directory = tmp_path_factory.mktemp("controller")
    return probe(directory, machines.inventory(), "-e", f"coldproof_repeats={REPEATS}")


def runs(job: Play, machines: Machines, name: str, mode: str) -> list[dict[str, Any]]:
    return [run for run in fetched(job, machines.machines[name]) if run["mode"] == mode]


def test_every_node_has_an_outcome(job: Play) -> None:
    outcomes = {name: node["status"] for name, node in job.outcomes().items()}
    assert outcomes == dict.fromkeys(UP, "complete") | {OFF: "unreachable"}, job.output


def test_the_node_that_is_off_is_a_row_and_fails_the_job(job: Play) -> None:
    assert job.code == 2
    assert "Connection refused" in job.outcomes()[OFF]["message"]
    assert OFF in job.report()
    assert {name for name, counts in job.recap().items() if counts["failed"]} == {OFF}


@pytest.mark.parametrize("name", UP)
def test_every_cold_run_is_proven_for_the_whole_host(
    job: Play, machines: Machines, name: str
) -> None:
    cold = runs(job, machines, name, "cold")
    assert [run["pair"] for run in cold] == [1, 2]
    for run in cold:
        assert (run["state"], run["scope"]) == ("proven_cold", "host+guest"), run
        assert run["method"] == "drop_caches"


@pytest.mark.parametrize("name", UP)
def test_every_warm_run_is_proven(job: Play, machines: Machines, name: str) -> None:
    warm = runs(job, machines, name, "warm")
    assert [run["state"] for run in warm] == ["proven_warm"] * REPEATS, warm


@pytest.mark.parametrize(
    ("name", "kernel", "witnesses"),
    [(BOOKWORM, "6.1.", {"mincore"}), (TRIXIE, "6.12.", {"cachestat", "mincore"})],
)
def test_a_kernel_without_cachestat_is_proven_by_mincore_alone(
    job: Play, machines: Machines, name: str, kernel: str, witnesses: set[str]
) -> None:
    for run in runs(job, machines, name, "cold"):
        assert run["host"]["kernel"].startswith(kernel)
        before = run["residency"]["before"]
        assert set(before["weights"]["witnesses"]) == witnesses, before
        assert before["weights"]["fraction"] <= 0.01


@pytest.mark.parametrize("name", UP)
def test_a_cold_run_reads_the_weights_from_the_nvme_disk(
    job: Play, machines: Machines, name: str
) -> None:
    for run in runs(job, machines, name, "cold"):
        storage = run["storage"]
        assert storage["devices"] == ["nvme0n1"]
        assert storage["model"] == "QEMU NVMe Ctrl"
        assert (storage["mount"], storage["filesystem"]) == ("/srv/models", "ext4")
        assert storage["virtual"]
        read = {device["name"]: device["read_bytes"] for device in run["bytes"]["devices"]}
        assert read["nvme0n1"] >= 0.9 * MODEL_MIB * (1 << 20), run["bytes"]
