"""Nodes whose Python or whose status.json answers nonsense: their own rows, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fleet.broken import with_fault
from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet
from tests.fleet.play import Play, run_playbook

pytestmark = pytest.mark.faults

HEALTHY = "gpu-broken-not"
REFUSED = {"failed": True, "msg": "no", "folder": "/nowhere", "deployed": []}


def refusal(**fields: Any) -> dict[str, Any]:
    """Returns a fault: the preflight is refused with such an outcome."""
    outcome = {"status": "refused", "code": "a", "message": "b", "variable": ""} | fields
    return {"command": "preflight", "prints": {**REFUSED, "outcome": outcome}}


def answer(command: str, **fields: Any) -> dict[str, Any]:
    """Returns a fault: a command is answered so."""
    printed = {"changed": False, "folder": "/nowhere", "deployed": [], "answer": fields}
    return {"command": command, "prints": printed}


# What is wrong with a node, and the field that its row has to name.
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "gpu-broken-expected": (answer("preflight", ok=True, expected={}), "answer.expected.minutes"),
    "gpu-broken-code": (refusal(code=5), "outcome.code"),
    "gpu-broken-complete": (refusal(status="complete"), "outcome.status"),
    "gpu-broken-pack": (answer("pack", ok=True, bytes="none"), "answer.bytes"),
    "gpu-broken-error": (
        {"command": "start", "status": {"error": {"code": 5, "message": "m", "variable": None}}},
        "error.code",
    ),
    "gpu-broken-long": ({"command": "start", "status": {"run": "x" * (9 << 20)}}, "schema"),
}
# With half a character in it, campaign.json could not be read again.
HALF = "gpu-broken-half"
HALF_ERROR = {"code": "a", "message": "a\ud800b", "variable": None}
ALL = {name: fault for name, (fault, _) in FAULTS.items()}
ALL[HALF] = {"command": "start", "status": {"error": HALF_ERROR}}


@pytest.fixture(scope="module")
def play(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """The main job over the broken nodes; inventories are sorted: `run_once` runs on such a one."""
    names = [HEALTHY, *ALL]
    try:
        for name in names:
            node = fleet.add(name)
            node.variables["coldproof_model_path"] = str(
                write_model(node.folder / "models/m", mib=8)
            )
            if name != HEALTHY:
                with_fault(node, ALL[name])
        yield run_playbook(tmp_path_factory.mktemp("broken"), fleet.inventory(*names))
    finally:
        for name in names:
            fleet.nodes.pop(name).stop()


def test_the_healthy_node_is_complete_and_reported(play: Play) -> None:
    assert play.code == 2
    outcomes = play.outcomes()
    assert outcomes[HEALTHY]["status"] == "complete", play.output
    assert set(outcomes) == {HEALTHY, *ALL}
    assert {name for name, counts in play.recap().items() if counts["failed"]} == set(ALL)
    report = play.report()
    assert [name for name in outcomes if name not in report] == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_node_is_a_row_that_names_the_field(play: Play, name: str) -> None:
    outcome = play.outcomes()[name]
    assert (outcome["status"], outcome["code"]) == ("failed", "bad_answer"), outcome
    assert FAULTS[name][1] in outcome["message"], outcome


def test_text_that_cannot_be_written_is_replaced(play: Play) -> None:
    outcome = play.outcomes()[HALF]
    assert (outcome["status"], outcome["code"], outcome["message"]) == ("failed", "a", "a?b")
