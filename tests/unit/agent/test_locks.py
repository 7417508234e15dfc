"""A dead agent holds nothing, whatever its helpers do; starts at one instant are one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import locks, procfs
from tests.unit.agent import plans
from tests.unit.agent.drivers import campaigns, drive

Answer = Callable[..., dict[str, Any]]

# An agent that holds its locks, and then works by way of a child.
AGENT = """
import sys, time
from pathlib import Path
from coldproof_agent import apart, cooling, locks
state, card = Path(sys.argv[1]), sys.argv[2]
assert locks.state_lock(state, "campaign") is not None
locks.gpu_locks([{"uuid": card, "index": 0}])
print("holds", flush=True)
"""
HELPERS = {
    "drop_caches": 'cooling.drop_caches(600.0, control=state / "control")',
    "apart": "apart.run(lambda: time.sleep(600))",
}


@pytest.fixture
def card() -> Iterator[str]:
    """A GPU that only this test knows."""
    name = f"GPU-test-{uuid.uuid4().hex}"
    yield name
    for folder in ("/run/lock", "/tmp"):
        Path(f"{folder}/coldproof-{name}.lock").unlink(missing_ok=True)


def helper_of(agent: int) -> procfs.Process:
    """Waits until an agent's child sleeps at the same place for a while. Returns it."""
    seen = 0

    def sleeps() -> bool:
        nonlocal seen
        below = procfs.descendants(agent)
        seen = seen + 1 if below and below[0].state == "S" else 0
        return seen > 20

    campaigns.until(sleeps, "the agent's helper hangs")
    return procfs.descendants(agent)[0]


@pytest.mark.parametrize("helper", HELPERS)
def test_a_killed_agents_helper_holds_no_lock(tmp_path: Path, card: str, helper: str) -> None:
    os.mkfifo(tmp_path / "control")  # no reader: the child hangs in open(2)
    words = [sys.executable, "-c", AGENT + HELPERS[helper], str(tmp_path), card]
    with subprocess.Popen(words, env=campaigns.ENV, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == "holds\n"
        child = helper_of(agent.pid)
        assert locks.holder(tmp_path) == (agent.pid, "campaign")
        agent.kill()
        agent.wait()
        try:
            assert drive.living([child]) == [child], "it outlives the agent"
            assert locks.holder(tmp_path) is None
            lock = locks.state_lock(tmp_path, "next")
            assert lock is not None
            locks.release(lock)
            for one in locks.gpu_locks([{"uuid": card, "index": 0}]):
                locks.release(one)
        finally:
            os.kill(child.pid, 9)


def test_who_looks_who_holds_the_lock_disturbs_nobody(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from coldproof_agent import locks\n"
        "print('looks', flush=True)\n"
        "while True: locks.holder(Path(sys.argv[1]))"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, env=campaigns.ENV, stdout=subprocess.PIPE, text=True) as looker:
        try:
            assert looker.stdout is not None
            assert looker.stdout.readline() == "looks\n"
            for _ in range(300):
                lock = locks.state_lock(tmp_path, "campaign")
                assert lock is not None
                locks.release(lock)
        finally:
            looker.kill()


def start(state: Path) -> subprocess.Popen[str]:
    """Starts a plan, as a controller does."""
    return subprocess.Popen(
        campaigns.words(state, "start"), env=campaigns.ENV, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("before", ["nothing", "ledger"])
def test_starts_at_one_instant_are_one(
    tiny: Path, tmp_path: Path, answer: Answer, before: str
) -> None:
    """Also after an agent that was killed: its ledger is there, its server is not any more."""
    state = tmp_path / "state"
    name = plans.put(state, plans.make(tiny, repeats=90))
    (state / "secrets.json").write_text('{"HF_TOKEN": "hf_x"}')
    (state / "secrets.json").chmod(0o600)
    if before == "ledger":
        entry: dict[str, Any] = {
            "marker": "coldproof-gone",
            "boot_id": procfs.boot_id(),
            "cgroup": procfs.cgroup(os.getpid()),
            "supervisor": [1 << 22, 1],
            "server": [1 << 22, 1],
            "sessions": {},
            "log": "pipe:[0]",
        }
        (state / "launched.json").write_text(json.dumps(entry))
    starts = [start(state) for _ in range(3)]
    told = [json.loads(one.communicate(timeout=60)[0]) for one in starts]
    try:
        assert all(one["ok"] for one in told), told
        assert [one.returncode for one in starts] == [0, 0, 0]
        assert sorted(one["joined"] for one in told) == [False, True, True]
        assert len({one["pid"] for one in told}) == 1
        assert locks.holder(state) == (told[0]["pid"], name)
        assert not (state / "secrets.json").exists()
        assert (state / "campaigns" / name / "secrets.json").exists(), "the agent has them"
    finally:
        answer("clean", "--state", state)
