"""The rules of proof, pairs and verdicts (design section 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coldproof.gather import gather_campaign
from coldproof.groups import Entry, entries
from coldproof.pairs import pair_up
from coldproof.report.judge import BUDGETS, meets
from coldproof.stats import Summary, summarise


def found(lab: Any, records: list[dict[str, Any]], node: str = "gpu-01") -> list[Entry]:
    lab.put(node, "runs.jsonl", lab.lines(records))
    gathered = gather_campaign(lab.folder)
    assert gathered.exclusions.counts() == {}
    return entries(gathered.runs)


def only(lab: Any, records: list[dict[str, Any]]) -> Entry:
    (entry,) = found(lab, records)
    return entry


def test_medians_ranges_and_pairs(lab: Any) -> None:
    entry = only(lab, lab.series())
    (group,) = entry.groups
    assert group.cold_s == Summary(3, 10.1, 10.0, 10.2)
    assert group.warm_s == Summary(3, 4.1, 4.0, 4.2)
    assert group.effect is not None
    assert group.effect.median == pytest.approx(6.0)
    assert group.factor is not None
    assert group.factor.median == pytest.approx(10.1 / 4.1)
    # weights are 0.6 of a cold start and 0.2 of a warm one
    assert group.share is not None
    assert group.share.median == pytest.approx((0.6 * 10.1 - 0.2 * 4.1) / 10.1)
    assert group.sufficient
    assert [run.seq for run in entry.primes] == [1]


def test_factor_is_the_median_of_ratios_and_not_the_ratio_of_medians(lab: Any) -> None:
    loads = [(1, 12.0, 2.0), (2, 10.0, 5.0), (3, 30.0, 10.0)]
    records = []
    for number, cold, warm in loads:
        records.append(lab.record(2 * number, "cold", number, cold))
        records.append(lab.record(2 * number + 1, "warm", number, warm))
    (group,) = only(lab, records).groups
    assert group.factor == Summary(3, 3.0, 2.0, 6.0)
    assert group.effect == Summary(3, 10.0, 5.0, 20.0)


def test_prime_runs_are_in_no_median(lab: Any) -> None:
    (group,) = only(lab, [*lab.series(), lab.record(9, "prime", None, 500.0)]).groups
    assert group.cold_s is not None
    assert group.cold_s.high == 10.2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scope", "weights"),
        ("method", "reboot"),
        ("concurrency", 2),
        ("weights", {"manifest": "b" * 64}),
        ("compile", "disabled"),
        ("model", "other"),
        ("max_model_len", 4096),
        ("engine", {"name": "sglang", "version": "0.24"}),
        ("engine", {"name": "vllm", "version": "0.25"}),
    ],
)
def test_different_circumstances_are_never_averaged(lab: Any, field: str, value: Any) -> None:
    odd = lab.record(8, "cold", 4, 99.0, **{field: value})
    groups = only(lab, [*lab.series(), odd]).groups
    assert len(groups) == 2
    assert sorted(group.cold_s.n for group in groups if group.cold_s) == [1, 3]
    assert all(group.cold_s.low == group.cold_s.high or group.cold_s.high < 99
               for group in groups if group.cold_s)  # fmt: skip


@pytest.mark.parametrize(
    ("cold", "warm", "why"),
    [
        ({"state": "unproven"}, {}, "cold start unproven"),
        ({}, {"state": "refuted"}, "warm start refuted"),
        ({"load_s": None, "outcome": "crashed", "phases": []}, {}, "cold start crashed"),
        ({"compile": "miss"}, {}, "compile caches: miss when cold, hit when warm"),
        (
            {"compile": "unknown"},
            {"compile": "unknown"},
            "unknown: name the engine's compile-cache folders in coldproof_compile_cache_dirs",
        ),
        ({"compile_changed": True}, {}, "the cold start changed the compile caches"),
        ({}, {"compile_changed": True}, "the warm start changed the compile caches"),
        ({"compile_changed": None}, {}, "not recorded whether the cold start"),
        ({}, {"concurrency": 4}, "different numbers of nodes"),
        ({}, {"weights": {"manifest": "b"}}, "the weights changed"),
        ({}, {"model": "other"}, "model: random-1g when cold, other when warm"),
        ({}, {"max_model_len": 1}, "max model len: 2048 when cold, 1 when warm"),
        ({}, {"engine": {"name": "x"}}, "engine: vllm when cold, x when warm"),
        ({"engine": {"name": "vllm", "version": "2"}}, {}, "engine version: 2 when cold, 0.24"),
    ],
)
def test_pair_that_does_not_count_says_why(
    lab: Any, cold: dict[str, Any], warm: dict[str, Any], why: str
) -> None:
    records = lab.series()
    records[1] = lab.sign({**records[1], **cold})
    records[2] = lab.sign({**records[2], **warm})
    entry = only(lab, records)
    assert sum(len(group.pairs) for group in entry.groups) == 2
    assert not any(group.sufficient for group in entry.groups)
    (unpaired,) = entry.unpaired
    assert unpaired.number == 1
    assert why in unpaired.reason


def test_disabled_compile_caches_need_no_word_on_change(lab: Any) -> None:
    records = lab.series(compile_changed=None)
    records = [lab.sign({**record, "compile": "disabled"}) for record in records]
    (group,) = only(lab, records).groups
    assert len(group.pairs) == 3


def test_of_a_repeated_pair_the_last_counts(lab: Any) -> None:
    records = [
        lab.record(2, "cold", 1, 50.0),
        lab.record(3, "cold", 1, 10.0),
        lab.record(4, "warm", 1, 4.0),
    ]
    entry = only(lab, records)
    (group,) = entry.groups
    assert [pair.effect for pair in group.pairs] == [6.0]
    (unpaired,) = entry.unpaired
    assert unpaired.number == 1
    assert "2 proven cold starts have this number: run 0002 is in no pair" in unpaired.reason


def test_unproven_and_refuted_stand_apart(lab: Any) -> None:
    records = [
        *lab.series(),
        lab.record(8, "cold", 4, 77.0, state="unproven", scope=None, reasons=["no witness"]),
        lab.record(9, "warm", 4, 88.0, state="refuted", reasons=["not resident"]),
    ]
    entry = only(lab, records)
    assert [run.load_s for run in entry.unproven] == [77.0]
    assert [run.load_s for run in entry.refuted] == [88.0]
    (group,) = entry.groups
    assert group.cold_s is not None
    assert group.warm_s is not None
    assert (group.cold_s.high, group.warm_s.high) == (10.2, 4.2)


@pytest.mark.parametrize("mode", ["prime", "cold", "warm"])
def test_a_failed_start_forbids_every_budget(lab: Any, mode: str) -> None:
    entry = only(lab, lab.series())
    assert {meets(budget, entry, entry.groups[0])[:3] for budget in BUDGETS} == {"yes"}
    pair = None if mode == "prime" else 4
    failed = lab.record(
        8, mode, pair, None, state="not_applicable" if mode == "prime" else "unproven"
    )
    entry = only(lab, [*lab.series(), failed])
    assert {meets(budget, entry, entry.groups[0]) for budget in BUDGETS} == {
        "no: 1 of 8 starts failed"
    }


def test_budget_is_held_against_the_slowest_start(lab: Any) -> None:
    records = lab.series()
    records[1] = lab.record(2, "cold", 1, 31.0)
    entry = only(lab, records)
    (group,) = entry.groups
    answers = [meets(budget, entry, group) for budget in BUDGETS]
    assert answers == [
        "yes: slowest 31.00 s of 3",
        "yes: slowest 31.00 s of 3",
        "not reliably: slowest 31.00 s of 3",
    ]
    records[3] = lab.record(4, "cold", 2, 32.0)
    entry = only(lab, records)
    assert meets(BUDGETS[2], entry, entry.groups[0]) == "no: median 31.00 s of 3"


def test_two_pairs_are_insufficient_for_budgets(lab: Any) -> None:
    entry = only(lab, lab.series(pairs=2))
    assert {meets(budget, entry, entry.groups[0]) for budget in BUDGETS} == {
        "insufficient evidence"
    }


@pytest.mark.parametrize(
    ("changes", "unsettled"), [([True, False], False), ([True, True], True), ([None], False)]
)
def test_unsettled_is_what_the_last_prime_says(
    lab: Any, changes: list[bool | None], unsettled: bool
) -> None:
    primes = [
        lab.record(seq, "prime", None, 30.0, compile_changed=changed)
        for seq, changed in enumerate(changes, start=1)
    ]
    assert only(lab, primes).unsettled is unsettled


def test_csv_rows_alone_are_proven_by_their_notes_but_make_no_pair_without_evidence(
    lab: Any,
) -> None:
    lab.put("gpu-01", "storage_load_bench.csv", lab.table(lab.series()))
    (entry,) = entries(gather_campaign(lab.folder).runs)
    (group,) = entry.groups
    assert group.cold_s == Summary(3, 10.1, 10.0, 10.2)
    assert not group.sufficient
    assert "not recorded whether the cold start changed" in entry.unpaired[0].reason


def test_phases_that_do_not_sum_are_dropped_and_flagged(lab: Any) -> None:
    record = lab.record(2, "cold", 1, 10.0, phases=[{"name": "weights", "seconds": 3.0}])
    (group,) = only(lab, [record]).groups
    assert group.cold[0].phases == {}
    assert group.cold[0].flags == ("phases_do_not_sum_to_load_s",)
    assert group.share is None


def test_pairs_need_a_number(lab: Any) -> None:
    records = [lab.record(2, "cold", None, 10.0), lab.record(3, "warm", None, 4.0)]
    entry = only(lab, records)
    assert pair_up([*entry.groups[0].cold, *entry.groups[0].warm]) == ([], [])


def test_summary_tells_n_and_range() -> None:
    assert summarise([]) is None
    one = summarise([3.0])
    assert one is not None
    assert one.seconds() == "3.00 s (n=1)"
    several = Summary(4, 207.44, 3.456, 209.8)
    assert several.seconds() == "207.4 s (3.46 to 209.8, n=4)"
    assert Summary(2, 3.45, 1.2, 3.6).factor() == "3.5x (1.20 to 3.6, n=2)"
    assert Summary(2, 0.685, 0.68, 0.69).percent() == "68 % (68 to 69, n=2)"


def test_records_agree_with_the_schema(lab: Any) -> None:
    """The maker of these tests' records must not drift from what agents write."""
    import jsonschema

    schema = json.loads((lab.schemas / "run.schema.json").read_text())
    for record in [*lab.series(), lab.record(9, "cold", 4, None, state="unproven")]:
        jsonschema.validate(record, schema)


def test_refuted_row_without_its_value_is_refuted_and_not_failed(lab: Any) -> None:
    row = f"{lab.campaign_id}.gpu-01.0002,cold,m,2048,,,state=refuted;outcome=ready"
    lab.put("gpu-01", "storage_load_bench.csv", f"{lab.header}\n{row}\n")
    gathered = gather_campaign(lab.folder)
    (entry,) = entries(gathered.runs)
    assert gathered.exclusions.counts() == {}
    assert (len(entry.refuted), len(entry.failed), len(entry.unproven)) == (1, 0, 0)


def test_starts_of_two_kernels_in_one_row_are_told(lab: Any) -> None:
    records = lab.series(host={"kernel": "6.1"})
    records[1] = lab.sign({**records[1], "host": {"kernel": "6.12"}})
    lab.campaign()
    lab.fetch(records)
    assert "starts of 2 kernels in one: 6.1, 6.12" in lab.report()
