"""Outliers beyond simulation: phases of two lengths, several slow nodes, nodes that fail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import synthetic
from coldproof.fleet.outliers import threshold
from coldproof.fleet.scatter import Apart, Series, scores
from coldproof.report.fleet import compared, outlier_bullets
from coldproof.review.actions import actions
from coldproof.stats import beyond_floor
from tests.unit.collector.fleets import fleet_of


def bimodal(chance: float) -> Any:
    """One phase of which takes 8 s more, with a chance."""
    return lambda random: (
        math.exp(0.005 * random.standard_normal()) * (1 + 8 / 60 * (random.random() < chance))
    )


@pytest.mark.parametrize(("size", "chance"), [(5, 0.5), (8, 0.2), (40, 0.2)])
def test_a_phase_now_short_now_long_accuses_nobody(size: int, chance: float) -> None:
    """A coin that all three starts of a node agree on may; so few are left that five is enough."""
    alarms = 0
    for seed in range(60):
        random = np.random.default_rng([seed, size])
        series = [
            Series(str(n), [60 * bimodal(chance)(random) for _ in range(3)]) for n in range(size)
        ]
        apart = Apart(series)
        limit = threshold(size, 3)
        for one, score in zip(series, scores(series), strict=True):
            rest = [other.median for other in series if other is not one]
            centre = float(np.median(rest))
            if abs(score) > limit and beyond_floor(one.median, centre):
                alarms += apart.stands(one, centre, score)
    assert alarms <= 5


def test_two_slow_nodes_of_eight_are_both_named(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    noise = synthetic.NOISES["lognormal"]
    nodes = [
        synthetic.node_records(
            f"gpu-0{n}", random, noise=noise, weights_factor=6.0 if n in (3, 5) else 1.0
        )
        for n in range(1, 9)
    ]
    fleet = fleet_of(tmp_path, *nodes)
    assert {outlier.member.node for outlier in fleet.outliers} == {"gpu-03", "gpu-05"}


def with_failed(node: str, seconds: Sequence[float], failed: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(1)
    records = synthetic.node_records(node, random, noise=lambda _: 1.0)
    found = []
    for record in records:
        content = {name: value for name, value in record.items() if name != "checksum"}
        if record["mode"] == "cold":
            content["load_s"] = seconds[record["pair"] - 1]
        found.append(content)
    for number in range(failed):
        seq = 8 + number
        found.append(
            {**found[1], "seq": seq, "run_id": f"{synthetic.CAMPAIGN}.{node}.{seq:04d}",
             "pair": None, "outcome": "timeout", "load_s": None, "state": "unproven", "phases": []}
        )  # fmt: skip
    return found


def test_a_node_whose_fellows_fail_is_no_outlier(tmp_path: Path) -> None:
    fleet = fleet_of(
        tmp_path,
        with_failed("gpu-01", (50, 51, 52), 0),
        with_failed("gpu-02", (50, 51, 52), 4),
        with_failed("gpu-03", (50, 51, 52), 4),
    )
    assert {outlier.member.node for outlier in fleet.outliers} == {"gpu-02", "gpu-03"}
    text = "\n".join(compared(fleet))
    assert "inf" not in text
    assert "4 starts failed beside 51.00 s" in text


def test_a_difference_counts_the_failed_starts_as_the_judgement_does(tmp_path: Path) -> None:
    others = [with_failed(f"gpu-0{n}", (49 + n / 10, 50, 51), 0) for n in range(1, 6)]
    fleet = fleet_of(tmp_path, *others, with_failed("gpu-06", (88, 89, 90), 2))
    (outlier,) = [one for one in fleet.outliers if one.mode == "cold"]
    assert (outlier.member.node, outlier.difference) == ("gpu-06", 40.0)
    assert "with 2 failed starts counted as longer than all: 40.00 s (80 %) slower" in "\n".join(
        compared(fleet)
    )


def test_what_an_odd_start_of_another_node_leaves_undecided_is_told(tmp_path: Path) -> None:
    nodes = [with_failed(f"gpu-0{n}", (50, 50.5, 51), 0) for n in range(1, 4)]
    nodes += [with_failed("gpu-04", (50, 51, 250), 0), with_failed("gpu-05", (200, 201, 202), 0)]
    fleet = fleet_of(tmp_path, *nodes)
    assert fleet.outliers == []
    text = "\n".join(compared(fleet))
    assert "no outlier" in text
    assert "gpu-05, nvme/default, cold: 150.5 s (299 %) slower" in text or "slower" in text
    assert "this is not told from chance: repeat with more pairs" in text


def test_a_failing_node_of_two_is_an_outlier_and_not_one_of_two(tmp_path: Path) -> None:
    fleet = fleet_of(
        tmp_path, with_failed("gpu-01", (50, 51, 52), 0), with_failed("gpu-02", (50, 51, 52), 4)
    )
    text = "\n".join([*outlier_bullets(fleet), *compared(fleet)])
    assert "**gpu-02 is an outlier**: nvme/default, cold: 4 starts failed" in text
    assert "nobody knows which" not in text
    assert "repair the node: its cold starts fail" in [one.text for one in actions(fleet)]
