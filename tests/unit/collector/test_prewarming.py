"""What pre-warming costs and buys, and when nothing may be said of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coldproof.fleet.analysis import look
from coldproof.gather import gather_campaign
from coldproof.review.actions import actions

READING: dict[str, dict[str, Any]] = {
    "weights": {"left": 0.0, "bytes": 16_400_000_000, "seconds": 3.0, "fraction": 1.0},
    "engine": {"left": 0.0, "bytes": 900_000_000, "seconds": 0.5, "fraction": 1.0},
}


def campaign(lab: Any, **prewarmed: Any) -> None:
    lab.campaign()
    path = lab.folder / "campaign.json"
    document = json.loads(path.read_text())
    document["settings"]["variants"] = [
        {"name": "other", "args": ["--x"], "env": {}},
        {"name": "default", "args": [], "env": {}},
        {"name": "prewarmed", "args": [], "env": {}, "prewarm": True, **prewarmed},
    ]
    path.write_text(json.dumps(document))


def warm(lab: Any, *seconds: float, prewarm: Any = READING) -> list[dict[str, Any]]:
    values = {"variant": "prewarmed", "prewarm": prewarm}
    return [
        lab.record(11, "prime", None, 30.0, **values),
        *(lab.record(11 + n, "warm", n, took, **values) for n, took in enumerate(seconds, 1)),
    ]


def told(lab: Any) -> str:
    return str(lab.section(lab.report(), "What pre-warming buys"))


def test_the_gain_is_told_with_what_it_costs(lab: Any) -> None:
    """Cold starts of the lab take 10.1 s (median), warm ones less than half of it."""
    campaign(lab)
    lab.fetch([*lab.series(), *warm(lab, 4.0, 4.1, 4.2)])
    text = told(lab)
    assert "reading 16.40 GB of weights and 0.90 GB of engine files took 3.50 s" in text
    assert "the start after it 4.10 s (4.00 to 4.20, n=3)" in text
    assert "cold start of default (scope" in text
    assert "buys 6.00 s of a start (n=3 and 3)" in text
    assert "In sequence it takes 7.60 s (7.50 to 7.70, n=3): shorter than the cold start" in text


def test_reading_and_start_are_added_start_by_start(lab: Any) -> None:
    """The median of sums, which medians do not add up to."""
    campaign(lab)
    records = warm(lab, 4.0, 4.1, 4.2)
    for record, took in zip(records[1:], (9.0, 1.0, 2.0), strict=True):
        record["prewarm"] = {"weights": {**READING["weights"], "seconds": took}}
    lab.fetch([*lab.series(), *map(lab.sign, records)])
    text = told(lab)
    assert "took 2.00 s (1.00 to 9.00, n=3); the start after it 4.10 s" in text
    assert "In sequence it takes 6.20 s (5.10 to 13.00, n=3): as long as the cold start" in text


def test_cold_starts_of_other_circumstances_are_not_held_against_it(lab: Any) -> None:
    campaign(lab)
    lab.fetch([*lab.series(concurrency=2), *warm(lab, 4.0, 4.1, 4.2)])
    assert "No cold starts of the same settings" in told(lab)


def test_reading_that_takes_longer_than_it_saves_is_called_so(lab: Any) -> None:
    campaign(lab)
    slow = {"weights": {**READING["weights"], "seconds": 9.0}}
    lab.fetch([*lab.series(), *warm(lab, 4.0, 4.1, 4.2, prewarm=slow)])
    assert "takes 13.10 s (13.00 to 13.20, n=3): longer than the cold start" in told(lab)


@pytest.mark.parametrize(
    ("prewarm", "seconds", "said"),
    [
        (READING, (4.0, 4.1), "insufficient evidence (2 proven starts of 3"),
        (None, (4.0, 4.1, 4.2), "a reading was not recorded"),
        ({"weights": {**READING["weights"], "left": 0.4}}, (4.0, 4.1, 4.2), "not from cold"),
        ({"weights": {**READING["weights"], "left": None}}, (4.0, 4.1, 4.2), "not from cold"),
        ({"weights": "fast"}, (4.0, 4.1, 4.2), "a reading was not recorded"),
        (READING, (9.0, 10.0, 11.0), "Their ranges overlap: pre-warming buys nothing"),
    ],
)
def test_nothing_is_said_without_evidence(
    lab: Any, prewarm: Any, seconds: tuple[float, ...], said: str
) -> None:
    campaign(lab)
    lab.fetch([*lab.series(), *warm(lab, *seconds, prewarm=prewarm)])
    assert said in told(lab)
    assert "buys 6" not in told(lab)


def test_another_variant_is_no_twin(lab: Any) -> None:
    campaign(lab, args=["--y"])
    lab.fetch([*lab.series(), *warm(lab, 4.0, 4.1, 4.2)])
    assert "No cold starts of the same settings" in told(lab)


def test_no_cold_start_is_missed_where_none_was_planned(lab: Any) -> None:
    campaign(lab)
    lab.fetch([*lab.series(), *warm(lab, 4.0, 4.1, 4.2)])
    row = next(line for line in lab.report().splitlines() if "| prewarmed |" in line)
    assert "warm only by plan" in row
    assert "insufficient" not in row
    for chart in ("starts", "phases"):
        picture = (lab.folder / f"charts/{chart}.svg").read_text("utf-8")
        assert picture.count("unplanned") == 1
        assert "0 proven" not in picture


def test_starts_that_took_longer_after_the_reading_are_told_so(lab: Any) -> None:
    campaign(lab)
    lab.fetch([*lab.series(), *warm(lab, 14.0, 14.1, 14.2)])
    assert "After it a start took longer: pre-warming bought nothing here." in told(lab)


def test_what_was_won_is_what_a_review_says_to_change(lab: Any) -> None:
    campaign(lab)
    lab.fetch([*lab.series(), *warm(lab, 4.0, 4.1, 4.2)])
    found = actions(look(gather_campaign(lab.folder)))
    (one,) = [action for action in found if action.text.startswith("pre-warm on deploy")]
    assert (one.where, round(one.seconds or 0.0, 2)) == ("nvme/prewarmed on 1 node", 6.0)


def test_a_reading_faster_than_the_sweeps_puts_the_ceiling_in_doubt(lab: Any) -> None:
    campaign(lab)
    sweeps = [{"way": "direct", "bytes_per_s": 2e9}] * 2
    fast = {"weights": {"bytes": 16_400_000_000, "seconds": 3.0, "left": 0.0}}
    for reading, doubted in ((None, False), (fast, True)):
        rest = warm(lab, 4.0, 4.1, 4.2, prewarm=reading) if reading else []
        records = [*lab.series(), *rest]
        records[-1] = lab.sign({**records[-1], "ceiling": {"sweeps": sweeps}})
        lab.fetch(records)
        report = lab.report()
        assert ("read faster than the ceiling's sweeps" in report) == doubted
        assert ("% of what" in report) != doubted
