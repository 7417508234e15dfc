"""What is not in the numbers may be a start that failed: no verdict passes over it in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coldproof.cli import main

POLICY = (
    "schema: coldproof.policy/1\nservice_classes: [{name: web, cold_start_s: 1000, tiers: ['*']}]\n"
)


def review(lab: Any) -> tuple[int, dict[str, Any], str]:
    path = lab.root / "policy.yml"
    path.write_text(POLICY)
    code = main(["review", str(lab.folder), "--policy", str(path)])
    text = (lab.folder / "capacity_review.md").read_text()
    return code, json.loads((lab.folder / "capacity_review.json").read_text()), text


def compare(lab: Any, folder: Path, late: list[dict[str, Any]]) -> tuple[int, list[dict[str, Any]]]:
    """Compares a campaign with one that has more starts, and returns exit code and rows."""
    for name, more in (("base", []), ("new", late)):
        place = folder / name / "nodes/gpu-01"
        place.mkdir(parents=True)
        (place / "runs.jsonl").write_text(lab.lines([*lab.series(), *more]))
    code = main(["compare", str(folder / "base"), str(folder / "new")])
    return code, json.loads((folder / "new/comparison.json").read_text())["rows"]


def failed(lab: Any, **changes: Any) -> dict[str, Any]:
    record: dict[str, Any] = lab.record(8, "cold", 4, None, state="unproven", **changes)
    return record


def damaged(lab: Any) -> list[dict[str, Any]]:
    return [{**failed(lab), "elapsed_s": 1.0}]  # its checksum is of another line


def unheard_of(lab: Any) -> list[dict[str, Any]]:
    return [failed(lab, outcome="gpu_lost")]


def twice(lab: Any) -> list[dict[str, Any]]:
    return [failed(lab), failed(lab, elapsed_s=5.0)]


@pytest.mark.parametrize("lost", [damaged, unheard_of, twice])
def test_a_failed_start_that_cannot_be_read_is_not_met(lab: Any, lost: Any) -> None:
    lab.campaign()
    lab.put("gpu-01", "runs.jsonl", lab.lines([*lab.series(), failed(lab)]))
    assert review(lab)[0] == 1
    lab.put("gpu-01", "runs.jsonl", lab.lines([*lab.series(), *lost(lab)]))
    code, document, text = review(lab)
    assert (code, document["verdict"]) == (3, "insufficient evidence")
    assert "something was left out of the files of 1 node" in text
    assert "left out of its files (first: runs.jsonl line 8" in document["budgets"][0]["why"]
    assert list(document["left_out"]) == ["gpu-01"]
    assert "| gpu-01 | runs.jsonl" in lab.section(text, "What was left out of the input")
    assert document["change_first"][0]["what"].startswith("find out what was damaged")
    report = lab.report()
    assert "a start that failed may be among it" in lab.section(report, "Verdict")
    assert "yes:" not in lab.section(report, "Interpretation")


def test_a_comparison_says_nothing_of_a_node_that_something_was_left_out_of(
    lab: Any, tmp_path: Path
) -> None:
    code, rows = compare(lab, tmp_path, damaged(lab))
    assert code == 3
    assert {row["verdict"] for row in rows} == {"insufficient evidence"}
    assert all("new: 1 left out of its files" in row["why"] for row in rows)


def plan(lab: Any, *tiers: str) -> None:
    path = lab.folder / "campaign.json"
    document = json.loads(path.read_text())
    document["settings"]["tiers"] = [{"name": name} for name in tiers]
    document["settings"]["variants"] = [{"name": "default", "args": [], "env": {}}]
    path.write_text(json.dumps(document))


def test_a_complete_node_without_a_planned_tier_has_a_row_that_lacks_evidence(lab: Any) -> None:
    lab.campaign(gpu_01="complete", gpu_02="complete", gpu_03="failed")
    plan(lab, "nvme", "nfs")
    for node in ("gpu-01", "gpu-02", "gpu-03"):
        more = [
            {**record, "seq": record["seq"] + 20, "tier": "nfs", "run_id": f"{record['run_id']}9"}
            for record in lab.series(node)
        ]
        lab.fetch([*lab.series(node), *(map(lab.sign, more) if node == "gpu-01" else ())], node)
    code, document, _ = review(lab)
    assert code == 3
    lacking = [row for row in document["budgets"] if row["verdict"] == "insufficient evidence"]
    # One that is not complete is missing already, and the policy says how many may be.
    assert [(row["tier"], row["nodes"]) for row in lacking] == [("nfs", ["gpu-02"])]
    assert lacking[0]["why"] == "the plan asks for it, and no start of it was fetched"
    assert "gpu-02, nfs/default: insufficient evidence: the plan asks for it" in lab.report()


def test_starts_of_another_version_that_all_failed_are_a_row_that_fails(lab: Any) -> None:
    lab.campaign()
    other = {"name": "vllm", "version": "0.25", "argv": ["vllm", "serve"], "env": {}}
    late = [lab.record(n, "cold", n, None, state="unproven", engine=other) for n in (8, 9, 10)]
    lab.fetch([*lab.series(), *late])
    code, document, _ = review(lab)
    assert code == 1
    assert [row["verdict"] for row in document["budgets"]] == ["meets", "fails"]
    assert document["budgets"][1]["why"].startswith("3 starts failed")
    assert document["budgets"][1]["why"].endswith("started otherwise than the proven ones")
    report = lab.report()
    assert "never proven: 3 failed (cold: timeout); no budget is met" in report
    interpretation = lab.section(report, "Interpretation")
    assert "gpu-01, nvme/default (started otherwise) | no: 3 starts failed" in interpretation


def test_of_what_was_repaired_nothing_is_lost(lab: Any) -> None:
    """Nor of what another file tells, nor in another campaign's rows."""
    lab.campaign()
    records = lab.series()
    rows = lab.table(records).replace(",10.000,", ",10.900,", 1)
    foreign = rows.splitlines()[-1].replace(records[0]["campaign"], "20250101T000000Z-a3bc44ca9e29")
    lab.put("gpu-01", "runs.jsonl", lab.lines(records))
    lab.put("gpu-01", "storage_load_bench.csv", f"{rows}{foreign}\n")
    code, document, text = review(lab)
    assert (code, document["left_out"]) == (0, {})
    assert "the record counts" in text
    assert "belongs to campaign 2025" in text


def test_a_comparison_tells_of_starts_of_another_version_that_failed(
    lab: Any, tmp_path: Path
) -> None:
    other = {"name": "vllm", "version": "0.25", "argv": ["vllm", "serve"], "env": {}}
    late = [lab.record(n, "cold", n, None, state="unproven", engine=other) for n in (8, 9)]
    code, rows = compare(lab, tmp_path, late)
    assert code == 1
    assert [row["verdict"] for row in rows] == ["same", "slower", "same"]
    assert rows[1]["why"].startswith("started otherwise than the proven ones, and never proven")
