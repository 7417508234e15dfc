"""Fixtures of the machines: one of each Debian release, and one that is switched off."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fleet import plant
from tests.fleet.models import write_model
from tests.fleet.nodes import free_port
from tests.vm.fleet import Machines
from tests.vm.images import RELEASES, image
from tests.vm.lan import pair
from tests.vm.machines import MODELS, Machine

BOOKWORM, TRIXIE, OFF = "gpu-bookworm", "gpu-trixie", "gpu-off"
MODEL_MIB = 96
# For starts of a planted time: an emulated machine may read the other one for longer than that.
SMALL_MIB = 16
# The first test also builds the images and boots the machines.
LIMIT_S = 2400


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vm: needs QEMU, and minutes for each test")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.vm)
            item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the end of each machine's console to the report of a failed test."""
    report = yield
    machines = getattr(item, "funcargs", {}).get("machines")
    if report.failed and isinstance(machines, Machines):
        for machine in machines.machines.values():
            report.sections.append((f"console of {machine.name}", machine.console_tail()))
    return report


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """All machines; two are up and have a model of random weights on their NVMe disk."""
    folder = tmp_path_factory.mktemp("machines")
    models = folder / "models"
    write_model(models / "m", mib=MODEL_MIB)
    write_model(models / "small", mib=SMALL_MIB)
    shutil.copy(plant.SERVER, models / "planted.py")
    made = Machines(folder)
    made.variables = {
        "coldproof_engine": "reference",
        "coldproof_model": f"random-{MODEL_MIB}m",
        "coldproof_model_path": f"{MODELS}/m",
        "coldproof_max_model_len": 2048,
        "coldproof_cold_method": "drop_caches",
        "coldproof_node_drained": True,
        "coldproof_ready_timeout_s": 300,
        "coldproof_stop_timeout_s": 60,
        "coldproof_state_dir": "/var/lib/coldproof",
    }
    with ThreadPoolExecutor() as pool:
        images = dict(zip(RELEASES, pool.map(image, RELEASES), strict=True))
    try:
        end, made.other_end = pair(free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM))
        made.add(BOOKWORM, images["bookworm"], models=models, lan=end).start()
        made.add(TRIXIE, images["trixie"], models=models).start()
        made.add(OFF, images["trixie"])
        for name in (BOOKWORM, TRIXIE):
            seconds = made.machines[name].wait_for_ssh()
            print(f"{name} let in after {seconds:.0f} s")
        yield made
    finally:
        made.close()


@pytest.fixture
def bookworm(machines: Machines) -> Iterator[Machine]:
    """The machine with Debian 12: kernel 6.1, no cachestat."""
    yield from _lent(machines.machines[BOOKWORM])


@pytest.fixture
def trixie(machines: Machines) -> Iterator[Machine]:
    """The machine with Debian 13: kernel 6.12."""
    yield from _lent(machines.machines[TRIXIE])


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """An empty working directory of a controller."""
    folder = tmp_path / "controller"
    folder.mkdir()
    return folder


def _lent(machine: Machine) -> Iterator[Machine]:
    """Lends a machine that is up; its inventory variables are afterwards as they were."""
    if not machine.running:
        machine.power_on()
    machine.wait_for_ssh()
    kept = dict(machine.variables)
    yield machine
    machine.variables = kept
