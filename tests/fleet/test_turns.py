"""Storage that nodes share: measured in turns, after the local tiers, with its own ceiling."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet
from tests.fleet.play import Play, run_playbook

pytestmark = pytest.mark.faults

NAMES = ("gpu-turn-1", "gpu-turn-2", "gpu-turn-3")


@pytest.fixture(scope="module")
def play(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """The main job over three nodes with a tier of their own, a shared one, and two variants."""
    try:
        for name in NAMES:
            node = fleet.add(name)
            path = write_model(node.folder / "models/m", mib=8)
            shared = node.folder / "shared/m"
            shutil.copytree(path, shared)
            node.variables |= {
                "coldproof_model_path": "",
                "coldproof_tiers": [
                    {"name": "filer", "path": str(shared), "shared": "filer-1"},
                    {"name": "local", "path": str(path)},
                ],
                "coldproof_variants": [{"name": "one"}, {"name": "two", "env": {"A": "b"}}],
            }
        yield run_playbook(tmp_path_factory.mktemp("turns"), fleet.inventory(*NAMES))
    finally:
        for name in NAMES:
            fleet.nodes.pop(name).stop()


def runs(play: Play, name: str) -> list[dict[str, Any]]:
    text = (play.campaign() / "nodes" / name / "runs.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_all_tiers_and_variants_of_all_nodes_are_measured(play: Play) -> None:
    assert play.code == 0, play.output
    for name in NAMES:
        made = [(one["tier"], one["variant"], one["mode"]) for one in runs(play, name)]
        assert set(made) == set(
            itertools.product(("local", "filer"), ("one", "two"), ("prime", "cold", "warm"))
        )
        tiers = [tier for tier, _, _ in made]
        assert tiers == sorted(tiers, reverse=True), "local ones come first"
        assert {one["outcome"] for one in runs(play, name)} == {"ready"}


def test_one_node_at_a_time_measures_what_is_shared(play: Play) -> None:
    spans = []
    for name in NAMES:
        begun = [one["started_at"] for one in runs(play, name) if one["tier"] == "filer"]
        spans.append((min(begun), max(begun), name))
        assert {one["concurrency"] for one in runs(play, name)} == {1}
    spans.sort()
    for (_, ended, _), (begin, _, _) in itertools.pairwise(spans):
        assert ended <= begin, spans


def test_each_tier_has_its_ceiling_once_after_all_that_was_cold(play: Play) -> None:
    for name in NAMES:
        swept = [one for one in runs(play, name) if "ceiling" in one]
        assert [(one["tier"], one["variant"], one["mode"]) for one in swept] == [
            ("local", "two", "warm"),
            ("filer", "two", "warm"),
        ]
        for one in swept:
            assert len(one["ceiling"]["sweeps"]) == 4
            assert "O_DIRECT" in one["ceiling"]["method"]


def test_the_report_has_a_row_for_each(play: Play) -> None:
    report = play.report()
    for name in NAMES:
        rows = [line for line in report.splitlines() if line.startswith(f"| {name} ")]
        assert len(rows) >= 4, report
