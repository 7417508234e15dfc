"""What was started, and what became of it by plan or from outside: nothing is mixed or lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coldproof.cli import main
from coldproof.gather import gather_campaign, gather_files
from coldproof.groups import Entry, entries
from coldproof.report.judge import BUDGETS, meets
from coldproof.report.overview import HEAD
from coldproof.report.terminal import short_table
from tests.unit.collector.conftest import HEADER

OTHER = "20270101T000000Z-bbbbbbbbbbbb"
KEYS = "compile_changed=false;concurrency=1;manifest=aaaaaaaaaaaaaaaa"


def of_folder(lab: Any, records: list[dict[str, Any]]) -> list[Entry]:
    lab.put("gpu-01", "runs.jsonl", lab.lines(records))
    gathered = gather_campaign(lab.folder)
    assert gathered.exclusions.counts() == {}
    return entries(gathered.runs, gathered.planned)


def moved(lab: Any, records: list[dict[str, Any]], **changes: Any) -> list[dict[str, Any]]:
    """The same runs, of another campaign and with other facts."""
    return [
        lab.sign(
            {
                **record,
                **changes,
                "campaign": OTHER,
                "run_id": record["run_id"].replace(lab.campaign_id, OTHER),
            }
        )
        for record in records
    ]


def warm_only_campaign(lab: Any, *tiers: str, normal: tuple[str, ...] = ()) -> None:
    lab.campaign()
    path = lab.folder / "campaign.json"
    document = json.loads(path.read_text())
    document["settings"]["tiers"] = [
        *({"name": name, "shared": None, "warm_only": True} for name in tiers),
        *({"name": name, "shared": None, "warm_only": False} for name in normal),
    ]
    path.write_text(json.dumps(document))


def warm_records(lab: Any, **changes: Any) -> list[dict[str, Any]]:
    values = {"tier": "memory", **changes}
    return [
        lab.record(11, "prime", None, 30.0, **values),
        *(lab.record(11 + n, "warm", n, 4.0 + 0.1 * (n - 1), **values) for n in (1, 2, 3)),
    ]


def flags_of(lab: Any, report: str, start: str) -> list[str]:
    table = lab.section(report, "Nodes, tiers and variants")
    return [line.split(" | ")[-1] for line in table.splitlines() if line.startswith(start)]


def test_equal_numbers_of_two_campaigns_are_two_pairs_each_in_its_group(lab: Any) -> None:
    late = [{**record, "load_s": record["load_s"] * 2, "phases": []} for record in lab.series()]
    (entry,) = of_folder(lab, [*lab.series(), *moved(lab, late)])
    assert [len(group.pairs) for group in entry.groups] == [3, 3]
    assert sorted(group.cold_s.median for group in entry.groups if group.cold_s) == [10.1, 20.2]
    assert entry.unpaired == []


def test_row_says_what_tells_it_from_others_of_its_place(lab: Any) -> None:
    lab.fetch([*lab.series(), *moved(lab, lab.series(), model="other")])
    report = lab.report()
    rows = flags_of(lab, report, "| gpu-01 | nvme")
    assert len(rows) == 2
    assert f"never averaged: campaign {lab.campaign_id}, model random-1g" in rows[0]
    assert f"never averaged: campaign {OTHER}, model other" in rows[1]
    assert "engine vllm" not in rows[0]
    assert f"(campaign {OTHER}, model other)" in lab.section(report, "Verdict")
    shown = short_table(gather_campaign(lab.folder))
    assert f"^ campaign {OTHER}, model other" in shown
    assert all(len(line) < 100 for line in shown.splitlines())


def test_number_that_two_setups_have_loses_no_pair_and_is_listed(lab: Any) -> None:
    other = [
        lab.record(4, "cold", 1, 20.0, model="other"),
        lab.record(5, "warm", 1, 8.0, model="other"),
        lab.record(6, "warm", 1, 9.0, model="third"),
    ]
    (entry,) = of_folder(lab, [*lab.series(pairs=1), *other])
    assert sorted(pair.effect for group in entry.groups for pair in group.pairs) == [6.0, 12.0]
    assert [unpaired.reason for unpaired in entry.unpaired] == [
        "3 different setups have this number",
        "no cold start",
    ]


def test_failure_of_another_model_tells_nothing_of_this_one(lab: Any) -> None:
    failed = lab.record(8, "cold", 4, None, state="unproven", model="other")
    (entry,) = of_folder(lab, [*lab.series(), failed])
    assert [run.seq for run in entry.failed] == [8]
    assert meets(BUDGETS[0], entry, entry.groups[0]).startswith("yes")
    unknown = lab.sign({name: value for name, value in failed.items() if name != "model"})
    (entry,) = of_folder(lab, [*lab.series(), unknown])
    assert meets(BUDGETS[0], entry, entry.groups[0]) == "no: 1 of 8 starts failed"


def test_rows_written_by_hand_need_none_of_this(lab: Any, tmp_path: Path) -> None:
    rows = []
    for number in (1, 2, 3):
        rows.append(f"c{number},cold,m,,1{number}.0,,state=proven_cold;pair={number};compile=hit")
        rows.append(f"w{number},warm,m,,4.0,,state=proven_warm;pair={number};compile=hit")
    rows = [f"{row};compile_changed=false" for row in rows]
    path = tmp_path / "node.csv"
    path.write_text("\n".join([lab.header, *rows]) + "\n")
    (entry,) = entries(gather_files([path]).runs)
    (group,) = entry.groups
    assert [pair.effect for pair in group.pairs] == [7.0, 8.0, 9.0]
    assert entry.unpaired == []


def test_csvs_of_two_campaigns_are_not_averaged(lab: Any, tmp_path: Path) -> None:
    text = lab.table(lab.series()).replace(";pair=", f";{KEYS};pair=")
    (tmp_path / "one.csv").write_text(text)
    (tmp_path / "two.csv").write_text(text.replace(lab.campaign_id, OTHER))
    (entry,) = entries(gather_files([tmp_path / "one.csv", tmp_path / "two.csv"]).runs)
    assert [len(group.pairs) for group in entry.groups] == [3, 3]


def test_rows_alone_pair_by_the_keys_of_their_notes(lab: Any) -> None:
    text = lab.table(lab.series()).replace(";pair=", f";{KEYS};pair=")
    lab.put("gpu-01", "storage_load_bench.csv", text)
    (entry,) = entries(gather_campaign(lab.folder).runs)
    (group,) = entry.groups
    assert group.sufficient
    assert group.manifest == "a" * 16


def test_row_without_its_record_joins_the_others_by_the_manifests_first_digits(lab: Any) -> None:
    records = lab.series()
    text = lab.table(records).replace(";pair=", f";{KEYS};pair=")
    lab.put("gpu-01", "storage_load_bench.csv", text)
    lab.put("gpu-01", "runs.jsonl", lab.lines(records[:4]))
    (entry,) = entries(gather_campaign(lab.folder).runs)
    (group,) = entry.groups
    assert len(group.pairs) == 3
    assert group.manifest == "a" * 64
    lab.put("gpu-01", "storage_load_bench.csv", text.replace("=aaaaaaaaaaaaaaaa", "=" + "b" * 16))
    (entry,) = entries(gather_campaign(lab.folder).runs)
    assert sorted(group.manifest or "" for group in entry.groups) == ["a" * 64, "b" * 16]


def test_first_digits_of_two_manifests_are_neither(lab: Any) -> None:
    twin = {"files": 2, "bytes": 1 << 30, "manifest": "a" * 16 + "b" * 48}
    records = [*lab.series(pairs=1), lab.record(4, "cold", 2, 20.0, weights=twin)]
    text = lab.table([lab.record(6, "cold", 3, 30.0)]).replace(";pair=", f";{KEYS};pair=")
    lab.put("gpu-01", "runs.jsonl", lab.lines(records))
    lab.put("gpu-01", "storage_load_bench.csv", text)
    (entry,) = entries(gather_campaign(lab.folder).runs)
    assert [group.cold_s.n for group in entry.groups if group.cold_s] == [1, 1, 1]


def test_manifest_that_an_agent_did_not_know_is_none(lab: Any) -> None:
    row = f"{lab.campaign_id}.gpu-01.0002,cold,m,1,1.0,,state=proven_cold;manifest=None"
    lab.put("gpu-01", "storage_load_bench.csv", f"{lab.header}\n{row}\n")
    assert [run.manifest for run in gather_campaign(lab.folder).runs] == [None]


def test_tier_that_is_warm_only_by_plan_is_no_failure(
    lab: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    warm_only_campaign(lab, "memory")
    lab.fetch(warm_records(lab))
    report = lab.report()
    said = "gpu-01, memory/default: warm only by plan: no cold start here"
    assert f"- {said}; warm start 4.10 s (4.00 to 4.20, n=3).\n" in report
    assert f"- {said}; nothing is said of cold ones." in lab.section(report, "Interpretation")
    assert "nsufficient evidence" not in report
    assert "none proven" not in report
    assert "no cold start\n" not in report
    assert "Nothing: every start was proven" in report
    assert flags_of(lab, report, "| gpu-01 | memory")[0].startswith(
        "warm only by plan: no cold start here"
    )
    assert main(["report", str(lab.folder), "--print", "--strict"]) == 0
    shown = capsys.readouterr().out
    assert "warm only by plan" in shown
    assert "0/3 pairs" not in shown


def test_warm_only_tier_stands_beside_others_without_a_budget(lab: Any) -> None:
    warm_only_campaign(lab, "memory", normal=("nvme",))
    lab.fetch([*lab.series(), *warm_records(lab)])
    interpretation = lab.section(lab.report(), "Interpretation")
    assert "nsufficient evidence" not in interpretation
    assert not any(line.startswith("| gpu-01, memory") for line in interpretation.splitlines())
    assert "- gpu-01, memory/default: warm only by plan" in interpretation


def test_warm_only_tier_that_failed_says_so_without_a_budget(lab: Any) -> None:
    warm_only_campaign(lab, "memory")
    crashed = lab.record(20, "warm", 4, None, tier="memory", state="unproven", outcome="crashed")
    lab.fetch([*warm_records(lab), crashed])
    report = lab.report()
    assert "1 of 5 starts failed.\n" in lab.section(report, "Verdict")
    assert "1 failed (warm: crashed)" in report
    lab.fetch([crashed])
    report = lab.report()
    verdict = lab.section(report, "Verdict")
    assert "no cold start here; no proven warm start (of 1: 1 failed)" in verdict
    row = next(line for line in report.splitlines() if "| none proven |" in line)
    assert row.count("|") == len(HEAD) + 1


def test_planned_tier_without_cold_starts_still_lacks_evidence(lab: Any) -> None:
    warm_only_campaign(lab, normal=("memory",))
    lab.fetch(warm_records(lab))
    report = lab.report()
    assert "warm only" not in report
    assert "Insufficient evidence: 0 proven pairs" in report


@pytest.mark.parametrize("tiers", [None, 3, ["x"], [{"warm_only": True}], [{"name": []}]])
def test_settings_that_are_no_tiers_do_no_harm(lab: Any, tiers: Any) -> None:
    lab.campaign()
    path = lab.folder / "campaign.json"
    document = json.loads(path.read_text())
    document["settings"]["tiers"] = tiers
    path.write_text(json.dumps(document))
    lab.fetch(lab.series())
    assert "Cold takes 2.5x" in lab.report()


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"storage": {"devices": ["sda"], "mount": "/srv"}}, False),
        ({"storage": {"devices": ["nvme0n1"], "mount": "/mnt"}}, False),
        ({"storage": {"devices": 3, "mount": "/srv"}}, False),
        ({"storage": None}, False),
        ({"weights": {"manifest": "b" * 64}}, False),
        ({"weights": {}}, False),
    ],
)
def test_tiers_on_one_device_and_mount_compare_no_storages(
    lab: Any, changes: dict[str, Any], same: bool
) -> None:
    lab.campaign()
    storage = {"devices": ["nvme0n1"], "mount": "/srv"}
    other = {"storage": storage, **changes, "tier": "hdd"}
    second = [
        lab.sign({**record, **other, "seq": record["seq"] + 10,
                  "run_id": record["run_id"].replace(".00", ".01")})
        for record in lab.series()
    ]  # fmt: skip
    lab.fetch([*lab.series(storage=storage), *second])
    report = lab.report()
    first, last = (flags_of(lab, report, f"| gpu-01 | {tier}")[0] for tier in ("nvme", "hdd"))
    assert ("same device and mount as tier hdd: no comparison of storages" in first) is same
    assert ("same device and mount as tier nvme: no comparison of storages" in last) is same
    assert ("Same device and mount as tier hdd" in lab.section(report, "Verdict")) is same


def test_reads_of_others_are_a_reason_like_any(lab: Any) -> None:
    lab.campaign()
    reason = "others read 12 MiB from the device meanwhile"
    unproven = lab.record(8, "cold", 4, 77.0, state="unproven", reasons=[reason])
    lab.fetch([*lab.series(), unproven])
    report = lab.report()
    assert f"UNPROVEN, no verdict: {reason}" in report
    assert reason in lab.section(report, "What made no verdict, and why")


@pytest.mark.parametrize("outcome", ["interrupted", "not_started"])
def test_start_that_was_cut_short_is_listed_and_no_failure(
    lab: Any, outcome: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.campaign()
    cut = lab.record(8, "cold", 4, None, state="unproven", outcome=outcome,
                     outcome_detail="the machine went down")  # fmt: skip
    lab.fetch([*lab.series(), cut])
    report = lab.report()
    assert "yes: slowest 10.20 s of 3" in report
    assert "no budget." not in lab.section(report, "Verdict")
    assert "Failed starts" not in report
    part = lab.section(report, "What made no verdict, and why")
    assert "### Starts cut short or never made (no failure of the server)" in part
    assert "the machine went down" in part
    assert f"1 cut short (cold: {outcome})" in report
    assert main(["report", str(lab.folder), "--print"]) == 0
    shown = capsys.readouterr().out
    assert "1 cut short" in shown
    assert "failed" not in shown


def test_what_another_node_claims_completes_no_row(lab: Any) -> None:
    """The first digits of the weights' manifest are the same, the rest is a claim."""
    rows = [lab.row(one) + f";manifest={'a' * 16}" for one in lab.series()[1:]]
    lab.put("gpu-01", "runs.jsonl", lab.lines(lab.series()[:1]))
    lab.put("gpu-01", "storage_load_bench.csv", "\n".join([HEADER, *rows]) + "\n")
    before = entries(gather_campaign(lab.folder).runs)[0].groups[0]
    claim = {"files": 2, "bytes": 1 << 30, "manifest": "a" * 16 + "b" * 48}
    lab.put("gpu-66", "runs.jsonl", lab.lines(lab.series("gpu-66", weights=claim)))
    after = next(
        entry for entry in entries(gather_campaign(lab.folder).runs) if entry.place.node == "gpu-01"
    ).groups[0]
    assert (len(after.pairs), after.manifest) == (len(before.pairs), before.manifest)
