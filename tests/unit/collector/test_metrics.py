"""The metrics of a campaign, read by the parsers of both formats, and the dashboard on them."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from coldproof.cli import main
from coldproof.export.families import FAMILIES

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "reports/example"
DASHBOARD = ROOT / "monitoring/grafana/coldproof.json"
HOSTILE = 'a"b\\c\nd} 1\n# EOF\n\u202e\ud800'
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Read by both parsers; they must agree, and no sample may be there twice."""
    found: list[Samples] = []
    for read in (parser.text_string_to_metric_families, openmetrics.text_string_to_metric_families):
        listed = [
            ((one.name, tuple(sorted(one.labels.items()))), one.value)
            for family in read(text)
            for one in family.samples
        ]
        found.append(dict(listed))
        assert len(listed) == len(found[-1])
    assert found[0] == found[1]
    return found[0]


def exported(folder: Path, tmp_path: Path) -> Samples:
    out = tmp_path / "coldproof.prom"
    assert main(["export", str(folder), "--out", str(out)]) == 0
    assert out.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.glob("*.prom*")] == ["coldproof.prom"]
    text = out.read_text("utf-8")
    assert text.endswith("\n# EOF\n")
    return samples(text)


def having(found: Samples, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        pairs: value
        for (known, pairs), value in found.items()
        if known == name and labels.items() <= dict(pairs).items()
    }


def one(found: Samples, name: str, **labels: str) -> float:
    [value] = having(found, name, **labels).values()
    return value


def test_medians_come_with_n_and_range(tmp_path: Path) -> None:
    found = exported(EXAMPLE, tmp_path)
    lines = (EXAMPLE / "nodes/h100-01/runs.jsonl").read_text("utf-8").splitlines()
    runs = [json.loads(line) for line in lines]
    for variant in ("default", "eager"):
        for mode in ("cold", "warm"):
            times = [r["load_s"] for r in runs if (r["variant"], r["mode"]) == (variant, mode)]
            where = {"variant": variant, "mode": mode, "node": "h100-01"}
            assert one(found, "coldproof_start_median_seconds", **where) == pytest.approx(
                statistics.median(times)
            )
            assert one(found, "coldproof_start_min_seconds", **where) == min(times)
            assert one(found, "coldproof_start_max_seconds", **where) == max(times)
            assert one(found, "coldproof_start_proven", **where) == len(times) == 3
    assert having(found, "coldproof_start_median_seconds", variant="prewarmed", mode="cold") == {}
    assert one(found, "coldproof_campaign_start_timestamp_seconds") == 1795581505
    assert one(found, "coldproof_node_status", status="complete") == 1


def test_what_is_not_proven_is_counted_and_has_no_time(lab: Any, tmp_path: Path) -> None:
    lab.campaign(gpu_01="incomplete", gpu_02="refused")
    lab.fetch(
        [
            lab.record(1, "cold", 1, 10.0),
            lab.record(2, "cold", 2, 99.0, state="unproven"),
            lab.record(3, "cold", 3, 98.0, state="refuted"),
            lab.record(4, "cold", 4, None),
            lab.record(5, "warm", 1, 4.0),
        ]
    )
    found = exported(lab.folder, tmp_path)
    counts = {
        dict(pairs)["state"]: value
        for pairs, value in having(found, "coldproof_starts", mode="cold").items()
    }
    assert counts == {"proven_cold": 1, "unproven": 1, "refuted": 1, "failed": 1, "cut_short": 0}
    assert one(found, "coldproof_start_max_seconds", mode="cold") == 10.0
    assert one(found, "coldproof_pairs") == 1
    assert having(found, "coldproof_cache_effect_median_seconds") == {}  # fewer than three pairs
    assert one(found, "coldproof_node_status", node="gpu-02", status="refused") == 1


def test_hostile_words_stay_in_their_labels(lab: Any, tmp_path: Path) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    honest = exported(lab.folder, tmp_path)
    records = [
        {**record, "tier": tier, "model": HOSTILE, "phases": [
            {"name": HOSTILE, "seconds": record["load_s"]}]}
        for tier in (HOSTILE[:300], HOSTILE[:300].replace("\n", "\r"))
        for record in lab.series("gpu-13")
    ]  # fmt: skip
    for number, record in enumerate(records, 1):
        record.update(seq=number, run_id=f"{lab.campaign_id}.gpu-13.{number:04d}")
        record.pop("checksum")
    lab.put("gpu-13", "runs.jsonl", "".join(json.dumps(one) + "\n" for one in records))
    found = exported(lab.folder, tmp_path)
    assert {
        key: value for key, value in found.items() if "gpu-13" not in dict(key[1]).values()
    } == {**honest}
    tiers = {dict(pairs)["tier"] for pairs in having(found, "coldproof_pairs", node="gpu-13")}
    assert len(tiers) == 2  # what looks alike once cleaned stays two
    assert all(tier.isprintable() for tier in tiers)


def test_the_same_campaign_gives_the_same_bytes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["export", str(EXAMPLE)]) == 0
    printed = capsys.readouterr().out
    assert main(["export", str(EXAMPLE), "--json", "--out", str(tmp_path / "a.prom")]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (tmp_path / "a.prom").read_text("utf-8") == printed
    assert said["samples"] == len(samples(printed))


@pytest.mark.parametrize("words", [["--json"], ["--format", "parquet"]])
def test_where_to_write_is_asked_for(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(EXAMPLE), *words]) == 2
    assert "--out FILE" in capsys.readouterr().err


def test_the_dashboard_asks_for_metrics_that_are_there(tmp_path: Path) -> None:
    text = DASHBOARD.read_text("utf-8")
    dashboard = json.loads(text)
    asked = set(re.findall(r"coldproof_[a-z_]+", text)) - {"coldproof_export"}
    known = {name for name, _ in exported(EXAMPLE, tmp_path)}
    # One node alone has none of the first, and something there read faster than the sweeps.
    known |= {"coldproof_outlier_difference_seconds", "coldproof_ceiling_bytes_per_second"}
    assert asked <= known
    assert asked <= {family.name for family in FAMILIES}
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    uids = re.findall(r'"uid": "([^"]*)"', text)
    assert set(uids) == {"${datasource}", dashboard["uid"]}
    labels = set(re.findall(r"[{,]\s*([a-z_]+)=~?\\\"\$", text))
    assert labels <= set(variables)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs/monitoring.md").read_text("utf-8")
    for family in FAMILIES:
        stem = re.sub(r"_(median|min|max)_", "_{median,min,max}_", family.name)
        assert f"`{family.name}" in page or f"`{stem}" in page, family.name
