"""Which places hold other weights than most nodes."""

from __future__ import annotations

from typing import Any

from coldproof.fleet.manifests import odd_manifests
from coldproof.gather import gather_campaign
from coldproof.groups import entries
from tests.unit.collector.conftest import HEADER


def test_other_weights_are_not_comparable(lab: Any) -> None:
    other = {"manifest": "b" * 64}
    for node in ("gpu-01", "gpu-02"):
        lab.fetch(lab.series(node), node)
    assert odd_manifests(entries(gather_campaign(lab.folder).runs)) == {}
    lab.fetch(lab.series("gpu-03", weights=other), "gpu-03")
    odd = odd_manifests(entries(gather_campaign(lab.folder).runs))
    assert {name: [place.node for place in places] for name, places in odd.items()} == {
        "b" * 16: ["gpu-03"]
    }


def test_without_a_majority_all_weights_are_odd(lab: Any) -> None:
    lab.fetch(lab.series("gpu-01"), "gpu-01")
    lab.fetch(lab.series("gpu-02", weights={"manifest": "b" * 64}), "gpu-02")
    odd = odd_manifests(entries(gather_campaign(lab.folder).runs))
    assert sorted(odd) == ["a" * 16, "b" * 16]


def test_a_node_with_many_tiers_has_one_vote_on_what_the_common_weights_are(lab: Any) -> None:
    for n in range(1, 4):
        lab.fetch(lab.series(f"gpu-0{n}"), f"gpu-0{n}")
    many = [
        {**record, "tier": f"t{tier}", "seq": record["seq"] + 10 * tier,
         "run_id": f"{record['run_id'][:-4]}{record['seq'] + 10 * tier:04d}",
         "weights": {"files": 2, "bytes": 1 << 30, "manifest": "b" * 64}}
        for tier in range(9)
        for record in lab.series("gpu-09")
    ]  # fmt: skip
    lab.fetch([lab.sign(record) for record in many], "gpu-09")
    odd = odd_manifests(entries(gather_campaign(lab.folder).runs))
    assert {place.node for places in odd.values() for place in places} == {"gpu-09"}


def test_a_node_whose_tiers_are_at_odds_has_no_vote(lab: Any) -> None:
    other = {"files": 2, "bytes": 1 << 30, "manifest": "b" * 64}
    more = [
        {**record, "tier": "nfs", "seq": record["seq"] + 20, "run_id": f"{record['run_id']}9",
         "weights": other}
        for record in lab.series()
    ]  # fmt: skip
    lab.fetch([*lab.series(), *map(lab.sign, more)])
    odd = odd_manifests(entries(gather_campaign(lab.folder).runs))
    assert list(odd) == ["a" * 16, "b" * 16]


def test_a_csv_alone_is_not_accused_of_other_weights(lab: Any) -> None:
    for n in (1, 2):
        lab.fetch(lab.series(f"gpu-0{n}"), f"gpu-0{n}")
    rows = [lab.row(one) + f";manifest={'a' * 16}" for one in lab.series("gpu-03")[1:]]
    lab.put("gpu-03", "storage_load_bench.csv", "\n".join([HEADER, *rows]) + "\n")
    assert odd_manifests(entries(gather_campaign(lab.folder).runs)) == {}
