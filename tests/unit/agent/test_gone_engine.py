"""A server that can no longer be started after a good first start: the campaign ends by itself."""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.agent import plans
from tests.unit.agent.drivers import campaigns

LAST_GOOD = 3  # prime, cold, warm; it then deletes what the next start needs


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program of the engine's, by an interpreter of its own."""
    shell = tmp_path / "interpreter"
    shutil.copy("/bin/sh", shell)
    path = tmp_path / "serve"
    path.write_text(
        f'#!{shell}\nexec {sys.executable} -I -S -B {campaigns.ENGINE} {tmp_path} "$1" "$2" "$3"\n'
    )
    path.chmod(0o755)
    return path


def carry_out(model: Path, folder: Path, program: Path, gone: str) -> tuple[int, Path, str]:
    """Runs a campaign in which something is gone after a while."""
    hook = f"import os\nif start == {LAST_GOOD}: os.unlink(folder + '/{gone}')"
    command = [str(program), "{model_path}", "{port}", "{served_model_name}"]
    plan = campaigns.hooked(model, folder, hook, engine_command=command, repeats=2)
    state = folder / "state"
    name = plans.put(state, plan)
    return campaigns.run(state), state, name


def made(state: Path, name: str) -> list[tuple[str, Any, str]]:
    """Returns mode, pair and outcome of the finished runs."""
    return [(one["mode"], one["pair"], one["outcome"]) for one in campaigns.runs(state, name)]


GOOD = [("prime", None, "ready"), ("cold", 1, "ready"), ("warm", 1, "ready")]


def test_an_interpreter_that_vanishes_ends_the_campaign_with_a_row(
    tiny: Path, tmp_path: Path, program: Path
) -> None:
    """The program is there and executable: only executing it says what is wrong."""
    ended, state, name = carry_out(tiny, tmp_path, program, "interpreter")
    assert ended == 1
    assert made(state, name) == [*GOOD, ("cold", 2, "not_started")]
    last = campaigns.runs(state, name)[-1]
    assert "No such file or directory" in last["outcome_detail"]
    assert (last["state"], last["load_s"]) == ("unproven", None)
    error = campaigns.status(state)["error"]
    assert (error["code"], error["variable"]) == ("engine_failed", "coldproof_engine")
    assert (
        "disk/default: the server could not be started any more (not_started: "
        in (error["message"])
    )
    with (state / "campaigns" / name / "storage_load_bench.csv").open() as opened:
        notes = [row["notes"] for row in csv.DictReader(opened)]
    assert ["outcome=not_started" in one for one in notes] == [False, False, True]
    # It is tried again by whoever starts the campaign again, never by itself.
    assert campaigns.run(state) == 1
    assert made(state, name) == [*GOOD, *[("cold", n, "not_started") for n in (2, 3)]]
    shutil.copy("/bin/sh", tmp_path / "interpreter")
    assert campaigns.run(state) == 0
    assert made(state, name)[-2:] == [("cold", 4, "ready"), ("warm", 4, "ready")]
    assert campaigns.status(state)["done"]


def test_a_program_that_is_deleted_ends_the_campaign_before_the_next_run(
    tiny: Path, tmp_path: Path, program: Path
) -> None:
    ended, state, name = carry_out(tiny, tmp_path, program, "serve")
    assert ended == 1
    assert made(state, name) == GOOD
    error = campaigns.status(state)["error"]
    assert (error["code"], error["variable"]) == ("engine_missing", "coldproof_engine_command")
    assert str(program) in error["message"]
