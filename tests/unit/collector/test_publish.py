"""The report as files: the same for the same input, complete, and nothing overwritten."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coldproof.cli import main
from coldproof.gather import gather_campaign
from coldproof.publish import publish
from tests.counts import LONG

MUTATED = 100_000 if LONG else 80  # two files an example


def test_same_input_gives_the_same_bytes(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    first = lab.report()
    sheet = (lab.folder / "storage_load_bench.csv").read_bytes()
    assert lab.report() == first
    assert (lab.folder / "storage_load_bench.csv").read_bytes() == sheet


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), repeats=st.integers(0, 5))
def test_order_and_repetition_of_lines_change_nothing(lab: Any, seed: int, repeats: int) -> None:
    lab.campaign()
    records = [
        *lab.series(pairs=4),
        lab.record(20, "cold", 5, 9.0, state="refuted", reasons=["x"]),
        lab.record(21, "warm", 5, None, state="unproven", outcome="crashed"),
    ]
    rows = [lab.row(record) for record in records if record["mode"] != "prime"]
    lab.fetch(records)
    lab.report()
    expected = [(lab.folder / name).read_bytes() for name in
                ("storage_load_bench.csv", "storage_load_bench.md")]  # fmt: skip
    shuffle = random.Random(seed)
    mixed = records + shuffle.choices(records, k=repeats)
    mixed_rows = rows + shuffle.choices(rows, k=repeats)
    shuffle.shuffle(mixed)
    shuffle.shuffle(mixed_rows)
    lab.put("gpu-01", "runs.jsonl", lab.lines(mixed))
    lab.put("gpu-01", "storage_load_bench.csv", "\n".join([lab.header, *mixed_rows]) + "\n")
    gathered = gather_campaign(lab.folder)
    assert gathered.exclusions.listed() == []
    publish(lab.folder, gathered)
    assert [(lab.folder / name).read_bytes() for name in
            ("storage_load_bench.csv", "storage_load_bench.md")] == expected  # fmt: skip


@settings(
    max_examples=MUTATED // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_mutated_files_crash_nothing_and_spare_the_other_node(lab: Any, data: Any) -> None:
    lab.campaign(gpu_01="complete", gpu_02="complete")
    lab.fetch(lab.series("gpu-02"), "gpu-02")
    records = lab.series()
    for name, content in (
        ("runs.jsonl", lab.lines(records).encode()),
        ("storage_load_bench.csv", lab.table(records).encode()),
    ):
        mutated = bytearray(content)
        for _ in range(data.draw(st.integers(1, 6))):
            place = data.draw(st.integers(0, len(mutated) - 1))
            mutated[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
        lab.put("gpu-01", name, bytes(mutated))
    gathered = gather_campaign(lab.folder)
    publish(lab.folder, gathered)
    healthy = [run for run in gathered.runs if run.node == "gpu-02"]
    assert len(healthy) == 7
    assert all(node in ("", "gpu-01") for node in gathered.exclusions.counts())


def test_latest_is_a_relative_link_moved_to_the_newest_report(lab: Any) -> None:
    link = lab.reports / "latest"
    lab.campaign()
    lab.fetch(lab.series())
    lab.report()
    assert str(link.readlink()) == lab.campaign_id
    other = lab.reports / "other"
    (other / "nodes" / "a").mkdir(parents=True)
    assert main(["report", str(other)]) == 0
    assert str(link.readlink()) == "other"
    assert main(["report", str(link)]) == 0
    assert str(link.readlink()) == "other"
    assert [path.name for path in lab.reports.iterdir() if path.name.endswith(".tmp")] == []


def test_folder_named_latest_is_left_alone_and_the_report_is_kept(
    lab: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    (lab.reports / "latest").mkdir()
    assert main(["report", str(lab.folder)]) == 2
    assert "is not a link" in capsys.readouterr().err
    assert (lab.reports / "latest").is_dir()
    assert (lab.folder / "storage_load_bench.md").read_text().startswith("# Cold")


def test_strict_is_about_nodes_and_print_is_narrow(
    lab: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.campaign(demo=True)
    lab.fetch(lab.series())
    assert main(["report", str(lab.folder), "--strict", "--print"]) == 0
    out = capsys.readouterr().out
    assert "10.10 (3)" in out
    assert "2.5x" in out
    assert str(lab.folder.resolve() / "storage_load_bench.md") in out
    lab.campaign(gpu_01="complete", **{"n" * 100: {"status": "failed", "message": "\x1b[2J" * 99}})
    assert main(["report", str(lab.folder), "--strict", "--print"]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    told = [line for line in out.splitlines() if not line.startswith(("Report:", "Page:"))]
    assert max(map(len, told)) < 100
    assert main(["report", str(lab.folder)]) == 0


def test_csvs_written_by_hand(lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    out = lab.root / "out"
    for name, load_s in (("rack1", 5.0), ("rack2", 6.0)):
        (lab.root / f"{name}.csv").write_text(f"{lab.header}\n1,cold,m,2048,{load_s},,by hand\n")
    files = [str(lab.root / "rack1.csv"), str(lab.root / "rack2.csv")]
    assert main(["report", *files, "--out", str(out), "--strict"]) == 0
    report = (out / "storage_load_bench.md").read_text()
    assert "rack1, unnamed tier: insufficient evidence" in report
    assert "unproven: 5.00 n=1" in report
    assert "no evidence recorded" in report
    assert not (lab.root / "latest").exists()
    assert main(["report", *files]) == 2
    assert "--out DIR is missing" in capsys.readouterr().err


def test_csv_of_an_agent_given_as_a_file_keeps_its_node(lab: Any) -> None:
    path = lab.root / "storage_load_bench.csv"
    path.write_text(lab.table(lab.series("gpu-07")))
    copy = lab.root / "copy.csv"
    copy.write_text(path.read_text())
    out = lab.root / "out"
    assert main(["report", str(path), str(copy), "--out", str(out)]) == 0
    assert (out / "storage_load_bench.csv").read_text().count("gpu-07,nvme") == 6


def test_input_is_never_overwritten_by_the_merge(
    lab: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lab.root / "storage_load_bench.csv"
    path.write_text(lab.table(lab.series()))
    before = path.read_bytes()
    assert main(["report", str(path), "--out", str(lab.root)]) == 2
    assert "would overwrite an input" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_folder_that_is_no_campaign_is_named(
    lab: Any, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (lab.root / "empty").mkdir()
    assert main(["report", str(lab.root / name)]) == 2
    assert str(lab.root / name) in capsys.readouterr().err
    assert list((lab.root / "empty").iterdir()) == []


def test_hand_written_csv_in_a_campaign_folder_without_campaign_json(lab: Any) -> None:
    row = "x1,warm,m,2048,2.5,,tier=nfs;variant=eager"
    lab.put("gpu-09", "storage_load_bench.csv", f"{lab.header}\n{row}\n")
    assert "gpu-09, nfs/eager: insufficient evidence" in lab.report()
