"""`coldproof run` on real nodes: the table, the streams, what interrupts it, and what is left."""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.fleet import plant
from tests.fleet.conftest import HEALTHY
from tests.fleet.controllers import status
from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet, Node
from tests.fleet.terminals import Terminal, call, folder_of, processes

pytestmark = pytest.mark.faults
CANARY = "canary-0f9e8d7c6b5a"
REPEATS = 8
NUMBERS = itertools.count(1)


@pytest.fixture
def alone(fleet: Fleet) -> Iterator[Node]:
    """A node of its own, with starts enough to be interrupted in."""
    node = fleet.add(f"gpu-run-{next(NUMBERS)}")
    node.variables["coldproof_model_path"] = str(write_model(node.folder / "models/m", mib=8))
    node.variables["coldproof_repeats"] = REPEATS
    yield node
    fleet.nodes.pop(node.name).stop()


def holding(place: Path, word: str) -> list[Path]:
    """Returns the files that hold a word. Files come and go meanwhile."""
    found = []
    for folder, _, names in os.walk(place):
        for path in (Path(folder) / name for name in names):
            try:
                if path.is_file() and word.encode() in path.read_bytes():
                    found.append(path)
            except OSError:
                continue
    return found


def retries(directory: Path) -> list[str]:
    """Returns the node of each look after which the playbook looked again."""
    lines = (directory / "tasks.jsonl").read_text("utf-8").splitlines()
    return [one["host"] for one in map(json.loads, lines) if one["event"] == "retry"]


def test_three_nodes_in_a_table_that_are_streamed_and_hardly_looked_at(
    fleet: Fleet, workplace: Path
) -> None:
    inventory = fleet.inventory(*HEALTHY)
    words = ("-i", str(inventory), "-l", "gpu-nodes", "-e", f"coldproof_repeats={REPEATS}")
    found: set[Path] = set()

    def look() -> None:
        found.update(holding(workplace / "tmp", CANARY))

    with Terminal(workplace, "run", *words, COLDPROOF_TEST_TOKEN=CANARY) as terminal:
        for name in HEALTHY:
            shot = terminal.until(rf"^{name} +\d+/\d+ .*stream$", look)
            assert re.search(r"^node +step +run +phase +elapsed +left +by$", shot, re.M)
        terminal.until(
            r"^gpu-0\d +\d+/\d+ +default/default (cold|warm) .* \d+ (of \d+ )?s .*stream$", look
        )
        assert terminal.end(look) == 0, terminal.raw[-4000:]
    last = terminal.shots[-1]
    assert "3 of 3 nodes done" in last
    assert all(re.search(rf"^{name} +(\d+)/\1 +done", last, re.M) for name in HEALTHY)
    assert "Report: " in last
    # At their own pace the looks would be one a second.
    assert len(retries(workplace)) <= 3 * len(HEALTHY), retries(workplace)
    assert found == set()
    for place in (workplace, *(fleet.nodes[name].folder for name in HEALTHY)):
        assert holding(place, CANARY) == []
    assert list((workplace / "tmp").iterdir()) == []
    assert (folder_of(workplace) / "playbook.log").stat().st_mode & 0o777 == 0o600


def test_a_jump_host_is_passed_and_a_node_that_is_not_known_is_not_streamed(
    fleet: Fleet, alone: Node, workplace: Path
) -> None:
    strange = fleet.add(f"gpu-run-{next(NUMBERS)}")
    strange.variables |= alone.variables
    jump = fleet.nodes[HEALTHY[0]]
    inventory = fleet.inventory(alone.name, strange.name)
    config = workplace / "ssh_config"
    connection = fleet.connection()
    config.write_text(
        f"Host *\n  UserKnownHostsFile {fleet.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        f"  StrictHostKeyChecking yes\n  IdentityFile {fleet.client_key}\n  IdentitiesOnly yes\n"
        f"  HostName 127.0.0.1\n  User {connection['ansible_user']}\n"
        f"Host jump\n  Port {jump.port}\n"
        f"Host inside\n  Port {alone.port}\n  ProxyJump jump\n",
        encoding="utf-8",
    )
    own = {"ansible_host": "inside", "ansible_ssh_common_args": f"-F {config}"}
    document = yaml.safe_load(inventory.read_text("utf-8"))
    hosts = document["gpu-nodes"]["hosts"]
    hosts[alone.name] |= own
    # What the configuration has is not said twice.
    del hosts[alone.name]["ansible_port"]
    for name in ("ansible_host", "ansible_user", "ansible_ssh_private_key_file"):
        hosts[strange.name].setdefault(name, document["gpu-nodes"]["vars"].pop(name))
    hosts[strange.name]["ansible_ssh_common_args"] = (
        "-F /dev/null -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no"
    )
    path = workplace / "inventory.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    try:
        done = call(workplace, "run", "-i", str(path), "-l", "gpu-nodes")
    finally:
        fleet.nodes.pop(strange.name).stop()
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    refused = [line for line in lines if "not streamed" in line]
    assert refused
    assert all(line.startswith(f"{strange.name}: ") for line in refused)
    assert all(f"its host key ([127.0.0.1]:{strange.port}) is not in" in line for line in refused)
    looked = retries(workplace)
    assert looked.count(alone.name) <= 3
    for name in (alone.name, strange.name):
        assert re.search(rf"^{name} +default/default (cold|warm) \d+/", done.stdout, re.M)


def test_the_plan_is_shown_and_nothing_is_made_of_it(
    fleet: Fleet, alone: Node, workplace: Path
) -> None:
    words = ("run", "--check", "-i", str(fleet.inventory(alone.name)), "-l", "gpu-nodes")
    plan = rf"{alone.name}: {2 * REPEATS + 1} starts, about "
    with Terminal(workplace, *words) as terminal:
        assert terminal.end() == 0, terminal.raw[-4000:]
    assert re.search(plan, terminal.raw)
    done = call(workplace, *words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert (answer["directory"], answer["nodes"], "error" in answer) == (None, {}, False)
    assert re.match(plan, answer["plan"][0])
    assert not alone.state.exists()
    wrong = call(workplace, *words, "--json", "-e", "coldproof_modle=x")
    assert wrong.returncode == 2
    assert "coldproof_modle" in json.loads(wrong.stdout)["error"]["message"]
    assert "coldproof_modle" in wrong.stderr


def test_ctrl_c_leaves_the_node_measuring_which_can_be_stopped_and_resumed(
    fleet: Fleet, alone: Node, workplace: Path
) -> None:
    python = fleet.connection()["ansible_python_interpreter"]
    alone.variables |= plant.variables(python, str(plant.SERVER), seconds=3)
    words = ("-i", str(fleet.inventory(alone.name)), "-l", "gpu-nodes")
    with Terminal(workplace, "run", *words) as terminal:
        terminal.until(rf"^{alone.name} +[1-9]\d*/\d+ .*stream$")
        terminal.interrupt()
        assert terminal.end() == 130
    assert "coldproof resume" in terminal.shots[-1]
    assert processes(str(fleet.folder / f"inventory-{alone.name}.yml")) == []
    step = status(alone)["step"]
    deadline = time.monotonic() + 60
    while status(alone)["step"] == step:
        assert time.monotonic() < deadline, "the agent does not go on"
        time.sleep(0.2)
    told = json.loads(call(workplace, "status", "--json").stdout)
    assert told["nodes"][alone.name]["state"] == "at work"
    stopped = call(workplace, "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert f"{alone.name}  stops after this pair" in stopped.stdout
    deadline = time.monotonic() + 60
    while not status(alone)["error"]:
        assert time.monotonic() < deadline, status(alone)
        time.sleep(0.2)
    assert status(alone)["error"]["code"] == "stopped"
    resumed = call(workplace, "resume", "--json")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert json.loads(resumed.stdout)["nodes"][alone.name]["status"] == "complete"
    folder = folder_of(workplace) / "nodes" / alone.name
    records = [json.loads(line) for line in (folder / "runs.jsonl").open(encoding="utf-8")]
    pairs = [(one["mode"], one["pair"]) for one in records if one["mode"] != "prime"]
    assert sorted(pairs) == sorted(itertools.product(("cold", "warm"), range(1, REPEATS + 1)))
    # Its loop ends with its channel, at its next word.
    deadline = time.monotonic() + 30
    while loops := processes(f"s={alone.state}"):
        assert time.monotonic() < deadline, loops
        time.sleep(0.5)
