"""Real starts of the reference server: proven, refuted and refused."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from coldproof_agent import makemodel
from tests.unit.agent.drivers.plants import Plant

SCHEMA = Path(__file__).parents[3] / "schemas/run.schema.json"
Measure = Callable[..., dict[str, Any]]


def records(tmp_path: Path) -> list[dict[str, Any]]:
    path = next((tmp_path / "state/campaigns").glob("*/runs.jsonl"))
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "rows.csv").open() as opened:
        return list(csv.DictReader(opened))


@pytest.fixture
def holder(model: Path, tmp_path: Path) -> Iterator[int]:
    """Another process that maps the weights."""
    with Plant("mapped", sorted(model.glob("*.safetensors")), tmp_path / "plant.log") as plant:
        yield plant.pid


def test_a_cold_and_a_warm_start_are_proven(measure: Measure, tmp_path: Path) -> None:
    cold, warm = measure("cold"), measure("warm")
    assert (cold["state"], warm["state"]) == ("proven_cold", "proven_warm")
    assert cold["scope"].startswith("weights+engine")
    assert (tmp_path / "rows.csv").read_text().splitlines()[0] == (
        "run_id,mode,model,max_model_len,load_s,gpu_mem_used_mb,notes"
    )
    assert [row["mode"] for row in rows(tmp_path)] == ["cold", "warm"]
    prime, first, second = records(tmp_path)
    schema = json.loads(SCHEMA.read_text())
    for one in (prime, first, second):
        jsonschema.validate(one, schema)
        seconds = sum(phase["seconds"] for phase in one["phases"])
        assert seconds == pytest.approx(one["load_s"], abs=0.002)
        assert one["phases"][-1]["name"] == "unattributed"
        assert one["phases_missing"] == []
    assert first["pair"] == second["pair"] == 1
    assert 0.9 < first["bytes"]["process_at_ready"] / first["bytes"]["expected"] < 1.1
    assert second["bytes"]["process_at_ready"] < 0.05 * first["weights"]["bytes"]


def test_a_cold_run_while_another_process_maps_the_weights_is_refuted(
    measure: Measure, tmp_path: Path, holder: int
) -> None:
    cold = measure("cold")
    assert cold["state"] == "refuted"
    assert f"pid {holder}" in cold["reasons"][0]
    row = rows(tmp_path)[0]
    assert row["load_s"] == ""
    assert "state=refuted" in row["notes"]
    assert "load_s=" in row["notes"]
    assert f"pid {holder}" in row["notes"]


@pytest.mark.usefixtures("holder")
def test_weights_warm_and_engine_files_cold_is_not_proven_cold(
    measure: Measure, tmp_path: Path
) -> None:
    measure("cold")
    last = records(tmp_path)[-1]
    assert last["residency"]["before"]["engine"]["fraction"] == 0
    assert last["residency"]["before"]["weights"]["fraction"] == 1
    assert last["state"] == "refuted"
    assert last["scope"] is None


def test_a_warm_run_of_evicted_weights_is_refuted(
    measure: Measure, answer: Callable[..., dict[str, Any]], model: Path
) -> None:
    measure("cold")
    answer("evict", model)
    warm = measure("warm")
    assert warm["state"] == "refuted"
    assert "0.0 % of the weights resident" in warm["reasons"][0]


def test_cold_on_tmpfs_is_refused_before_anything_runs(
    run_agent: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder = Path("/dev/shm") / f"coldproof-test-{os.getpid()}"
    try:
        makemodel.make(str(folder), 2)
        done = run_agent(
            "measure", "cold", "--model-path", folder, "--engine", "reference",
            "--state", tmp_path / "state",
        )  # fmt: skip
    finally:
        for one in folder.iterdir():
            one.unlink()
        folder.rmdir()
    assert done.returncode == 1
    assert "tmpfs" in done.stderr
    assert "coldproof_tiers" in done.stderr
    assert not (tmp_path / "state").exists()


def test_an_unknown_engine_and_a_missing_engine_are_refused(
    run_agent: Callable[..., subprocess.CompletedProcess[str]], model: Path, tmp_path: Path
) -> None:
    for engine, word in (("vlm", "coldproof_engine"), ("vllm", "coldproof_engine_python")):
        done = run_agent(
            "measure", "cold", "--model-path", model, "--engine", engine,
            "--engine-python", sys.executable, "--state", tmp_path / "state",
        )  # fmt: skip
        assert done.returncode == 1
        assert word in done.stderr


def test_a_custom_command_is_measured_and_its_crash_is_a_row(
    measure: Measure, tmp_path: Path
) -> None:
    crash = json.dumps([sys.executable, "-c", "print('no such GPU'); raise SystemExit(3)"])
    done = measure(
        "cold", "--engine", "custom", "--engine-command", crash, "--ready-path", "/v1/models",
        status=1,
    )  # fmt: skip
    assert done["outcome"] == "crashed"
    assert "exit status 3" in done["outcome_detail"]
    assert any("no such GPU" in line for line in done["log_tail"])
    assert records(tmp_path)[0]["load_s"] is None


def test_a_server_of_another_model_is_never_ready(measure: Measure, model: Path) -> None:
    server = Path(__file__).parents[3] / "roles/agent/files/coldproof_agent/reference_server.py"
    words = [sys.executable, str(server), "--model", str(model), "--host", "{host}", "--port",
             "{port}", "--served-model-name", "another", "--max-model-len", "{max_model_len}",
             "{served_model_name}"]  # fmt: skip
    del words[-1]
    wrong = json.dumps(["/usr/bin/env", "X={served_model_name}", *words])
    done = measure(
        "cold", "--engine", "custom", "--engine-command", wrong, "--ready-path", "/v1/models",
        "--ready-timeout", 20, status=1,
    )  # fmt: skip
    assert done["outcome"] == "wrong_model"
    assert "another" in done["outcome_detail"]


def test_a_hand_written_csv_is_appended_to_and_a_wrong_one_is_left_alone(
    measure: Measure, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        "run_id,mode,model,max_model_len,load_s,gpu_mem_used_mb,notes\nmine,cold,m,1,2,,"
    )
    measure("cold")
    assert [row["run_id"] for row in rows(tmp_path)][:1] == ["mine"]
    path.write_text("a,b\n1,2\n")
    before = path.read_bytes()
    done = measure_fails(measure)
    assert "first line is not" in done
    assert path.read_bytes() == before


def measure_fails(measure: Measure) -> str:
    with pytest.raises(AssertionError) as failed:
        measure("cold")
    return str(failed.value)


def test_a_clock_that_steps_does_not_change_durations(measure: Measure, tmp_path: Path) -> None:
    """Wall clocks are information only: every duration comes from the monotonic clock."""
    measure("cold")
    source = Path(__file__).parents[3] / "roles/agent/files/coldproof_agent"
    users = [one.name for one in source.glob("*.py") if "time.time(" in one.read_text()]
    assert users == []
    assert records(tmp_path)[-1]["started_at"].endswith("Z")


def test_kill_while_measuring_leaves_nothing(measure: Measure, model: Path, tmp_path: Path) -> None:
    measure("prime")
    words = [
        sys.executable, "-m", "coldproof_agent", "measure", "cold", "--model-path", str(model),
        "--engine", "reference", "--state", str(tmp_path / "state"), "--csv",
        str(tmp_path / "rows.csv"),
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "roles/agent/files")}
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL) as child:
        ledger = tmp_path / "state/launched.json"
        end = time.monotonic() + 30
        while not ledger.exists() and time.monotonic() < end:
            time.sleep(0.005)
        server = json.loads(ledger.read_text())["server"][0]
        os.kill(child.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while Path(f"/proc/{server}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(f"/proc/{server}").exists()
    assert measure("cold")["state"] == "proven_cold"
