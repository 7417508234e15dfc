"""Hosts that make proof hard: too little memory, the OOM killer, weights behind NFS."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldproof.archive import build
from tests.fleet import plant
from tests.fleet.nodes import FleetError
from tests.fleet.play import ROOT
from tests.vm.conftest import MODEL_MIB, SMALL_MIB
from tests.vm.machines import MODELS, Machine

AGENT = "/root/agent.pyz"
STATE = "/var/tmp/alone"
NFS = "/mnt/nfs"
PLANTED_S = 30.0  # the weights are read in it, over NFS from the machine itself
MIB = 1 << 20
# Takes all memory there is, as an engine that is too large for its node does.
HUNGRY = "import time; kept = []\nwhile True: kept.append(bytearray(1 << 24))"


@pytest.fixture
def alone(trixie: Machine, tmp_path: Path) -> Iterator[Machine]:
    """A machine that has the agent's archive, to be called by hand."""
    archive = tmp_path / "agent.pyz"
    build(ROOT / "roles/agent/files/coldproof_agent", ROOT / "schemas", archive)
    trixie.put(archive, AGENT)
    yield trixie
    trixie.ssh(f"rm -rf {AGENT} {STATE}")


def measure(machine: Machine, mode: str, *more: str, model: str = f"{MODELS}/m") -> dict[str, Any]:
    """Makes one start by hand. Returns its record; what was refused is ``{"refused": text}``."""
    words = ["python3", AGENT, "measure", mode, "--model-path", model, "--state", STATE]
    given = more if "--engine" in more else ("--engine", "reference", *more)
    command = shlex.join([*words, "--csv", f"{STATE}.csv", *given])
    said = machine.ssh(f"{command} >/dev/null 2>/root/said; cat /root/said", limit_s=240)
    try:
        lines = machine.ssh(f"cat {STATE}/campaigns/*/runs.jsonl").splitlines()
    except FleetError:
        return {"refused": said}
    record: dict[str, Any] = json.loads(lines[-1])
    # A cold start alone has one before it that fills the compile caches.
    return record if record["mode"] == mode else {"refused": record["outcome_detail"] + said}


def test_a_memory_cgroup_smaller_than_the_model_is_refused(alone: Machine) -> None:
    words = f"{AGENT} measure warm --engine reference --model-path {MODELS}/m --state {STATE}"
    limit = f"systemd-run --quiet --scope -p MemoryMax={MODEL_MIB // 2}M"
    said = alone.ssh(f"{limit} python3 {words} 2>&1 || true")
    assert "cannot stay in the page cache" in said, said
    assert "coldproof_tiers" in said


def test_a_server_that_the_oom_killer_takes_is_a_row_that_says_so(alone: Machine) -> None:
    command = json.dumps(["/usr/bin/python3", "-c", HUNGRY])
    record = measure(
        alone, "prime", "--engine", "custom", "--engine-command", command,
        "--ready-path", "/v1/models", "--ready-timeout", "200",
    )  # fmt: skip
    assert record["outcome"] == "oom", record
    assert "OOM killer" in record["outcome_detail"]
    assert record["load_s"] is None


@pytest.fixture
def nfs(alone: Machine) -> Iterator[Machine]:
    """The same machine, with its own models mounted over NFS."""
    alone.ssh(
        f"mkdir -p {NFS} && echo '{MODELS} 127.0.0.1(ro,insecure,fsid=1)' >/etc/exports && "
        "systemctl start nfs-server && exportfs -ra && "
        f"mount -t nfs -o ro,vers=4.2 127.0.0.1:{MODELS} {NFS} && "
        # The first read over NFS, after the OOM killer's work, is a slow one.
        f"cat {NFS}/small/* >/dev/null",
        limit_s=180,
    )
    yield alone
    alone.ssh(f"umount -f {NFS}; systemctl stop nfs-server", limit_s=120)


def planted(machine: Machine, mode: str, before: str = "") -> dict[str, Any]:
    """Makes a planted start of the model behind NFS; ``before`` is what a bystander does."""
    chosen = plant.variables("/usr/bin/python3", f"{MODELS}/planted.py", PLANTED_S)
    command = chosen["coldproof_engine_command"]
    if before:
        command = ["/bin/sh", "-c", f'{before}; exec "$@"', "sh", *command]
    return measure(
        machine, mode, "--engine", "custom", "--engine-command", json.dumps(command),
        "--ready-path", "/v1/models", model=f"{NFS}/small",
    )  # fmt: skip


def test_weights_behind_nfs_are_cold_for_the_client_alone(nfs: Machine) -> None:
    cold, warm = planted(nfs, "cold"), planted(nfs, "warm")
    assert "refused" not in cold | warm, (cold, warm)
    assert cold["storage"]["filesystem"] == "nfs4"
    assert cold["bytes"]["network"] >= SMALL_MIB * MIB, cold["bytes"]
    assert (cold["state"], warm["state"]) == ("proven_cold", "proven_warm"), cold["reasons"]
    assert cold["scope"] == "weights+client"
    assert warm["bytes"]["network"] < MIB


def test_what_a_bystander_fetched_over_nfs_is_not_the_servers(nfs: Machine) -> None:
    # Another process, of no tree of ours, brings the weights into the cache as the start begins.
    fetch = f"systemd-run --quiet --wait sh -c 'cat {NFS}/small/*.safetensors >/dev/null'"
    record = planted(nfs, "cold", before=fetch)
    assert record["bytes"]["network"] >= SMALL_MIB * MIB, record["bytes"]
    assert record["state"] == "unproven", record
    assert "accounted to the server" in record["reasons"][0]
