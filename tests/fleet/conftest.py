"""Fixtures of the fleet: three healthy nodes, one that is down, one without weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet
from tests.fleet.play import Play, run_playbook

HEALTHY = ("gpu-01", "gpu-02", "gpu-03")
DOWN = "gpu-04"
EMPTY = "gpu-05"
CANARY = "hf_canary0123456789abcdefSECRET"


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """All nodes; healthy ones have a model of 32 MiB."""
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    made.variables = {
        "coldproof_engine": "reference",
        "coldproof_model": "random-32m",
        "coldproof_max_model_len": 2048,
        "coldproof_repeats": 1,
        "coldproof_node_drained": True,
        "coldproof_ready_timeout_s": 60,
        "coldproof_stop_timeout_s": 10,
    }
    try:
        for name in HEALTHY:
            node = made.add(name)
            node.variables["coldproof_model_path"] = str(write_model(node.folder / "models/m"))
        made.add(DOWN, up=False, coldproof_model_path="/nonexistent")
        empty = made.add(EMPTY)
        (empty.folder / "models/none").mkdir(parents=True)
        empty.variables["coldproof_model_path"] = str(empty.folder / "models/none")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def main_job(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """The main job over all five nodes, at the highest verbosity, with a secret."""
    directory = tmp_path_factory.mktemp("controller")
    secrets = directory / "secrets.yml"
    secrets.write_text(f"coldproof_engine_secrets: {{HF_TOKEN: {CANARY}}}\n", encoding="utf-8")
    return run_playbook(
        directory, fleet.inventory(*HEALTHY, DOWN, EMPTY), "-vvvv", "--diff", "-e", f"@{secrets}"
    )


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """An empty working directory of a controller."""
    folder = tmp_path / "controller"
    folder.mkdir()
    return folder
