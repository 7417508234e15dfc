"""Seconds in no phase, and lines that never came, are told in the report."""

from __future__ import annotations

from typing import Any


def spans(length: float, to_name: str = "debug logs") -> list[dict[str, Any]]:
    return [
        {"since": "first run", "seconds": length, "to_name": to_name},
        {"since": "model length", "seconds": 0.01, "to_name": "nothing"},
        {"since": "first run", "seconds": 1.0, "to_name": to_name},
    ]


def test_unattributed_spans_are_stated_with_what_would_name_them(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series(unattributed=spans(2.0)))
    section = lab.section(lab.report(), "Where the time goes")
    rows = [line for line in section.splitlines() if "first run" in line]
    assert [line.split("|")[2].strip() for line in rows] == ["first ever", "cold", "warm"]
    assert all("3.00" in line and "debug logs" in line for line in rows)
    assert "n=3" in rows[1]
    assert "model length" not in section


def test_records_without_spans_say_nothing_of_them(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    assert "Unattributed:" not in lab.report()
    for broken in ("x", [1, {"seconds": "x"}, {"since": 3, "seconds": -1}], {"a": 1}):
        lab.fetch(lab.series(unattributed=broken))
        assert "Unattributed:" not in lab.report()


def test_a_line_that_never_came_is_a_warning(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series(phases_missing=["compile begun"]))
    section = lab.section(lab.report(), "Where the time goes")
    assert "**Warning**" in section
    assert "compile begun" in section
    assert "not zero" in section


def test_fresh_caches_make_pairs_and_are_not_unsettled(lab: Any) -> None:
    lab.campaign()
    fresh = {"compile": "miss", "compile_changed": True, "compile_cache": {"mode": "fresh"}}
    series = lab.series()
    lab.fetch([lab.sign({**one, **fresh}) for one in series])
    report = lab.report()
    assert "Fresh compile caches" in lab.section(report, "Method")
    assert "unsettled" not in report
    assert "n=3" in lab.section(report, "Nodes, tiers and variants")
    assert "Pairs that do not count" not in report
    half = [lab.sign({**one, **(fresh if one["mode"] == "cold" else {})}) for one in series]
    lab.fetch([lab.sign({**one, "compile": "miss"}) for one in half])
    assert "only one of the two starts had fresh compile caches" in lab.report()


def test_kept_caches_that_both_starts_changed_make_no_pair(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series(compile_changed=True, compile_cache={"mode": "keep"}))
    assert "start changed the compile caches" in lab.report()


def test_gpus_and_what_engines_told_are_reported(lab: Any) -> None:
    lab.campaign()
    link = {"generation": 5, "generation_max": 5, "width": 8, "width_max": 16}
    device = {"index": 0, "name": "H100", "mem_before_mb": 4.0, "mem_ready_mb": 75000.0,
              "mem_after_mb": 5.0, "persistence_mode": "Enabled", "pcie": link}  # fmt: skip
    told = {"weights_gib": {"title": "weights on each GPU", "unit": "GiB", "value": 2.97}}
    gpu = {"devices": [device], "others": [{"name": "dcgm|exporter"}]}
    lab.fetch(lab.series(gpu=gpu, told=told, first_token={"seconds": 0.25, "problem": None}))
    section = lab.section(lab.report(), "Server and storage")
    assert "75000 n=7" in section
    assert "gen 5 of 5, x8 of x16: DEGRADED" in section
    assert "dcgm&#124;exporter" in section
    assert "2.97 GiB n=7" in section
    assert "0.25 n=1" not in section.split("First token")[0]
    assert "0.25 (0.25 to 0.25) n=3" in section.split("First token")[1]


def test_nonsense_of_gpus_breaks_no_report(lab: Any) -> None:
    lab.campaign()
    for gpu, told, token in (
        ({"devices": "x", "others": 3}, [], 4),
        ({"devices": [{"mem_ready_mb": "x", "pcie": 3}, 1]}, {"a": 1, "b": {"value": True}}, {}),
        ({"devices": [{"mem_ready_mb": None, "pcie": {"width": "x"}}]}, {"c": {"value": "1"}}, []),
    ):
        lab.fetch(lab.series(gpu=gpu, told=told, first_token=token))
        lab.report()
