"""Fixtures: small models on a real disk, the agent as a command, and an ordinary user to be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import makemodel, storage
from tests.unit.agent.drivers import smi

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "roles/agent/files"


@pytest.fixture(scope="session")
def disk() -> Iterator[Path]:
    """A folder on a filesystem that can be cold, open to other users.

    Not pytest's own: every session of pytest closes that to other users again.
    """
    with tempfile.TemporaryDirectory(prefix="coldproof-test-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        mount = storage.mount_of(name)
        if mount.filesystem in storage.MEMORY or mount.filesystem == "overlay":
            pytest.skip(f"{folder} lies on {mount.filesystem}: nothing can be cold there")
        yield folder


@pytest.fixture(scope="session")
def model(disk: Path) -> Path:
    """A model of 64 MiB in two shards."""
    makemodel.make(str(disk / "model"), 64)
    return disk / "model"


@pytest.fixture
def tiny(disk: Path) -> Path:
    """A model of 8 MiB that no test changes."""
    makemodel.make(str(disk / "tiny"), 8)
    return disk / "tiny"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program in nvidia-smi's place: shell text, with $1 as the query."""

    def put(text: str) -> None:
        monkeypatch.setenv("PATH", smi.put(tmp_path, text))

    return put


@pytest.fixture
def run_agent() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the agent's command line and returns what came of it."""

    def run(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "coldproof_agent", *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(SOURCE), **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def answer(
    run_agent: Callable[..., subprocess.CompletedProcess[str]],
) -> Callable[..., dict[str, Any]]:
    """Runs the agent's command line and returns its answer; any failure of the command fails."""

    def ask(*words: object, status: int = 0, **env: str) -> dict[str, Any]:
        done = run_agent(*words, **env)
        assert done.returncode == status, done.stderr + done.stdout
        value = json.loads(done.stdout.splitlines()[-1])
        assert isinstance(value, dict)
        return value

    return ask


@pytest.fixture
def measure(
    answer: Callable[..., dict[str, Any]], model: Path, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Makes one start with the reference engine and returns its answer."""

    def one(mode: str, *more: object, path: Path = model, status: int = 0) -> dict[str, Any]:
        return answer(
            "measure", mode, "--model-path", path, "--engine", "reference",
            "--state", tmp_path / "state", "--csv", tmp_path / "rows.csv", *more, status=status,
        )  # fmt: skip

    return one


@pytest.fixture(scope="session")
def as_nobody() -> list[str]:
    """Words that run a command as an ordinary user."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("becoming another user needs root and setpriv")
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
