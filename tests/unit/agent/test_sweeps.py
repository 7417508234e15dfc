"""A tier's ceiling is found once, when all that was to be made cold has been: real starts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import sweeps
from tests.unit.agent import plans

GOOD: dict[str, Any] = {"name": "good", "args": [], "env": {}}
BAD: dict[str, Any] = {"name": "bad", "args": ["--no-such-option"], "env": {}}


@pytest.mark.parametrize(
    ("variants", "swept"),
    [
        pytest.param([GOOD], [("good", "warm")], id="after the last warm start"),
        pytest.param([BAD, GOOD], [("good", "warm")], id="not after a failure that others follow"),
        pytest.param([GOOD, BAD], [("bad", "prime")], id="after the last variant, though it fails"),
        pytest.param([BAD], [], id="not where nothing was started cold"),
    ],
)
def test_the_ceiling_is_found_once(
    run_agent: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    tiny: Path,
    variants: list[dict[str, Any]],
    swept: list[tuple[str, str]],
) -> None:
    campaign = plans.put(tmp_path, plans.make(tiny, variants=variants))
    done = run_agent("run", "--state", tmp_path)
    assert (done.returncode == 0) == (BAD not in variants), done.stderr
    lines = (tmp_path / "campaigns" / campaign / "runs.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert {one["variant"] for one in records} == {one["name"] for one in variants}
    found = [one for one in records if "ceiling" in one]
    assert [(one["variant"], one["mode"]) for one in found] == swept
    for one in found:
        assert one["ceiling"]["bytes_per_s"] > 0
        assert len(one["ceiling"]["sweeps"]) == 4


@pytest.mark.parametrize(
    ("outcome", "variable"),
    [
        ("timeout", "coldproof_ready_timeout_s"),
        ("foreign_listener", "coldproof_port"),
        ("wrong_model", "coldproof_engine_command"),
        ("crashed", "coldproof_engine"),
    ],
)
def test_a_start_that_gave_up_names_what_would_mend_it(outcome: str, variable: str) -> None:
    assert sweeps.decides({"outcome": outcome}) == variable
