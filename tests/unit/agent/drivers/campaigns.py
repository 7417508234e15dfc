"""Runs whole campaigns by the agent's command, and reads what they leave behind."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema

from coldproof_agent import durable
from tests.unit.agent import plans

ROOT = Path(__file__).parents[4]
SOURCE = ROOT / "roles/agent/files"
# For a user who may not read this one's virtual environment.
SYSTEM_PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
ENV = {**os.environ, "PYTHONPATH": str(SOURCE)}
ENGINE = Path(__file__).with_name("engine.py")


def words(state: Path, command: str = "run") -> list[str]:
    """Returns the agent's command for a state folder."""
    return [sys.executable, "-m", "coldproof_agent", command, "--state", str(state)]


def foreground(state: Path, **env: str) -> subprocess.Popen[bytes]:
    """Starts the agent, to be killed."""
    return subprocess.Popen(words(state), env={**ENV, **env})


def run(state: Path, timeout_s: float = 60.0, **env: str) -> int:
    """Runs the agent to its end, which has to come by itself. Returns its exit status."""
    done = subprocess.run(words(state), env={**ENV, **env}, timeout=timeout_s, check=False)
    return done.returncode


def hooked(model: Path, folder: Path, hook: str, **settings: Any) -> dict[str, Any]:
    """Returns a plan whose engine is engine.py with a hook: Python text (see there)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hook.py").write_text(hook)
    program = [sys.executable, "-I", "-S", "-B", str(ENGINE)]
    values = ["{model_path}", "{port}", "{served_model_name}"]
    given: dict[str, Any] = {
        "engine": "custom",
        "engine_command": [*program, str(folder), *values],
        "ready_path": "/v1/models",
        **settings,
    }
    return plans.make(model, **given)


def starts(folder: Path) -> list[dict[str, Any]]:
    """Returns the starts that engine.py noted: pid and environment of each."""
    path = folder / "starts"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def status(state: Path) -> dict[str, Any]:
    """Returns status.json, checked against its schema."""
    value: dict[str, Any] = json.loads((state / "status.json").read_text())
    jsonschema.validate(value, json.loads((ROOT / "schemas/status.schema.json").read_text()))
    return value


def runs(state: Path, name: str) -> list[dict[str, Any]]:
    """Returns a campaign's finished runs."""
    return durable.read_records(state / "campaigns" / name / "runs.jsonl")


def events(state: Path, name: str, event: str) -> list[dict[str, Any]]:
    """Returns the events of one kind of a campaign's journal."""
    found = durable.read_records(state / "campaigns" / name / "journal.jsonl")
    return [one for one in found if one["event"] == event]


def is_done(state: Path, name: str) -> bool:
    """Says whether a campaign has ended with all of its runs."""
    return bool(events(state, name, "done"))


def check_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Checks that nothing is torn. Returns the finished runs by id."""
    path = folder / "runs.jsonl"
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    for line in whole.splitlines():
        one = json.loads(line)
        assert one["checksum"] == durable.checksum(one)
    table = folder / "storage_load_bench.csv"
    if table.exists():
        with table.open() as opened:
            for row in csv.DictReader(opened):
                assert None not in row.values(), row
                assert None not in row, row
    return {one["run_id"]: one for one in durable.read_records(path)}


def until(true: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Waits until something is true; that it never is fails."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
        time.sleep(0.01)


def servers(state: Path) -> list[int]:
    """Returns the processes whose command line names this state folder's server."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"{state}/engine/reference_server.py".encode() in line:
                found.append(int(entry.name))
    return found
