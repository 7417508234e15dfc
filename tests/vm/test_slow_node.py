"""A node whose disk is slow, beside one that is alike but for that: named, with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.fleet.play import Play
from tests.vm.conftest import BOOKWORM
from tests.vm.fleet import Machines
from tests.vm.job import fetched, probe
from tests.vm.twin import twins

SLOW = "gpu-slow"
READ_MIB_S = 5  # the other one reads 32 MiB a second


@pytest.fixture(scope="module")
def job(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """The main job over both, three pairs each."""
    workplace = tmp_path_factory.mktemp("controller")
    with twins(machines, SLOW, read_mib_s=READ_MIB_S):
        yield probe(workplace, machines.inventory(BOOKWORM, SLOW), "-e", "coldproof_repeats=3")


def test_both_have_three_proven_pairs(job: Play, machines: Machines) -> None:
    assert {node["status"] for node in job.outcomes().values()} == {"complete"}, job.output
    for name in (BOOKWORM, SLOW):
        runs = [run for run in fetched(job, machines.machines[name]) if run["mode"] != "prime"]
        assert [run["state"] for run in runs] == ["proven_cold", "proven_warm"] * 3, runs


def test_the_slow_node_is_named_with_the_reason(job: Play) -> None:
    named = f"**{SLOW} is unlike the only other node of its family**"  # nobody knows which is odd
    [cold] = [line for line in job.report().splitlines() if named in line and ", cold: " in line]
    assert " slower, " in cold
    assert " s of it in the phase weights (" in cold
    rates = re.search(r"read the weights at ([0-9.]+) GB/s, the others at ([0-9.]+) GB/s", cold)
    assert rates, cold
    assert float(rates[2]) > 2 * float(rates[1])
