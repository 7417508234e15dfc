"""The main job over five nodes: three healthy, one down, one without weights."""

from __future__ import annotations

import csv
import json

import pytest

from tests.fleet.conftest import CANARY, DOWN, EMPTY, HEALTHY
from tests.fleet.nodes import Fleet
from tests.fleet.play import Play, run_playbook

HEADER = "run_id,mode,model,max_model_len,load_s,gpu_mem_used_mb,notes"
MOST_REMOTE_TASKS = 12


def test_every_node_has_an_outcome(main_job: Play) -> None:
    outcomes = {name: node["status"] for name, node in main_job.outcomes().items()}
    assert outcomes == dict.fromkeys(HEALTHY, "complete") | {DOWN: "unreachable", EMPTY: "refused"}


def test_reasons_are_said(main_job: Play) -> None:
    outcomes = main_job.outcomes()
    assert "Connection refused" in outcomes[DOWN]["message"]
    assert "\n" not in outcomes[DOWN]["message"]
    assert "safetensors" in outcomes[EMPTY]["message"]
    assert outcomes[EMPTY]["variable"] in ("coldproof_tiers", "coldproof_model_path")


def test_the_report_has_five_rows(main_job: Play) -> None:
    report = main_job.report()
    for name in (*HEALTHY, DOWN, EMPTY):
        assert name in report
    assert "Connection refused" in report


def test_the_recap_names_the_bad_nodes(main_job: Play) -> None:
    assert main_job.code == 2
    recap = main_job.recap()
    assert {name for name, counts in recap.items() if counts["failed"]} == {DOWN, EMPTY}


@pytest.mark.parametrize("name", HEALTHY)
def test_results_of_a_node_are_fetched(main_job: Play, name: str) -> None:
    folder = main_job.campaign() / "nodes" / name
    lines = (folder / "storage_load_bench.csv").read_text("utf-8").splitlines()
    assert lines[0] == HEADER
    assert [row["mode"] for row in csv.DictReader(lines)] == ["cold", "warm"]
    runs = [json.loads(line) for line in (folder / "runs.jsonl").read_text("utf-8").splitlines()]
    assert {run["mode"] for run in runs} == {"prime", "cold", "warm"}
    assert {run["node"] for run in runs} == {name}
    assert {run["outcome"] for run in runs} == {"ready"}


def test_nothing_incoming_is_left(main_job: Play) -> None:
    assert not list(main_job.campaign().glob("incoming/*"))


@pytest.mark.parametrize("name", HEALTHY)
def test_remote_tasks_are_few(main_job: Play, name: str) -> None:
    tasks = [task["task"] for task in main_job.remote_tasks(name)]
    assert 0 < len(tasks) <= MOST_REMOTE_TASKS, tasks


def test_a_refused_node_is_not_touched(main_job: Play, fleet: Fleet) -> None:
    assert [task["action"] for task in main_job.remote_tasks(EMPTY)] == ["agent"]
    assert not fleet.nodes[EMPTY].state.exists()


def test_secrets_are_nowhere(main_job: Play, fleet: Fleet) -> None:
    assert CANARY not in main_job.output
    places = [main_job.reports, *(fleet.nodes[name].state for name in HEALTHY)]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []


def test_a_second_deploy_changes_nothing(main_job: Play, fleet: Fleet) -> None:
    assert main_job.code == 2
    again = run_playbook(
        main_job.reports.parent / "again", fleet.inventory(HEALTHY[0]), "-e", "coldproof_repeats=2"
    )
    assert again.code == 0, again.output
    (deployed,) = again.named("Deploy the agent and start the campaign")
    assert deployed["deployed"] == ["plan.json"]
    first, second = (len(play.remote_tasks(HEALTHY[0])) for play in (main_job, again))
    assert second <= first
