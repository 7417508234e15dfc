"""Tiers and variants in one campaign: NVMe, an NFS mount of the other machine by turns, tmpfs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.fleet.play import Play
from tests.vm.conftest import BOOKWORM
from tests.vm.fleet import Machines
from tests.vm.job import fetched, probe
from tests.vm.machines import MODELS, Machine
from tests.vm.twin import twins

NFS, MEMORY = "/mnt/other", "/dev/shm/m"
TWIN = "gpu-twin"
UP = (BOOKWORM, TWIN)
TIERS = {"nvme": f"{MODELS}/m", "memory": MEMORY, "nfs": f"{NFS}/m"}
VARIANTS = ("default", "traced")
# The scope of a cold start on each: what its storage lets one know.
SCOPES = {"nvme": "host+guest", "nfs": "host+client"}
PLAN = {
    "coldproof_model_path": "",
    "coldproof_repeats": 1,
    "coldproof_tiers": [
        {"name": "nfs", "path": TIERS["nfs"], "shared": "lan"},
        {"name": "nvme", "path": TIERS["nvme"]},
        {"name": "memory", "path": TIERS["memory"], "warm_only": True},
    ],
    "coldproof_variants": [
        {"name": VARIANTS[0]},
        {"name": VARIANTS[1], "env": {"PYTHONASYNCIODEBUG": "1"}},
    ],
}


@pytest.fixture(scope="module")
def job(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """The main job over both machines, each of which mounts the other's models."""
    with twins(machines, TWIN) as both:
        try:
            for machine in both:
                _serve(machine)
            for machine, server in zip(both, (2, 1), strict=True):
                mount = f"mount -t nfs -o ro,vers=4.2 10.9.0.{server}:{MODELS} {NFS}"
                machine.ssh(mount, limit_s=120)
                machine.variables |= PLAN
            yield probe(tmp_path_factory.mktemp("controller"), machines.inventory(*UP))
        finally:
            # A mount whose server is gone would hang: all of them end before any server does.
            for command in (f"umount {NFS}; rm -rf {MEMORY}", "systemctl stop nfs-server"):
                for machine in both:
                    machine.ssh(command, limit_s=240)


def _serve(machine: Machine) -> None:
    assert machine.lan
    machine.ssh(machine.lan.setup)
    machine.ssh(
        f"mkdir -p {NFS} && echo '{MODELS} 10.9.0.0/24(ro,insecure,fsid=1)' >/etc/exports && "
        f"systemctl start nfs-server && exportfs -ra && cp -r {MODELS}/m {MEMORY}",
        limit_s=240,
    )


@pytest.mark.parametrize("name", UP)
def test_each_tier_is_judged_by_its_own_rule(job: Play, machines: Machines, name: str) -> None:
    assert job.outcomes()[name]["status"] == "complete", job.output
    runs = [run for run in fetched(job, machines.machines[name]) if run["mode"] != "prime"]
    made = {(run["tier"], run["variant"], run["mode"]): run for run in runs}
    wanted = {*itertools.product(("nvme", "nfs"), VARIANTS, ("cold", "warm"))}
    assert made.keys() == wanted | {*itertools.product(("memory",), VARIANTS, ("warm",))}
    for (tier, _, mode), run in made.items():
        assert run["state"] == f"proven_{mode}", (tier, mode, run["reasons"])
        assert run["scope"] == (SCOPES[tier] if mode == "cold" else None), (tier, run["scope"])
        assert run["storage"]["network"] == (tier == "nfs")
        assert run["concurrency"] == 1


def test_machines_read_each_other_in_turns(job: Play, machines: Machines) -> None:
    spans = []
    for name in UP:
        runs = fetched(job, machines.machines[name])
        assert [run["tier"] for run in runs] == sorted(
            (run["tier"] for run in runs), key=("nvme", "memory", "nfs").index
        )
        begun = [run["started_at"] for run in runs if run["tier"] == "nfs"]
        spans.append((min(begun), max(begun)))
    spans.sort()
    assert spans[0][1] <= spans[1][0], spans


def test_the_report_has_all_of_it(job: Play) -> None:
    report = job.report()
    for name, tier, variant in itertools.product(UP, TIERS, VARIANTS):
        rows = [line for line in report.splitlines() if line.startswith(f"| {name}")]
        assert [row for row in rows if f" {tier} " in row and f" {variant} " in row], report
