"""clean.yml deletes what coldproof wrote, ends coldproof's processes, and nothing else."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fleet.nodes import Fleet, Node
from tests.fleet.play import ROOT, run_playbook

CAMPAIGN = "20261123T215900Z-0123456789ab"
MINE = (
    ".ssh/id_ed25519",
    ".profile",
    ".coldproof",
    ".lock.new",
    ".space.invaders",
    "engine/mine.py",
    "campaigns/of-the-opera/notes",
    "plan.json.bak",
    "secrets.json/mine",
)
ITS_OWN = (
    ".coldproof.a1b2_3c4",
    ".space.4711",
    ".status.json.new",
    ".launched.json.4711.new",
    ".coldproof-results.tar.4711",
    "coldproof-agent.pyz",
    "status.json",
    "engine-version.json",
    "engine/reference_server.py",
    "engine/.reference_server.py.4711.new",
    f"campaigns/{CAMPAIGN}/logs/0001.log",
)


@pytest.fixture(scope="module")
def node(fleet: Fleet) -> Iterator[Node]:
    """A node of its own."""
    made = fleet.add("gpu-clean")
    yield made
    fleet.nodes.pop(made.name).stop()


@pytest.fixture
def held() -> Iterator[Callable[[Path, str], None]]:
    """Makes files with a content and holds their flock(2) until the end of the test."""
    opened = []

    def hold(path: Path, content: str) -> None:
        path.write_text(content, encoding="ascii")
        file = path.open(encoding="ascii")
        fcntl.flock(file, fcntl.LOCK_EX)
        opened.append((path, file))

    yield hold
    for path, file in opened:
        file.close()
        path.unlink(missing_ok=True)


def agent_clean(state: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "roles/agent/files")}
    return subprocess.run(
        [sys.executable, "-m", "coldproof_agent", "clean", "--state", str(state)],
        capture_output=True, text=True, check=False, timeout=120, env=environment,
    )  # fmt: skip


def test_what_somebody_else_put_there_stays(
    fleet: Fleet, node: Node, workplace: Path, held: Callable[[Path, str], None]
) -> None:
    for name in (*MINE, *ITS_OWN):
        (node.state / name).parent.mkdir(parents=True, exist_ok=True)
        (node.state / name).write_text(name, encoding="utf-8")
    folder = Path("/run/lock" if os.access("/run/lock", os.W_OK) else "/tmp")
    other, dead = (folder / f"coldproof-GPU-test-{os.getpid()}-{n}.lock" for n in (1, 2))
    held(other, "")
    dead.touch()
    play = run_playbook(workplace, fleet.inventory(node.name), playbook="clean.yml")
    assert play.code == 2, play.output
    files = {str(p.relative_to(node.state)) for p in node.state.rglob("*") if p.is_file()}
    assert files == set(MINE)
    assert not dead.exists()
    assert other.exists()
    said = " ".join(play.output.split())
    assert ".ssh" in said
    assert str(other) not in said.partition("left here")[2]


def test_a_process_that_has_the_id_in_the_lock_is_not_ended(
    tmp_path: Path, held: Callable[[Path, str], None]
) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        held(tmp_path / "lock", f"{bystander.pid} {CAMPAIGN}\n")
        done = agent_clean(tmp_path)
        assert done.returncode == 1, done.stdout
        assert str(tmp_path / "lock") in done.stderr
        assert str(bystander.pid) in done.stderr
        assert bystander.poll() is None
        assert (tmp_path / "lock").exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_a_lock_that_names_nobody_is_not_deleted_while_it_is_held(
    tmp_path: Path, held: Callable[[Path, str], None]
) -> None:
    held(tmp_path / "lock", "")
    assert agent_clean(tmp_path).returncode == 1
    assert (tmp_path / "lock").exists()


def test_who_holds_the_lock_is_ended(tmp_path: Path) -> None:
    code = (
        "import fcntl, os, sys, time\n"
        "lock = open(sys.argv[1], 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print(os.getpid(), sys.argv[2], file=lock, flush=True)\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    agent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock"), CAMPAIGN], stdout=subprocess.PIPE
    )
    try:
        assert agent.stdout is not None
        assert agent.stdout.readline() == b"held\n"
        done = agent_clean(tmp_path)
        assert done.returncode == 0, done.stderr
        assert [one["pid"] for one in json.loads(done.stdout)["ended"]] == [agent.pid]
        assert agent.poll() is not None
        assert not tmp_path.exists()
    finally:
        agent.kill()
        agent.wait()


@pytest.mark.parametrize("playbook", ["clean.yml", "collect.yml"])
def test_a_mistyped_variable_is_refused(
    fleet: Fleet, node: Node, workplace: Path, playbook: str
) -> None:
    play = run_playbook(
        workplace, fleet.inventory(node.name), "-e", "coldproof_statedir=/x", playbook=playbook
    )
    assert play.code == 2
    assert "did you mean coldproof_state_dir?" in " ".join(play.output.split())
    assert play.remote_tasks(node.name) == []
