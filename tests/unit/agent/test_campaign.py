"""A whole campaign by the agent alone: carried out, killed, resumed, refused."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import durable, makemodel, procfs
from tests.counts import LONG, seeded
from tests.unit.agent import plans
from tests.unit.agent.drivers.campaigns import (
    check_files,
    foreground,
    is_done,
    run,
    servers,
    status,
    until,
)

KILLS = 1000 if LONG else 30
PAIRS = 8
Answer = Callable[..., dict[str, Any]]
Run = Callable[..., subprocess.CompletedProcess[str]]


def check_done(folder: Path, runs: list[dict[str, Any]]) -> None:
    """Checks a campaign that has ended: every run listed once, every pair made once."""
    with (folder / "storage_load_bench.csv").open() as opened:
        listed = [row["run_id"] for row in csv.DictReader(opened)]
    assert sorted(listed) == sorted(one["run_id"] for one in runs if one["mode"] != "prime")
    assert len(listed) == len(set(listed))
    by_pair: dict[int, list[str]] = {}
    for one in runs:
        if one["mode"] != "prime" and one["outcome"] == "ready":
            by_pair.setdefault(one["pair"], []).append(one["mode"])
    finished = [modes for modes in by_pair.values() if sorted(modes) == ["cold", "warm"]]
    assert len(finished) == PAIRS
    assert all(len(modes) <= 2 for modes in by_pair.values()), "a pair was repeated"


@pytest.mark.faults
def test_sigkill_at_random_instants(tiny: Path, tmp_path: Path) -> None:
    """When a campaign is done before all kills are, the next one begins: each kill hits work."""
    dice = seeded("agent kills")
    state = tmp_path / "state"
    kept: dict[str, dict[str, dict[str, Any]]] = {}  # runs by campaign
    hits = idle = with_server = 0
    name = ""
    while hits < KILLS:
        if not name or is_done(state, name):
            name = plans.put(state, plans.make(tiny, repeats=PAIRS, max_model_len=1024 + len(kept)))
            kept[name] = {}
        for least, most in ((0.0, 2.5), (0.6, 1.2)):  # the second start cleans up first of all
            with foreground(state) as agent:
                time.sleep(dice.uniform(least, most))
                serving = bool(servers(state))
                working = agent.poll() is None and not is_done(state, name)
                agent.kill()
            hits, idle = hits + working, idle + (not working)
            with_server += working and serving
        until(lambda: not servers(state), "no server is left", 10)
        after = check_files(state / "campaigns" / name)
        lost = {key for key, one in kept[name].items() if after.get(key) != one}
        assert not lost, f"lost {lost}"
        kept[name] = after
    print(f"{hits} kills hit a running campaign, {with_server} while its server was there")
    print(f"{idle} hit none; {len(kept)} campaigns, {sum(map(len, kept.values()))} runs kept")
    assert run(state, 240) == 0
    assert servers(state) == []
    assert status(state)["done"] is True
    for name, runs in kept.items():
        after = check_files(state / "campaigns" / name)
        assert runs.items() <= after.items()
        check_done(state / "campaigns" / name, list(after.values()))


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
