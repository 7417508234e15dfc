"""A hundred nodes on this machine, a fifth of them faulty in different ways: slow.

Two hundred in the long version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.counts import LONG
from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet, Node, make_key
from tests.fleet.play import Play, run_playbook

NODES = 200 if LONG else 100
FORKS = 20
FIRST_PORT = 10_000
LIMIT_S = 24 * NODES


def closed_port(node: Node) -> None:
    node.stop()


def other_host_key(node: Node) -> None:
    """The inventory has been written before: known_hosts holds the first key."""
    node.stop()
    for file in (node.host_key, node.host_key.with_suffix(".pub")):
        file.unlink()
    make_key(node.host_key)
    node.start()


def no_weights(node: Node) -> None:
    node.variables["coldproof_model_path"] = str(node.folder)


def no_state_folder(node: Node) -> None:
    node.variables["coldproof_state_dir"] = "/dev/null/state"


def no_python(node: Node) -> None:
    node.variables["ansible_python_interpreter"] = "/nonexistent/python3"


def no_engine_user(node: Node) -> None:
    node.variables["coldproof_engine_user"] = "nobody-of-this-name"


def unknown_variable(node: Node) -> None:
    node.variables["coldproof_modle"] = "typo"


def other_settings(node: Node) -> None:
    node.variables["coldproof_max_model_len"] = 512


def wrong_type(node: Node) -> None:
    node.variables["coldproof_port"] = "many"


def wrong_user(node: Node) -> None:
    node.variables["ansible_user"] = "nobody-of-this-name"


# What is done to a node, and the status and the code that its row must have.
FAULTS: list[tuple[Callable[[Node], None], str, set[str]]] = [
    (closed_port, "unreachable", {"unreachable"}),
    (other_host_key, "unreachable", {"unreachable"}),
    (wrong_user, "unreachable", {"unreachable"}),
    (no_weights, "refused", {"weights_missing"}),
    (no_state_folder, "refused", {"state_folder"}),
    (no_engine_user, "refused", {"engine_user"}),
    (unknown_variable, "refused", {"unknown_variable"}),
    (other_settings, "refused", {"settings_differ"}),
    (wrong_type, "refused", {"wrong_type"}),
    (no_python, "failed", {"task_failed"}),
]
LATE = (closed_port, other_host_key)


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Play, dict[str, int]]]:
    """The main job over all nodes, and which fault each faulty node has."""
    fleet = Fleet(tmp_path_factory.mktemp("hundred"))
    fleet.variables = {
        "coldproof_engine": "reference",
        "coldproof_model": "random-4m",
        "coldproof_max_model_len": 2048,
        "coldproof_repeats": 1,
        "coldproof_node_drained": True,
        # Two cores for a hundred servers.
        "coldproof_ready_timeout_s": 600,
    }
    faulty: dict[str, int] = {}
    try:
        for number in range(NODES):
            node = fleet.add(f"gpu-{number:03d}")
            node.variables["coldproof_model_path"] = str(write_model(node.folder / "m", mib=4))
            # A hundred nodes share one loopback here: free ports chosen at random would meet.
            node.variables["coldproof_port"] = FIRST_PORT + number
            if number % 5 == 4:
                faulty[node.name] = number // 5 % len(FAULTS)
        for name, fault in faulty.items():
            if FAULTS[fault][0] not in LATE:
                FAULTS[fault][0](fleet.nodes[name])
        inventory = fleet.inventory()
        for name, fault in faulty.items():
            if FAULTS[fault][0] in LATE:
                FAULTS[fault][0](fleet.nodes[name])
        directory = tmp_path_factory.mktemp("controller")
        yield (
            run_playbook(directory, inventory, "-f", str(FORKS), limit_s=LIMIT_S),
            faulty,
        )
    finally:
        fleet.stop()


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 300)
def test_every_node_of_a_hundred_is_a_row(hundred: tuple[Play, dict[str, int]]) -> None:
    play, faulty = hundred
    assert play.code == 2, play.output[-4000:]
    outcomes = play.outcomes()
    assert len(outcomes) == NODES
    assert len(faulty) == NODES // 5
    wrong = {
        name: outcome
        for name, outcome in outcomes.items()
        if name not in faulty and outcome["status"] != "complete"
    }
    assert wrong == {}
    report = play.report()
    for name, fault in faulty.items():
        _, status, codes = FAULTS[fault]
        assert outcomes[name]["status"] == status, outcomes[name]
        assert outcomes[name]["code"] in codes, outcomes[name]
        assert outcomes[name]["message"]
    assert [name for name in outcomes if name not in report] == []
    assert {name for name, counts in play.recap().items() if counts["failed"]} == set(faulty)


@pytest.mark.slow
def test_every_healthy_node_of_a_hundred_has_all_its_runs(
    hundred: tuple[Play, dict[str, int]],
) -> None:
    play, faulty = hundred
    folders = {folder.name: folder for folder in (play.campaign() / "nodes").iterdir()}
    healthy = set(play.outcomes()) - set(faulty)
    for name in healthy:
        lines = (folders[name] / "runs.jsonl").read_text("utf-8").splitlines()
        runs = [json.loads(line) for line in lines]
        assert {run["mode"] for run in runs} == {"prime", "cold", "warm"}
        assert {run["outcome"] for run in runs} == {"ready"}, name
