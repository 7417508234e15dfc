"""A node that serves somebody else's work is refused before anything is done to it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet, Node, processes_of
from tests.fleet.play import ROOT, run_playbook

OTHER = "20261123T215900Z-0123456789ab"
# Of the weights: the kernel takes some idle pages back by itself; an eviction leaves 0.01 at most.
KEPT = 0.5
GPU = "GPU-11111111-2222-3333-4444-555555555555"
NVIDIA_SMI = f"""\
#!/bin/sh
case "$*" in
  *--query-gpu*) echo "0, {GPU}, H100, 1, 81559, 550.54.15, Enabled" ;;
  *--query-compute-apps*) cat "$(dirname "$0")/tenants" ;;
esac
"""
# Whatever would be told to reboot the node leaves a mark instead.
REBOOT = """\
#!/bin/sh
touch "$(dirname "$0")/rebooted"
"""


@pytest.fixture(scope="module")
def node(fleet: Fleet) -> Iterator[Node]:
    """A node with a GPU of its own, by a stand-in of nvidia-smi, and weights in the page cache."""
    made = fleet.add("gpu-harm", up=False)
    programs = made.folder / "bin"
    programs.mkdir()
    for name, text in {"nvidia-smi": NVIDIA_SMI, "shutdown": REBOOT, "reboot": REBOOT}.items():
        (programs / name).write_text(text, encoding="ascii")
        (programs / name).chmod(0o755)
    (programs / "tenants").touch()
    with (made.folder / "sshd_config").open("a", encoding="utf-8") as config:
        config.write(f"SetEnv PATH={programs}:{os.environ['PATH']}\n")
    made.start()
    made.variables["coldproof_model_path"] = str(write_model(made.folder / "models/m"))
    consents = fleet.add("gpu-harm-down", up=False, coldproof_model_path="/nonexistent")
    consents.variables["coldproof_reboot_ok"] = True
    yield made
    fleet.nodes.pop(made.name).stop()
    del fleet.nodes[consents.name]


@contextmanager
def foreign_gpu_process(node: Node) -> Iterator[None]:
    tenants = node.folder / "bin/tenants"
    tenants.write_text(f"{GPU}, 4242, /opt/train/trainer, 4000\n", encoding="ascii")
    try:
        yield
    finally:
        tenants.write_text("", encoding="ascii")


@contextmanager
def other_campaign(node: Node) -> Iterator[None]:
    node.state.mkdir()
    holder = subprocess.Popen(["sleep", "100"])
    with (node.state / "lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{holder.pid} {OTHER}\n")
        lock.flush()
        try:
            yield
        finally:
            holder.kill()
            holder.wait()
            shutil.rmtree(node.state)


@contextmanager
def scheduler(node: Node, name: str) -> Iterator[None]:
    program = shutil.copy("/bin/sleep", node.folder / name)
    process = subprocess.Popen([program, "100"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def case(node: Node, name: str) -> AbstractContextManager[None]:
    """Makes the node serve somebody else's work while the context lasts."""
    if name == "GPU":
        return foreign_gpu_process(node)
    if name == "lock":
        return other_campaign(node)
    return scheduler(node, name) if name in ("kubelet", "slurmd") else nullcontext()


def resident(path: str) -> float:
    """Returns which part of a model the agent's own command finds in the page cache."""
    done = subprocess.run(
        [sys.executable, "-m", "coldproof_agent", "residency", path],
        env={**os.environ, "PYTHONPATH": str(ROOT / "roles/agent/files")},
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    return float(json.loads(done.stdout)["fraction"])


def read(path: str) -> None:
    """Brings a model into the page cache."""
    for shard in Path(path).glob("*.safetensors"):
        shard.read_bytes()


def boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii")


@pytest.mark.parametrize(
    ("name", "code", "variable", "argument"),
    [
        ("GPU", "gpu_busy", "coldproof_gpu_allowed", "{}"),
        ("lock", "locked", "coldproof_campaign", "{}"),
        ("kubelet", "not_drained", "coldproof_node_drained", '{"coldproof_node_drained": false}'),
        ("slurmd", "not_drained", "coldproof_node_drained", '{"coldproof_node_drained": false}'),
        ("reboot", "no_consent", "coldproof_reboot_ok", '{"coldproof_cold_method": "reboot"}'),
    ],
)
def test_a_node_that_serves_others_is_refused_and_not_touched(
    fleet: Fleet, node: Node, workplace: Path, name: str, code: str, variable: str, argument: str
) -> None:
    weights = str(node.variables["coldproof_model_path"])
    booted = boot()
    read(weights)
    assert resident(weights) > KEPT
    with case(node, name):
        # The other node is down and consents: so a campaign is there to hold the reason.
        play = run_playbook(workplace, fleet.inventory(node.name, "gpu-harm-down"), "-e", argument)
        held = [path.name for path in node.state.rglob("*")] if node.state.exists() else []
    assert play.code == 2
    assert play.recap()[node.name]["failed"] == 1
    outcome = play.outcomes()[node.name]
    assert (outcome["status"], outcome["code"]) == ("refused", code), outcome
    assert outcome["variable"] == variable
    rows = [line for line in play.report().splitlines() if f"{node.name} " in line]
    assert rows, play.report()
    assert all(variable in row for row in rows), rows
    assert variable in play.output.partition("Fail for a node that is not complete")[2]
    # It was looked at, at most.
    assert [task["action"] for task in play.remote_tasks(node.name)] in ([], ["agent"])
    assert held == (["lock"] if name == "lock" else [])
    assert processes_of(node) == []
    assert resident(weights) > KEPT
    assert boot() == booted
    assert not (node.folder / "bin/rebooted").exists()
