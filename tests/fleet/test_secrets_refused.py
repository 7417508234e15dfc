"""Secrets where everybody reads them are refused, and are found nowhere, at -vvvv neither."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fleet.conftest import CANARY
from tests.fleet.nodes import Fleet
from tests.fleet.play import Play, run_playbook

# Inventories are sorted: the campaign is opened with the settings of the first node that is left.
LAST = "gpu-without-secret"
VARIANT = {"name": "default", "args": [], "env": {}}
# By node: the variable that holds a secret, its value, and what it is called there.
HELD: dict[str, tuple[str, Any, str]] = {
    "args-1": ("coldproof_engine_args", ["--port", "1", "--api-key", CANARY], "--api-key"),
    "args-2": ("coldproof_engine_args", [f"--hf-token={CANARY}"], "--hf-token"),
    "args-3": ("coldproof_engine_args", f"--hf-token {CANARY}", "--hf-token"),
    "command": ("coldproof_engine_command", ["serve", "--api-key", CANARY], "--api-key"),
    "env-1": ("coldproof_engine_env", {"HF_TOKEN": CANARY}, "HF_TOKEN"),
    "env-2": ("coldproof_engine_env", {"https_proxy": f"http://me:{CANARY}@proxy"}, "a password"),
    "variant-1": ("coldproof_variants", [{**VARIANT, "args": ["--token", CANARY]}], "--token"),
    "variant-2": ("coldproof_variants", [{**VARIANT, "env": {"MY_KEY": CANARY}}], "MY_KEY"),
}


@pytest.fixture(scope="module")
def play(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """One job over nodes that are down, each with its secret, and one without that opens it."""
    fleet.add(LAST, up=False, coldproof_model_path="/nonexistent")
    names = [LAST]
    for number, (variable, value, _) in HELD.items():
        node = fleet.add(f"gpu-secret-{number}", up=False, coldproof_model_path="/nonexistent")
        node.variables[variable] = value
        names.append(node.name)
    try:
        yield run_playbook(
            tmp_path_factory.mktemp("secrets"), fleet.inventory(*names), "-vvvv", "--diff"
        )
    finally:
        for name in names:
            del fleet.nodes[name]


@pytest.mark.parametrize("number", HELD)
def test_a_secret_is_refused_by_its_variable(play: Play, number: str) -> None:
    variable, _, name = HELD[number]
    node = f"gpu-secret-{number}"
    outcome = play.outcomes()[node]
    assert outcome["status"] == "refused"
    assert f"{variable}: {name}" in outcome["message"]
    assert "coldproof_engine_secrets" in outcome["message"]
    assert outcome["variable"] == variable
    assert play.remote_tasks(node) == []


def test_it_is_found_nowhere(play: Play) -> None:
    assert play.outcomes()[LAST]["status"] == "unreachable"
    assert CANARY not in play.output
    files = [path for path in play.reports.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
