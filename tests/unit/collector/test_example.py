"""The committed example: a real campaign on one H100, and what this coldproof makes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from coldproof.cli import main

EXAMPLE = Path(__file__).parents[3] / "reports/example"
WRITTEN = (
    "storage_load_bench.md",
    "storage_load_bench.csv",
    "report.html",
    "charts/ceiling.svg",
    "charts/phases.svg",
    "charts/starts.svg",
)


@pytest.fixture
def rebuilt(tmp_path: Path) -> Path:
    """The example, reported on anew."""
    folder = tmp_path / "reports/example"
    shutil.copytree(EXAMPLE, folder)
    for name in WRITTEN:
        (folder / name).unlink()
    assert main(["report", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("name", WRITTEN)
def test_the_example_is_what_this_version_writes(rebuilt: Path, name: str) -> None:
    assert (rebuilt / name).read_bytes() == (EXAMPLE / name).read_bytes(), (
        "write it anew with: coldproof report reports/example"
    )


def test_the_example_holds_no_other_chart() -> None:
    names = {f"charts/{path.name}" for path in (EXAMPLE / "charts").iterdir()}
    assert names == {name for name in WRITTEN if name.startswith("charts/")}


def test_the_example_says_what_a_naive_procedure_would_have_blamed(rebuilt: Path) -> None:
    runs = [
        json.loads(line)
        for line in (rebuilt / "nodes/h100-01/runs.jsonl").read_text("utf-8").splitlines()
    ]
    mine = [run for run in runs if run["variant"] == "default"]
    warm = sorted(run["load_s"] for run in mine if run["mode"] == "warm")
    first = next(run["load_s"] for run in mine if run["mode"] == "prime")
    report = (rebuilt / "storage_load_bench.md").read_text("utf-8")
    assert f"blamed the disk for {first - warm[1]:.1f} s, of which 7.8 s are the weights" in report


def test_every_start_of_the_example_is_proven() -> None:
    lines = (EXAMPLE / "nodes/h100-01/runs.jsonl").read_text("utf-8").splitlines()
    states = [json.loads(line)["state"] for line in lines]
    assert sorted(states) == ["not_applicable"] * 5 + ["proven_cold"] * 6 + ["proven_warm"] * 9
