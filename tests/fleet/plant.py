"""Planted starts: how a node is told to make them, and what has to come of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("planted.py")
# Two clocks of 10 ms, the readiness check's own steps, and the scheduler of a busy machine.
NOISE_S = 0.25


def variables(python: str, server: str, seconds: float) -> dict[str, Any]:
    """Returns the inventory variables by which a node's starts take a planted time."""
    words = [python, "-I", "-S", server, "{model_path}", "{port}", "{served_model_name}"]
    return {
        "coldproof_engine": "custom",
        "coldproof_engine_command": [*words, str(seconds)],
        "coldproof_ready_path": "/v1/models",
    }


def assert_same(records: Sequence[dict[str, Any]], disturbed: set[tuple[str, int]]) -> None:
    """Holds the starts that something happened to against all others of the same plan.

    Args:
        records: of runs.jsonl, all of one planted time.
        disturbed: mode and pair of each start that something happened to.
    """
    seconds = {(one["mode"], one["pair"]): one["elapsed_s"] for one in records}
    assert disturbed <= set(seconds), (disturbed, seconds)
    quiet = [one for run, one in seconds.items() if run not in disturbed]
    noise = NOISE_S + max(quiet) - min(quiet)
    # Medians: a machine that stalls for a moment is not what is looked for.
    away = statistics.median(seconds[run] for run in disturbed) - statistics.median(quiet)
    assert abs(away) <= noise, (away, seconds)
