"""Charts as files: the same bytes for the same runs, every start in them, true lengths."""

from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from coldproof.charts.scale import PLOT, axis_of

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '"><script>ran()</script>&amp;]]><image href="http://x/"/>\x1b'


def read(path: Path) -> ET.Element:
    return ET.fromstring(path.read_bytes())


def texts(tree: ET.Element, name: str = "text") -> list[str]:
    return ["".join(one.itertext()) for one in tree.iter(f"{SVG}{name}")]


def draw(lab: Any, name: str = "starts") -> ET.Element:
    lab.report()
    return read(lab.folder / "charts" / f"{name}.svg")


def fleet(lab: Any, nodes: int) -> None:
    names = [f"gpu-{number:03d}" for number in range(1, nodes + 1)]
    lab.campaign(**{name.replace("-", "_"): "complete" for name in names})
    for name in names:
        lab.fetch(lab.series(name), name)


def test_the_order_of_records_changes_no_byte(lab: Any) -> None:
    lab.campaign()
    records = lab.series(pairs=4)
    lab.fetch(records)
    lab.report()
    first = {path.name: path.read_bytes() for path in (lab.folder / "charts").iterdir()}
    assert sorted(first) == ["phases.svg", "starts.svg"]
    random.Random(5).shuffle(records)
    lab.put("gpu-01", "runs.jsonl", lab.lines(records))
    lab.report()
    assert {path.name: path.read_bytes() for path in (lab.folder / "charts").iterdir()} == first


@pytest.mark.parametrize("name", ["starts", "phases"])
def test_a_chart_says_what_it_is_to_whoever_does_not_see_it(lab: Any, name: str) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    tree = draw(lab, name)
    assert tree.get("role") == "img"
    ids = {one.get("id"): one for one in tree.iter() if one.get("id")}
    assert ids[tree.get("aria-labelledby")].tag == f"{SVG}title"
    told = ids[tree.get("aria-describedby")]
    assert told.tag == f"{SVG}desc"
    assert "gpu-01, nvme/default: cold 10.10 s (10.00 to 10.20, n=3)" in (told.text or "")
    assert "seconds from process start to ready" in texts(tree)
    references = re.findall(r"#([\w-]+)", ET.tostring(tree, "unicode"))
    assert {one for one in references if not re.fullmatch("[0-9a-f]{6}", one)} <= ids.keys()


def test_every_start_is_a_point_and_its_shape_tells_its_state(lab: Any) -> None:
    lab.campaign()
    lab.fetch(
        [
            *lab.series(),
            lab.record(20, "cold", 4, 9.0, state="refuted", reasons=["x"]),
            lab.record(21, "warm", 4, 4.5, state="unproven", reasons=["y"]),
            lab.record(22, "cold", 5, None, state="unproven", elapsed_s=33.0),
            lab.record(23, "cold", 6, None, state="unproven", outcome="not_started"),
        ]
    )
    tree = draw(lab)
    told = [
        "".join(one.itertext())
        for one in tree.iter(f"{SVG}use")
        if one.find(f"{SVG}title") is not None
    ]
    assert "cold refuted, run 20: 9.00 s" in told
    assert "warm unproven, run 21: 4.50 s" in told
    assert "cold failed, run 22: 33.00 s" in told
    assert "prime prime, run 1: 30.00 s" in told
    assert len(told) == 10
    shapes = {
        (one.get("class"), (one.get("href") or "").rpartition("-")[2])
        for one in tree.iter(f"{SVG}use")
    }
    assert {
        ("mark proven cold", "circle"),
        ("mark proven warm", "square"),
        ("mark unproven warm", "square"),
        ("mark refuted cold", "cross"),
        ("mark failed cold", "arrow"),
    } <= shapes
    assert "10.10 n=3" in texts(tree)  # neither the refuted 9.00 nor the failed one is in it
    assert "1 start cut short or never made: not drawn." in texts(tree)


def test_segments_are_one_start_and_sum_to_its_load(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    tree = draw(lab, "phases")
    segments = [one for one in tree.iter(f"{SVG}rect") if "segment" in (one.get("class") or "")]
    assert texts(segments[0], "title") == ["weights: 6.06 s"]
    assert texts(segments[1], "title") == ["unattributed: 4.04 s"]
    lengths = [float((one.get("width") or "").rstrip("%")) for one in segments]
    axis = axis_of([10.1, 10.2])
    assert axis is not None
    assert sum(lengths[:2]) == pytest.approx(axis.percent(10.1), abs=0.02)
    assert sum(lengths[2:]) == pytest.approx(axis.percent(4.1), abs=0.02)
    assert segments[1].get("fill") == "url(#phases-hatch)"


def test_of_an_even_number_the_median_stands_beside_the_bar(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series(pairs=2))
    tree = draw(lab, "phases")
    assert "10.05 n=2" in texts(tree)
    assert "weights: 6.00 s" in texts(tree, "title")


def test_many_phases_of_a_node_are_taken_together(lab: Any) -> None:
    lab.campaign()
    phases = [{"name": f"p{number}", "seconds": 0.2} for number in range(50)]
    lab.fetch([lab.record(2, "cold", 1, 10.0, phases=phases)])
    tree = draw(lab, "phases")
    assert "other phases" in texts(tree)
    assert len([one for one in tree.iter(f"{SVG}rect") if "segment" in str(one.get("class"))]) == 13


@pytest.mark.parametrize(("nodes", "pages"), [(1, 1), (16, 1), (17, 2), (40, 3)])
def test_a_fleet_is_paged_and_every_node_is_in_it_once(lab: Any, nodes: int, pages: int) -> None:
    fleet(lab, nodes)
    lab.report()
    for kind in ("starts", "phases"):
        files = sorted((lab.folder / "charts").glob(f"{kind}*.svg"))
        assert len(files) == pages
        labels = [text for path in files for text in texts(read(path)) if text.startswith("gpu-")]
        assert sorted(labels) == [f"gpu-{number:03d}" for number in range(1, nodes + 1)]
        for path in files:
            tree = read(path)
            below = [float(one.get("y") or 0) for one in tree.iter(f"{SVG}text")]
            assert max(below) < float(tree.get("height") or 0)


def test_the_slowest_cold_start_comes_first(lab: Any) -> None:
    lab.campaign(gpu_01="complete", gpu_02="complete", gpu_03="unreachable")
    lab.fetch(lab.series("gpu-01"), "gpu-01")
    slow = [lab.record(2 * n, "cold", n, 20.0, node="gpu-02") for n in (1, 2, 3)]
    lab.fetch(slow, "gpu-02")
    tree = draw(lab)
    assert [text for text in texts(tree) if text.startswith("gpu-")] == ["gpu-02", "gpu-01"]
    assert "0 proven" in texts(tree)
    assert "Nodes without any start: gpu-03." in texts(tree)


def test_a_start_far_beyond_the_others_is_marked_and_does_not_squeeze_them() -> None:
    axis = axis_of([10.0] * 19 + [900.0])
    assert axis is not None
    assert axis.beyond(900.0)
    assert axis.percent(900.0) == PLOT
    assert axis.percent(10.0) > 0.9 * PLOT
    assert axis_of([]) is None
    assert axis_of([0.0]) is None
    assert axis_of([1e9]).ticks[-1] <= 1e9 * 1.02  # type: ignore[union-attr]


def test_off_the_scale_is_said_with_its_number(lab: Any) -> None:
    fleet(lab, 3)
    odd = [*lab.series("gpu-03"), lab.record(30, "cold", 9, 5000.0, node="gpu-03")]
    lab.fetch(odd, "gpu-03")
    tree = draw(lab)
    assert "cold proven, run 30: 5000.0 s" in texts(tree, "title") + [
        "".join(one.itertext()) for one in tree.iter(f"{SVG}use")
    ]
    assert "off the scale, at the number" in texts(tree)


def test_ceiling_is_drawn_only_where_it_was_measured(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    lab.report()
    assert not (lab.folder / "charts/ceiling.svg").exists()
    sweeps = [{"way": "direct", "bytes_per_s": 1e9}, {"way": "direct", "bytes_per_s": 0.9e9}]
    lab.fetch(lab.series(ceiling={"sweeps": sweeps, "reliable": True}))
    tree = draw(lab, "ceiling")
    assert "1.00" in texts(tree)
    assert "0.18 n=3" in texts(tree)  # 1 GiB in 6.06 s
    assert "18 % of the ceiling" in texts(tree)
    sweeps[1]["bytes_per_s"] = 0.5e9
    lab.fetch(lab.series(ceiling={"sweeps": sweeps, "reliable": True}))
    tree = draw(lab, "ceiling")
    assert "two sweeps differ by 2.0x" in texts(tree)
    assert any(one.get("fill") == "url(#ceiling-hatch)" for one in tree.iter(f"{SVG}rect"))


def test_charts_that_are_no_longer_drawn_are_removed(lab: Any) -> None:
    fleet(lab, 17)
    lab.report()
    assert (lab.folder / "charts/starts-2.svg").exists()
    (lab.folder / "charts/mine.svg").write_text("kept")
    lab.campaign(gpu_01="complete")
    for number in range(1, 18):
        for name in ("runs.jsonl", "storage_load_bench.csv"):
            (lab.folder / f"nodes/gpu-{number:03d}" / name).unlink()
    lab.fetch(lab.series())
    lab.report()
    names = sorted(path.name for path in (lab.folder / "charts").iterdir())
    assert names == ["mine.svg", "phases.svg", "starts.svg"]


def test_words_of_a_node_stay_words(lab: Any) -> None:
    lab.campaign()
    phases = [{"name": EVIL, "seconds": 1.0}, {"name": "unattributed", "seconds": 9.0}]
    lab.fetch([lab.record(2, "cold", 1, 10.0, tier=EVIL, variant="<b>", phases=phases)])
    lab.report()
    for path in (lab.folder / "charts").iterdir():
        tree = read(path)
        allowed = "svg title desc style defs rect text g line path use pattern"
        assert {one.tag for one in tree.iter()} <= {f"{SVG}{name}" for name in allowed.split()}
        assert not any(name.startswith("on") for one in tree.iter() for name in one.attrib)
        assert any("<script>" in text for text in texts(tree)), path.name
