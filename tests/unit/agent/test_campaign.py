"""A whole campaign by the agent alone: carried out, killed, resumed, refused."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from coldproof_agent import durable, makemodel, procfs
from tests.unit.agent import plans

ROOT = Path(__file__).parents[3]
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "roles/agent/files")}
KILLS = 1000 if os.environ.get("COLDPROOF_LONG") == "1" else 20
Answer = Callable[..., dict[str, Any]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tiny(disk: Path) -> Path:
    makemodel.make(str(disk / "tiny"), 8)
    return disk / "tiny"


def foreground(state: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "coldproof_agent", "run", "--state", str(state)]
    return subprocess.Popen(words, env=ENV)


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


def status(state: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((state / "status.json").read_text())
    jsonschema.validate(value, json.loads((ROOT / "schemas/status.schema.json").read_text()))
    return value


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


def test_sigkill_at_random_instants(tiny: Path, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    state = tmp_path / "state"
    pairs = max(8, KILLS // 2)
    name = plans.put(state, plans.make(tiny, repeats=min(pairs, 100)))
    folder = state / "campaigns" / name
    before: dict[str, dict[str, Any]] = {}
    left_after_next_start = 0
    for _ in range(KILLS):
        with foreground(state) as agent:
            time.sleep(dice.uniform(0.0, 2.5))
            agent.kill()
        with foreground(state) as agent:  # the next start: it cleans up before anything else
            time.sleep(dice.uniform(0.6, 1.2))
            agent.kill()
        end = time.monotonic() + 10
        while servers(state) and time.monotonic() < end:
            time.sleep(0.05)
        left_after_next_start += len(servers(state))
        after = check_files(folder)
        lost = {key for key, one in before.items() if after.get(key) != one}
        assert not lost, f"lost {lost}"
        before = after
    assert left_after_next_start == 0
    assert servers(state) == []
    with foreground(state) as agent:
        assert agent.wait(240) == 0
    done = status(state)
    assert done["done"] is True
    runs = list(check_files(folder).values())
    with (folder / "storage_load_bench.csv").open() as opened:
        listed = [row["run_id"] for row in csv.DictReader(opened)]
    assert sorted(listed) == sorted(one["run_id"] for one in runs if one["mode"] != "prime")
    assert len(listed) == len(set(listed))
    by_pair: dict[int, list[str]] = {}
    for one in runs:
        if one["mode"] != "prime" and one["outcome"] == "ready":
            by_pair.setdefault(one["pair"], []).append(one["mode"])
    finished = [modes for modes in by_pair.values() if sorted(modes) == ["cold", "warm"]]
    assert len(finished) == min(pairs, 100)
    assert all(len(modes) <= 2 for modes in by_pair.values()), "a pair was repeated"


def test_start_detaches_and_a_second_start_joins(
    tiny: Path, tmp_path: Path, answer: Answer
) -> None:
    state = tmp_path / "state"
    value = plans.make(tiny, repeats=3)
    plans.put(state, value)
    first = answer("start", "--state", state)
    second = answer("start", "--state", state)
    assert (first["joined"], second["joined"]) == (False, True)
    assert first["pid"] == second["pid"]
    other = plans.make(tiny, repeats=2)
    (state / "plan.json").write_text(json.dumps(other))
    refused = answer("start", "--state", state, status=1)
    assert {one["code"] for one in refused["refusals"]} >= {"locked"}
    assert refused["refusals"][0]["variable"] == "coldproof_campaign"
    end = time.monotonic() + 60
    while not status(state)["done"] and time.monotonic() < end:
        time.sleep(0.2)
    done = status(state)
    assert done["done"]
    assert done["error"] is None
    packed = answer("pack", "--state", state, "--campaign", value["campaign"])
    assert Path(packed["path"]).stat().st_size == packed["bytes"]
    states = [one["state"] for one in durable.read_records(
        state / "campaigns" / value["campaign"] / "runs.jsonl")]  # fmt: skip
    assert states == ["not_applicable", *["proven_cold", "proven_warm"] * 3]


def test_another_plan_while_one_is_unfinished_is_refused(
    tiny: Path, tmp_path: Path, answer: Answer
) -> None:
    state = tmp_path / "state"
    name = plans.put(state, plans.make(tiny, repeats=50))
    with foreground(state) as agent:
        end = time.monotonic() + 30
        while not (state / "campaigns" / name / "runs.jsonl").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        agent.kill()
    (state / "plan.json").write_text(json.dumps(plans.make(tiny, repeats=1)))
    refused = answer("start", "--state", state, status=1)["refusals"]
    assert [one["code"] for one in refused] == ["other_campaign"]
    assert name in refused[0]["message"]


def test_replaced_weights_end_the_campaign(tmp_path: Path, disk: Path) -> None:
    state = tmp_path / "state"
    value = plans.make(disk / "changing", repeats=40)
    makemodel.make(str(disk / "changing"), 4)
    name = plans.put(state, value)
    with foreground(state) as agent:
        end = time.monotonic() + 30
        while len(durable.read_records(state / "campaigns" / name / "runs.jsonl")) < 2:
            assert time.monotonic() < end
            time.sleep(0.05)
        agent.kill()
    makemodel.make(str(disk / "changing"), 6)
    with foreground(state) as agent:
        assert agent.wait(60) == 1
    error = status(state)["error"]
    assert error["code"] == "node_changed"
    assert "weights" in error["message"]
    assert error["variable"] == "coldproof_campaign"


def test_max_minutes_ends_between_runs_and_the_next_start_goes_on(
    tiny: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    value = plans.make(tiny, repeats=2, max_minutes=0.005)
    name = plans.put(state, value)
    for _ in range(30):
        with foreground(state) as agent:
            if agent.wait(60) == 0:
                break
        assert status(state)["error"]["variable"] == "coldproof_max_minutes"
    assert status(state)["done"]
    assert len(check_files(state / "campaigns" / name)) >= 5


def test_a_first_start_that_fails_ends_with_its_log(tmp_path: Path, tiny: Path) -> None:
    state = tmp_path / "state"
    command = [sys.executable, "-c", "print('CUDA is not there'); raise SystemExit(7)"]
    name = plans.put(
        state, plans.make(tiny, engine="custom", engine_command=command, ready_path="/health")
    )
    with foreground(state) as agent:
        assert agent.wait(60) == 1
    error = status(state)["error"]
    assert error["code"] == "engine_failed"
    assert "CUDA is not there" in error["message"]
    (only,) = check_files(state / "campaigns" / name).values()
    assert (only["mode"], only["outcome"]) == ("prime", "crashed")


def test_secrets_are_in_no_file_and_gone_at_the_end(tiny: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    canary = "hf_canary_9d8f7a"
    code = "import os,sys; print('token', os.environ['HF_TOKEN'], flush=True); sys.exit(1)"
    name = plans.put(
        state,
        plans.make(
            tiny, engine="custom", ready_path="/health",
            engine_command=[sys.executable, "-c", code, f"--api-key={canary}-arg"],
        ),
    )  # fmt: skip
    folder = state / "campaigns" / name
    (folder / "secrets.json").write_text(json.dumps({"HF_TOKEN": canary}))
    (folder / "secrets.json").chmod(0o600)
    with foreground(state) as agent:
        assert agent.wait(60) == 1
    assert "***" in next((folder / "logs").iterdir()).read_text()
    holding = [
        str(one) for one in state.rglob("*")
        if one.is_file() and canary in one.read_text(errors="replace")
        and one.name not in ("plan.json",)
    ]  # fmt: skip
    assert holding == []


def test_clean_ends_everything_and_deletes_every_trace(
    tiny: Path, tmp_path: Path, answer: Answer
) -> None:
    state = tmp_path / "state"
    plans.put(state, plans.make(tiny, repeats=90))
    started = answer("start", "--state", state)
    end = time.monotonic() + 30
    while not servers(state):
        assert time.monotonic() < end
        time.sleep(0.01)
    done = answer("clean", "--state", state)
    assert done["ok"]
    assert done["ended"][0]["pid"] == started["pid"]
    assert not state.exists()
    assert servers(state) == []
    agent = procfs.process(int(started["pid"]))
    assert agent is None or agent.state == "Z"
    again = answer("clean", "--state", state)
    assert again["ended"] == []
    assert again["removed"] == []


def test_clean_leaves_alone_what_is_not_ours(tmp_path: Path, answer: Answer) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "status.json").write_text("{}")
    done = answer("clean", "--state", tmp_path)
    assert done["left"] == ["notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "mine"
