"""Outliers, drift and censored starts: synthetic fleets with fixed seeds."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench import outlier_thresholds as simulated
from bench import synthetic
from coldproof.fleet.drift import drift
from coldproof.fleet.hardware import hardware_classes
from coldproof.fleet.outliers import threshold
from coldproof.fleet.scatter import Series, scores
from coldproof.groups import entries
from coldproof.report.fleet import compared
from coldproof.report.terminal import short_table
from tests.unit.collector.fleets import fleet_of

SEEDS = 200
MOST_ALARMS = 6


def runs_of(records: list[dict[str, Any]]) -> list[Any]:
    return [SimpleNamespace(node=one["node"], record=one) for one in records]


def identical(
    tmp_path: Path, size: int, seed: int, noise: str, **changes: Any
) -> list[list[dict[str, Any]]]:
    random = np.random.default_rng([seed, size])
    return [
        synthetic.node_records(f"gpu-{n:02d}", random, noise=synthetic.NOISES[noise], **changes)
        for n in range(1, size + 1)
    ]


@pytest.mark.parametrize("noise", sorted(synthetic.NOISES))
@pytest.mark.parametrize("size", [5, 8, 40])
def test_identical_fleets_raise_no_more_alarms_than_promised(size: int, noise: str) -> None:
    """The scores and floors alone, as `judge` applies them: cold and warm, 200 seeds."""
    from coldproof.stats import beyond_floor

    alarms = 0
    limit = threshold(size, 3)
    make = synthetic.NOISES[noise]
    base = sum(synthetic.PHASES.values())
    for seed in range(SEEDS):
        random = np.random.default_rng([seed, size])
        odd = False
        for mode in ("cold", "warm"):
            level = base + synthetic.WEIGHTS_S[mode]
            series = [
                Series(str(node), [level * make(random) for _ in range(3)]) for node in range(size)
            ]
            medians = [one.median for one in series]
            for place, score in enumerate(scores(series)):
                rest = float(np.median(medians[:place] + medians[place + 1 :]))
                odd |= abs(score) > limit and beyond_floor(medians[place], rest)
        alarms += odd
    assert alarms <= MOST_ALARMS


@pytest.mark.parametrize("noise", sorted(synthetic.NOISES))
def test_identical_fleets_of_eight_are_quiet_as_reports(tmp_path: Path, noise: str) -> None:
    """The same by way of files and the whole analysis; fewer seeds, it takes longer."""
    fleets = [
        fleet_of(tmp_path / str(seed), *identical(tmp_path, 8, seed, noise)) for seed in range(40)
    ]
    assert all(fleet.judgements[0].judged == 8 for fleet in fleets)
    assert sum(bool(fleet.outliers) for fleet in fleets) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_device_among_eight_is_named_with_the_reason(tmp_path: Path, seed: int) -> None:
    nodes = identical(tmp_path, 8, seed, "heavy_tailed")
    nodes[4] = synthetic.node_records(
        "gpu-05", np.random.default_rng(1000 + seed), weights_factor=5.0
    )
    fleet = fleet_of(tmp_path, *nodes)
    (outlier,) = fleet.outliers
    assert (outlier.member.node, outlier.mode) == ("gpu-05", "cold")
    assert outlier.shift is not None
    assert outlier.shift.name == "weights"
    lines = short_table(fleet.gathered).splitlines()
    assert lines[-1].startswith("Outlier: gpu-05 nvme/default, cold: ")
    assert lines[-1].endswith("s slower, mostly in the phase weights")
    text = "\n".join(compared(fleet))
    assert "8 nodes judged" in text
    assert "gpu-05, nvme/default, cold: " in text
    assert "slower" in text
    assert "s of it in the phase weights (" in text
    assert re.search(r"it read the weights at 0\.[23]\d GB/s, the others at 1\.[3-6]\d GB/s", text)


def test_of_two_nodes_the_slow_one_is_named(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    fleet = fleet_of(
        tmp_path,
        synthetic.node_records("vm-1", random, noise=synthetic.NOISES["lognormal"]),
        synthetic.node_records(
            "vm-2", random, noise=synthetic.NOISES["lognormal"], weights_factor=8.0
        ),
    )
    assert [outlier.member.node for outlier in fleet.outliers] == ["vm-2"]
    assert "Of two nodes nobody knows which is the odd one" in "\n".join(compared(fleet))


def test_nodes_of_other_hardware_are_not_held_against_each_other(tmp_path: Path) -> None:
    nodes = identical(tmp_path, 6, 1, "lognormal")
    other = {"cpu": "Older CPU", "cores": 16, "mem_total_bytes": 1 << 36}
    random = np.random.default_rng(3)
    nodes.append(synthetic.node_records("gpu-99", random, weights_factor=9.0, host=other))
    fleet = fleet_of(tmp_path, *nodes)
    assert fleet.outliers == []
    assert sorted(judgement.judged for judgement in fleet.judgements) == [0, 6]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("concurrency", 4),
        ("weights", {"manifest": "b" * 64}),
        ("engine", {"name": "vllm", "version": "0.25.0"}),
        ("tier", "nfs"),
        ("variant", "eager"),
        ("storage", {"filesystem": "nfs4", "network": True, "model": None}),
    ],
)
def test_only_like_is_held_against_like(tmp_path: Path, field: str, value: Any) -> None:
    nodes = identical(tmp_path, 6, 1, "lognormal")
    random = np.random.default_rng(3)
    nodes.append(synthetic.node_records("gpu-99", random, weights_factor=9.0, **{field: value}))
    assert fleet_of(tmp_path, *nodes).outliers == []


def test_memory_that_a_kernel_keeps_back_makes_no_class(tmp_path: Path) -> None:
    host = synthetic.node_records("x", np.random.default_rng(0))[0]["host"]
    nodes = [
        synthetic.node_records(
            f"gpu-{n}",
            np.random.default_rng(n),
            host={**host, "mem_total_bytes": (1 << 39) - n * (1 << 30)},
        )
        for n in range(4)
    ]
    assert len(fleet_of(tmp_path, *nodes).classes) == 1
    nodes.append(
        synthetic.node_records(
            "gpu-9", np.random.default_rng(9), host={**host, "mem_total_bytes": 1 << 38}
        )
    )
    assert len(fleet_of(tmp_path, *nodes).classes) == 2


@pytest.mark.parametrize(
    ("gib", "sold"), [(125.87, 128), (503.5, 512), (512, 512), (251.4, 256), (0.4, 1), (15.6, 16),
                      (188.7, 192), (7.7, 8)]
)  # fmt: skip
def test_memory_is_named_as_it_was_sold(gib: float, sold: int) -> None:
    told = synthetic.node_records(
        "gpu-01", np.random.default_rng(0),
        host={"cpu": "x", "cores": 2, "mem_total_bytes": int(gib * (1 << 30))},
    )  # fmt: skip
    (kind,) = hardware_classes(runs_of(told)).values()
    assert kind.memory_gib == sold


def test_two_pairs_are_not_judged_and_named(tmp_path: Path) -> None:
    nodes = identical(tmp_path, 5, 2, "lognormal")
    nodes.append(
        synthetic.node_records("gpu-77", np.random.default_rng(2), pairs=2, weights_factor=9.0)
    )
    fleet = fleet_of(tmp_path, *nodes)
    assert fleet.outliers == []
    assert fleet.judgements[0].short == ["gpu-77"]
    assert "Too little evidence of gpu-77" in "\n".join(compared(fleet))


def test_without_hardware_nobody_is_judged(tmp_path: Path) -> None:
    nodes = identical(tmp_path, 6, 1, "lognormal", host={})
    nodes.append(
        synthetic.node_records("gpu-99", np.random.default_rng(3), weights_factor=9.0, host={})
    )
    fleet = fleet_of(tmp_path, *nodes)
    assert fleet.outliers == []
    assert "nobody knows whether these nodes should be alike" in "\n".join(compared(fleet))


def test_failed_starts_count_as_longer_than_all(tmp_path: Path) -> None:
    assert Series("a", [1.0, 2.0, 3.0], failed=2).median == 3.0
    assert math.isinf(Series("a", [1.0, 2.0, 3.0], failed=4).median)
    nodes = identical(tmp_path, 6, 1, "lognormal")
    random = np.random.default_rng(5)
    late = synthetic.node_records("gpu-66", random, noise=synthetic.NOISES["lognormal"])
    extra = synthetic.node_records("gpu-66", random, pairs=7)[7:]
    for record in extra:
        content = {name: value for name, value in record.items() if name != "checksum"}
        late.append(
            {**content, "outcome": "timeout", "load_s": None, "state": "unproven", "phases": []}
        )
    fleet = fleet_of(tmp_path, *nodes, late)
    assert {outlier.member.node for outlier in fleet.outliers} == {"gpu-66"}
    assert "4 starts failed beside" in "\n".join(compared(fleet))


def test_table_is_the_scripts_and_the_formulas_agree() -> None:
    document = json.loads(simulated.TARGET.read_text("utf-8"))
    assert document["nodes"] == list(simulated.NODES)
    for nodes in (5, 8):
        column = document["nodes"].index(nodes)
        cases = [simulated.threshold(shape, nodes, 3) for shape in simulated.SHAPES]
        assert document["scores_by_starts"]["3"][column] == round(max(cases), 2)
    random = np.random.default_rng(11)
    for nodes in (2, 3, 8):
        logs = random.standard_normal((1, nodes, 3))
        mine = scores([Series(str(n), list(np.exp(logs[0, n]))) for n in range(nodes)])
        assert max(map(abs, mine)) == pytest.approx(float(simulated.oddest(logs)[0]))


def test_threshold_grows_beyond_the_table_and_lies_between_within() -> None:
    assert threshold(10_000, 3) > threshold(1024, 3) > threshold(128, 3)
    assert threshold(1, 3) > 0
    low, high = sorted((threshold(32, 3), threshold(48, 3)))
    assert low <= threshold(40, 3) <= high
    assert threshold(8, 4) == threshold(8, 3)
    assert threshold(8, 100) == threshold(8, 9)
    with pytest.raises(ValueError, match="empty"):
        threshold(8, 2)


@pytest.mark.parametrize(("pairs", "step", "seen"), [(3, 4.0, False), (6, 4.0, True),
                                                     (6, 0.1, False), (6, 0.0, False)])  # fmt: skip
def test_drift_is_told_from_chance(tmp_path: Path, pairs: int, step: float, seen: bool) -> None:
    records = []
    for record in synthetic.node_records(
        "gpu-01", np.random.default_rng(4), noise=lambda random: 1.0, pairs=pairs
    ):
        shift = step * (record["pair"] or 0)
        content = {name: value for name, value in record.items() if name != "checksum"}
        phases = [dict(phase) for phase in record["phases"]]
        phases[-1]["seconds"] += shift
        records.append({**content, "load_s": record["load_s"] + shift, "phases": phases})
    fleet = fleet_of(tmp_path, records)
    (group,) = entries(fleet.gathered.runs)[0].groups
    found = drift(group)
    assert (found is not None) is seen
    text = "\n".join(compared(fleet))
    if found:
        assert found.seconds == pytest.approx(step * (pairs - 1))
        assert "cold starts became 20.00 s longer from the first pair to the last (n=6" in text
    elif pairs == 3:
        assert "Drift: not judged; it takes 4 pairs" in text
    else:
        assert "Drift: none beyond chance" in text
