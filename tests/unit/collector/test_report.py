"""The report as text: verdict first, every rule said, every cell escaped."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from coldproof.cli import main
from coldproof.text import cell, fence, guard, redact, words

EVIL = (
    "|`<script>alert(1)</script>&amp;[x](javascript:1)\n# head\r\x1b[31m\u202e*b* _i_ ~~s~~ "
    "\\| \ud800"
)
TITLES = [
    "Verdict", "Nodes, tiers and variants", "First start ever", "Where the time goes",
    "What the storage can do", "Nodes held against each other", "Findings on nodes",
    "What made no verdict, and why", "What was left out of the input", "Server and storage",
    "Method", "Repeat it", "Interpretation",
]  # fmt: skip


def test_parts_come_in_the_order_an_sre_reads(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    report = lab.report()
    assert report.startswith("# Cold and warm starts by storage\n")
    assert re.findall(r"^## (.*)$", report, re.MULTILINE) == TITLES


def test_verdict_row_and_interpretation_of_a_proven_series(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    report = lab.report()
    verdict = lab.section(report, "Verdict")
    assert "- gpu-01, nvme/default: cold start 10.10 s (10.00 to 10.20, n=3), " in verdict
    assert "warm start 4.10 s (4.00 to 4.20, n=3)" in verdict
    assert "Cold takes 2.5x (2.4 to 2.5, n=3) as long as warm" in verdict
    assert "storage's share of it is 52 % (52 to 52, n=3)" in verdict
    assert "insufficient" not in report
    interpretation = lab.section(report, "Interpretation")
    assert "Cold caches cost 6.00 s (6.00 to 6.00, n=3)" in interpretation
    assert "Of it 5.24 s (5.20 to 5.28, n=3) is in the weights phase" in interpretation
    assert "yes: slowest 10.20 s of 3" in interpretation
    # What no storage can beat is the whole effect: engine files lie on storage too.
    assert (
        "In an SRE's words: most of this cold start is waiting for storage, so faster storage or "
        "prewarming pays off; the gain is at most 59 % (59 to 60, n=3) of the cold start; the "
        "weights phase's part of it is 52 % (52 to 52, n=3) of the cold start" in interpretation
    )
    # Only what a naive procedure would have said calls a difference "the disk".
    naive = "would have blamed the disk for 25.9 s, of which 14.2 s are the weights (n=1)"
    assert naive in interpretation
    assert "the disk" not in report.replace(naive, "")
    row = next(line for line in report.splitlines() if line.startswith("| gpu-01 | nvme"))
    assert row.rstrip(" |").endswith("none")
    assert "30.00" in lab.section(report, "First start ever")
    assert "30.00" not in lab.section(report, "Nodes, tiers and variants")


def test_two_pairs_give_numbers_but_no_verdict(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series(pairs=2))
    report = lab.report()
    assert "Insufficient evidence: 2 proven pairs, a verdict needs 3." in report
    assert "Insufficient evidence" in lab.section(report, "Interpretation")
    assert "In an SRE's words" not in report
    assert "Cold caches cost" not in report


def test_every_verdict_of_a_demo_says_so(lab: Any) -> None:
    lab.campaign(demo=True, gpu_01="complete", gpu_02="unreachable")
    lab.fetch(lab.series())
    bullets = [line for line in lab.section(lab.report(), "Verdict").splitlines() if line]
    assert len(bullets) == 2
    assert all(line.startswith("- DEMO on this machine: ") for line in bullets)


def test_reference_engine_is_called_what_it_is(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    assert "not an inference engine" not in lab.report()
    lab.fetch(lab.series(engine={"name": "reference"}))
    assert "built-in reference server, not an inference engine" in lab.report()


def test_nodes_that_could_not_take_part_are_rows_with_their_reason(lab: Any) -> None:
    lab.campaign(
        gpu_01="complete",
        gpu_02={"status": "unreachable", "message": "no route to host"},
        gpu_03={"status": "refused", "message": "no weights", "variable": "coldproof_tiers"},
        gpu_04="pending",
        gpu_05={"status": "incomplete", "message": "lost in the middle"},
    )
    lab.fetch(lab.series())
    lab.fetch(lab.series("gpu-05", pairs=1), "gpu-05")
    report = lab.report()
    table = lab.section(report, "Nodes, tiers and variants")
    for text in (
        "unreachable: no route to host",
        "refused: no weights (set coldproof_tiers)",
        "pending: nothing was heard of it yet",
        "incomplete: lost in the middle; its finished runs are kept",
    ):
        assert text in table
        assert text in lab.section(report, "Verdict")
    assert [line.split()[1] for line in table.splitlines() if line.startswith("| gpu")] == [
        "gpu-01", "gpu-02", "gpu-03", "gpu-04", "gpu-05", "gpu-05",
    ]  # fmt: skip


def test_campaign_without_any_run_is_still_a_report(
    lab: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.campaign(gpu_01={"status": "refused", "message": "GPU busy"})
    report = lab.report()
    assert "gpu-01: refused: GPU busy" in report
    assert "Insufficient evidence" in report
    assert lab.merged() == []
    assert main(["report", str(lab.folder), "--print", "--strict"]) == 1
    assert "refused: GPU busy" in capsys.readouterr().out


def test_unproven_refuted_failed_and_unpaired_are_listed_with_reasons(lab: Any) -> None:
    lab.campaign()
    lab.fetch(
        [
            *lab.series(),
            lab.record(8, "cold", 4, 77.0, state="unproven", reasons=["mincore lies on overlay"]),
            lab.record(9, "cold", 5, 88.0, state="refuted", reasons=["mapped by pid 4242"]),
            lab.record(10, "warm", 5, None, state="unproven", outcome="crashed",
                       outcome_detail="exit status 1", log={"tail": ["CUDA error"], "file": "l"}),
        ]
    )  # fmt: skip
    report = lab.report()
    part = lab.section(report, "What made no verdict, and why")
    for text in ("mincore lies on overlay", "mapped by pid 4242", "exit status 1", "CUDA error",
                 "crashed after 600.0", "cold start unproven"):  # fmt: skip
        assert text in part
    table = lab.section(report, "Nodes, tiers and variants")
    assert "unproven: 77.00 n=1" in table
    assert "UNPROVEN, no verdict: mincore lies on overlay" in table
    assert "1 failed (warm: crashed); 1 refuted; 1 unproven" in table
    assert "88.00" not in table
    assert "no: 1 of 10 starts failed" in report


def test_effect_within_the_resolution_is_none(lab: Any) -> None:
    lab.campaign()
    records = [lab.record(1, "prime", None, 5.0)]
    for number in (1, 2, 3):
        records.append(lab.record(2 * number, "cold", number, 4.01))
        records.append(lab.record(2 * number + 1, "warm", number, 4.0))
    lab.fetch(records)
    report = lab.report()
    assert "No cache effect shown" in report
    assert "Cold caches cost" not in report
    assert "do not spend on storage" in report


def test_nodes_are_compared_only_under_like_circumstances(lab: Any) -> None:
    lab.campaign(gpu_01="complete", gpu_02="complete", gpu_03="complete")
    lab.fetch(lab.series(), "gpu-01")
    lab.fetch(lab.series("gpu-02"), "gpu-02")
    lab.fetch(lab.series("gpu-03", weights={"manifest": "c" * 64}), "gpu-03")
    report = lab.report()
    assert "nvme/default over 2 nodes, cold: fastest gpu-01 10.10 s (10.00 to 10.20, n=3)" in report
    assert "Their ranges overlap." in report
    row = next(line for line in report.splitlines() if line.startswith("| gpu-03 | nvme"))
    assert "not comparable (other weights)" in row


def test_merged_csv_holds_every_run_and_its_evidence(lab: Any) -> None:
    lab.campaign()
    before = {"weights": {"fraction": 0.004}, "engine": {"fraction": 0.0}}
    lab.fetch(
        [
            *lab.series(),
            lab.record(8, "cold", 4, 20.0, state="refuted", residency={"before": before},
                       bytes={"expected": 1000, "process_at_ready": 999},
                       flags=["bytes_above_expected"], reasons=["because"]),
        ]
    )  # fmt: skip
    lab.report()
    rows = lab.merged()
    header = (lab.folder / "storage_load_bench.csv").read_text().splitlines()[0]
    assert header == (
        "node,tier,variant,run_id,mode,model,max_model_len,load_s,gpu_mem_used_mb,notes,"
        "state,scope,method,compile,engine,outcome,pair,concurrency,expected_bytes,read_bytes,"
        "weights_s,weights_resident_before,engine_resident_before,manifest,flags,reasons"
    )
    assert [row["mode"] for row in rows] == ["prime", *["cold", "warm"] * 3, "cold"]
    assert rows[0]["load_s"] == "30.000"
    last = rows[-1]
    assert last["load_s"] == ""
    assert (last["expected_bytes"], last["read_bytes"]) == ("1000", "999")
    assert (last["weights_resident_before"], last["engine_resident_before"]) == ("0.004", "0.0")
    assert (last["flags"], last["reasons"]) == ("bytes_above_expected", "because")
    assert last["weights_s"] == "12.000"


@pytest.mark.parametrize("start", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)"])
def test_formulas_are_text_in_the_merged_csv_and_the_report(lab: Any, start: str) -> None:
    lab.campaign()
    lab.fetch(lab.series(tier=start, model=start, reasons=[start]))
    report = lab.report()
    for row in lab.merged():
        for column in ("tier", "model", "reasons"):
            assert row[column] == f"'{start}"
    assert not re.search(rf"\| *{re.escape(cell(start)[1:])}", report)


def test_hostile_text_ends_no_cell_and_is_no_markup(lab: Any) -> None:
    lab.campaign(gpu_01="complete", gpu_02={"status": "failed", "message": EVIL})
    calm = lab.series()
    lab.fetch(calm)
    pipes = {
        line.count("|") for line in lab.report().splitlines() if line.startswith("| gpu-01 | nvme")
    }
    wild = [
        {**record, "tier": EVIL[:300], "variant": EVIL, "flags": [EVIL], "outcome_detail": EVIL,
         "scope": EVIL if record["mode"] == "cold" else None, "model": EVIL, "reasons": [EVIL],
         "engine": {"name": EVIL, "version": EVIL, "argv": [EVIL], "env": {EVIL: EVIL}},
         "storage": {"mount": EVIL, "filesystem": EVIL, "model": EVIL, "pcie": {EVIL: EVIL}},
         "host": {"cpu": EVIL, "kernel": EVIL}, "gpu": {"reason": EVIL},
         "phases": [{"name": EVIL, "seconds": record["load_s"]}], "phases_missing": [EVIL]}
        for record in calm
    ]  # fmt: skip
    for record in wild:
        del record["checksum"]
    lab.put("gpu-01", "runs.jsonl", "".join(json.dumps(record) + "\n" for record in wild))
    (lab.folder / "nodes/gpu-01/storage_load_bench.csv").unlink()
    report = lab.report()
    assert len(lab.merged()) == 7
    assert "<script" not in report
    assert "](javascript" not in report
    assert "\x1b" not in report
    assert "\u202e" not in report
    assert "\n# head" not in report
    rows = [
        line
        for line in lab.section(report, "Nodes, tiers and variants").splitlines()
        if line.startswith("| gpu-01")
    ]
    assert {line.count("|") for line in rows} == {13}
    assert len(pipes) <= 5


def test_secrets_in_commands_are_not_shown(lab: Any) -> None:
    lab.campaign()
    path = lab.folder / "campaign.json"
    document = json.loads(path.read_text())
    document["command"] = "ansible-playbook probe.yml -e hf_token=canary-1 --api-key canary-2"
    path.write_text(json.dumps(document))
    engine = {
        "name": "vllm",
        "argv": ["vllm", "serve", "--api-key", "canary-3", "--hf-token=canary-4"],
        "env": {"HF_TOKEN": "canary-5", "VLLM_X": "1"},
    }
    lab.fetch(lab.series(engine=engine))
    report = lab.report()
    assert "canary" not in report
    assert "VLLM&#95;X=1" in report or "VLLM_X=1" in report


def test_nothing_is_called_nan_or_none(lab: Any) -> None:
    lab.campaign()
    bare = [
        {key: value for key, value in record.items() if key in (
            "schema", "run_id", "campaign", "node", "seq", "tier", "variant", "mode", "pair",
            "outcome", "state", "scope", "compile", "load_s", "phases")}
        for record in lab.series()
    ]  # fmt: skip
    lab.put("gpu-01", "runs.jsonl", lab.lines(bare))
    report = lab.report()
    assert not re.search(r"\b(nan|NaN|None|inf)\b", report)
    assert not re.search(r"\bnan\b", (lab.folder / "storage_load_bench.csv").read_text())


def test_text_is_made_safe() -> None:
    assert cell("a|b`c<d>&e\nf") == "a&#124;b&#96;c&lt;d&gt;&amp;e f"
    assert cell("=1+1") == "'=1+1"
    assert cell(None) == cell("") == cell("\n\t") == "-"
    assert cell("snake_case _emphasis_") == "snake_case &#95;emphasis&#95;"
    assert guard("\tx") == "'\tx"
    assert words("x" * 500) == "x" * 297 + "..."
    assert fence("a ```` b") == ["`````", "a ```` b", "`````"]
    assert redact("--api-key=x --model y HF_TOKEN=z") == (
        "--api-key=[redacted] --model y HF_TOKEN=[redacted]"
    )


def test_reading_leaves_what_was_fetched_alone(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    nodes: Path = lab.folder / "nodes"
    before = {path: path.read_bytes() for path in nodes.rglob("*") if path.is_file()}
    lab.report()
    assert {path: path.read_bytes() for path in nodes.rglob("*") if path.is_file()} == before
