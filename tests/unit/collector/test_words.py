"""What the report and the review say of figures: no more than the figures show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from coldproof.fleet.analysis import look
from coldproof.gather import gather_campaign
from coldproof.review.actions import actions

WON = "start from nvme/default instead: cold starts take {} s (n=1) less on {} that measured both"


def place(
    lab: Any,
    tier: str,
    times: Iterable[tuple[float, float]],
    *,
    first: int = 0,
    weights: tuple[float, float] = (1.0, 0.5),
    **changes: Any,
) -> list[dict[str, Any]]:
    """Returns pairs of a tier or, by `variant`, of another variant, numbered after `first`."""
    records: list[dict[str, Any]] = []
    for number, (cold, warm) in enumerate(times, 1):
        for mode, seconds, part in (("cold", cold, weights[0]), ("warm", warm, weights[1])):
            seq = first + len(records) + 1
            records.append(
                lab.record(seq, mode, number, seconds, weights_s=part, **{"tier": tier, **changes})
            )
    return records


def interpretation(lab: Any, *records: dict[str, Any]) -> str:
    lab.campaign()
    lab.fetch(list(records))
    return str(lab.section(lab.report(), "Interpretation"))


def alternatives(lab: Any) -> list[str]:
    texts = [one.text for one in actions(look(gather_campaign(lab.folder)))]
    return [text for text in texts if text.startswith("start from")]


def test_a_difference_that_is_not_the_weights_is_not_called_storage(lab: Any) -> None:
    text = interpretation(lab, *place(lab, "nvme", [(100, 40)] * 3, weights=(4.0, 1.0)))
    assert "storage's share of the cold start is 3 %" in text
    assert "waiting for storage" not in text
    assert (
        "at most 60 % (60 to 60, n=3) of the cold start; the weights phase's part of it is 3 %"
        in text
    )
    assert "What is not in the weights phase need not be storage" in text


def test_weights_that_took_longer_when_warm_have_no_share(lab: Any) -> None:
    text = interpretation(lab, *place(lab, "nvme", [(100, 60)] * 3, weights=(2.0, 10.0)))
    assert "of the weights' phase none of it was shown" in text
    assert "are -8 %" not in text.partition("In an SRE's words")[2]


@pytest.mark.parametrize(
    ("pairs", "advice"),
    [
        ([(10.7, 10), (10.9, 10), (10.9, 10)], "do not spend on storage"),
        ([*[(50, 10)] * 4, (9.5, 10)], "the pairs disagree on whether warm caches help"),
    ],
    ids=["below the clock", "of mixed sign"],
)
def test_no_effect_is_told_from_one_that_was_not_shown(
    lab: Any, pairs: list[tuple[float, float]], advice: str
) -> None:
    text = interpretation(lab, *place(lab, "nvme", pairs, resolution_s=1.0))
    assert "not above the clock's 1.00 s in every pair" in text
    assert advice in text
    assert ("do not spend" in text) == ("do not spend" in advice)


def test_tiers_of_unlike_compile_caches_are_not_held_against_each_other(lab: Any) -> None:
    lab.campaign()
    fast = place(lab, "nvme", [(50, 45)] * 3)
    lab.fetch([*fast, *place(lab, "sata", [(160, 155)] * 3, first=10, compile="miss")])
    assert "3.2x as long" not in lab.section(lab.report(), "Verdict")
    assert alternatives(lab) == []
    lab.fetch([*fast, *place(lab, "sata", [(160, 155)] * 3, first=10)])
    assert "3.2x as long" in lab.section(lab.report(), "Verdict")
    assert alternatives(lab) == [WON.format("110.0", "1 of 1 node")]


def test_variants_of_two_scopes_are_two_comparisons(lab: Any) -> None:
    records: list[dict[str, Any]] = []
    for n, (variant, scope) in enumerate(
        [("a", "weights"), ("b", "weights"), ("c", "weights+engine"), ("d", "weights+engine")]
    ):
        more = place(lab, "nvme", [(50 + 10 * n, 40)] * 3, first=10 * n, variant=variant)
        records += [{**one, "scope": scope if one["mode"] == "cold" else None} for one in more]
    lab.campaign()
    lab.fetch([lab.sign(one) for one in records])
    verdict = lab.section(lab.report(), "Verdict")
    told = "variants with tier nvme (scope {}, method evict, compile caches hit, 1 node at once)"
    assert told.format("weights") in verdict
    assert told.format("weights+engine") in verdict
    assert "cold: fastest a 50.00 s" in verdict
    assert "cold: fastest c 70.00 s" in verdict


def test_nodes_that_another_tier_does_not_help_are_counted(lab: Any) -> None:
    lab.campaign(gpu_01="complete", gpu_02="complete")
    for node, other in (("gpu-01", 100.0), ("gpu-02", 50.0)):
        near = place(lab, "nvme", [(50, 45)] * 3, node=node)
        lab.fetch([*near, *place(lab, "nfs", [(other, 45)] * 3, first=10, node=node)], node)
    assert alternatives(lab) == [WON.format("50.00", "1 of 2 nodes")]


def test_a_part_that_is_greater_than_the_whole_is_explained(lab: Any) -> None:
    text = interpretation(lab, *place(lab, "nvme", [(100, 95)] * 3, weights=(60.0, 6.0)))
    assert "this start is not slow because of storage" in text
    assert "is 54 % (54 to 54, n=3) of the cold start, other phases took longer when warm" in text
