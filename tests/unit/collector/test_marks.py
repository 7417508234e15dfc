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
