"""Reading what nodes wrote: bounded, and nothing dropped in silence (fault 15)."""

from __future__ import annotations

import io
import os
import tracemalloc
from typing import Any

import pytest

from coldproof import lines
from coldproof.cli import main
from coldproof.exclusions import Exclusions
from coldproof.gather import gather_campaign
from coldproof.merge import Origin, merge_node
from coldproof.pool import Pool
from coldproof.runs import Run


def read(lab: Any, node: str = "gpu-01") -> tuple[list[Run], list[tuple[str, int, str, str]]]:
    exclusions = Exclusions()
    runs = merge_node(
        lab.folder / "nodes" / node, Origin(node, lab.campaign_id), exclusions, Pool()
    )
    return runs, [(item.file, item.line, item.field, item.reason) for item in exclusions.listed()]


def one_row(lab: Any, load_s: str = "3.900", mode: str = "cold", notes: str = "") -> None:
    lab.put(
        "gpu-01", "storage_load_bench.csv", f"{lab.header}\nr1,{mode},m,2048,{load_s},,{notes}\n"
    )


def test_golden_corpus_is_read_whole(lab: Any) -> None:
    folder = lab.root / "golden"
    (folder / "nodes" / "gpu-01").mkdir(parents=True)
    (folder / "campaign.json").write_bytes((lab.corpus / "campaign.json").read_bytes())
    for name in ("runs.jsonl", "storage_load_bench.csv"):
        (folder / "nodes" / "gpu-01" / name).write_bytes((lab.corpus / name).read_bytes())
    gathered = gather_campaign(folder)
    assert gathered.exclusions.counts() == {}
    assert [(run.seq, run.mode, run.state, run.load_s) for run in gathered.runs] == [
        (1, "prime", "not_applicable", 4.1),
        (2, "cold", "proven_cold", 3.9),
        (3, "warm", "proven_warm", 1.1),
        (4, "cold", "proven_cold", 4.0),
        (5, "warm", "proven_warm", 1.2),
        (6, "cold", "refuted", 2.0),
        (7, "warm", "proven_warm", 1.1),
        (8, "cold", "unproven", None),
    ]
    assert gathered.incomplete == ["gpu-02", "gpu-03"]


def test_golden_csv_alone_tells_the_same_of_its_runs(lab: Any) -> None:
    folder = lab.root / "golden"
    (folder / "nodes" / "gpu-01").mkdir(parents=True)
    csv_file = folder / "nodes" / "gpu-01" / "storage_load_bench.csv"
    csv_file.write_bytes((lab.corpus / "storage_load_bench.csv").read_bytes())
    gathered = gather_campaign(folder)
    assert gathered.exclusions.counts() == {}
    told = [(run.seq, run.state, run.load_s, run.scope, run.pair) for run in gathered.runs]
    assert told[0] == (2, "proven_cold", 3.9, "weights+engine", 1)
    assert told[1] == (3, "proven_warm", 1.1, None, 1)
    assert told[4] == (6, "refuted", 2.0, None, 3)
    assert gathered.runs[4].reasons == (
        "weights 48.0 % resident before the start: mapped by pid 4242 (python3)",
    )
    assert told[6] == (8, "unproven", None, "weights+engine", 4)


@pytest.mark.parametrize(
    "load_s",
    [
        "NaN",
        "nan",
        "inf",
        "1e999",
        "-1",
        "-0.1",
        "abc",
        "1_0",
        "0x1",
        "1,5",
        "\u0663",
        "1e300",
        "+1",
    ],
)
def test_load_s_that_is_no_duration_is_excluded(lab: Any, load_s: str) -> None:
    one_row(lab, f'"{load_s}"')
    runs, excluded = read(lab)
    assert runs == []
    assert [(file, line, field) for file, line, field, _ in excluded] == [
        ("storage_load_bench.csv", 2, "load_s")
    ]


@pytest.mark.parametrize("load_s", ["0", "3.9", "3.900", "1e2", ".5", " 4 "])
def test_load_s_that_is_a_duration_is_kept(lab: Any, load_s: str) -> None:
    one_row(lab, load_s)
    runs, excluded = read(lab)
    assert [run.load_s for run in runs] == [float(load_s)]
    assert excluded == []


@pytest.mark.parametrize("mode", ["prime", "COLD", "", "cold "])
def test_other_mode_is_excluded(lab: Any, mode: str) -> None:
    one_row(lab, mode=mode)
    assert read(lab)[0] == []
    assert read(lab)[1][0][2] == "mode"


def test_row_without_state_has_no_evidence(lab: Any) -> None:
    one_row(lab, notes="tier=nfs;after lunch")
    run = read(lab)[0][0]
    assert (run.state, run.reasons, run.tier) == ("unproven", ("no evidence recorded",), "nfs")


@pytest.mark.parametrize(("mode", "state"), [("cold", "proven_warm"), ("warm", "proven_cold")])
def test_state_that_contradicts_the_mode_is_excluded(lab: Any, mode: str, state: str) -> None:
    one_row(lab, mode=mode, notes=f"state={state}")
    assert read(lab) == (
        [],
        [("storage_load_bench.csv", 2, "notes", f"state {state} cannot be that of a {mode} run")],
    )


def test_byte_order_mark_and_carriage_returns_are_tolerated(lab: Any) -> None:
    records = lab.series()
    text = lab.table(records).replace("\n", "\r\n")
    lab.put("gpu-01", "storage_load_bench.csv", b"\xef\xbb\xbf" + text.encode())
    runs, excluded = read(lab)
    assert len(runs) == 6
    assert excluded == []


@pytest.mark.parametrize("header", ["run_id,mode", "", "Run_ID,mode,model,max_model_len,load_s"])
def test_wrong_header_names_file_and_header(
    lab: Any, header: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lab.put("gpu-01", "storage_load_bench.csv", f"{header}\nr1,cold,m,1,1.0,,\n")
    runs, excluded = read(lab)
    assert runs == []
    assert lab.header in excluded[0][3]
    assert main(["report", str(path), "--out", str(lab.root / "out")]) == 2
    error = capsys.readouterr().err
    assert str(path) in error
    assert lab.header in error


def test_bad_bytes_are_replaced_counted_and_listed(lab: Any) -> None:
    content = f"{lab.header}\nr1,cold,m,1,1.0,,caf\udce9 \udcff\n"
    lab.put("gpu-01", "storage_load_bench.csv", content.encode("utf-8", "surrogateescape"))
    runs, excluded = read(lab)
    assert runs[0].notes == "caf\ufffd \ufffd"
    assert excluded == [
        ("storage_load_bench.csv", 2, "notes", "row kept: 2 bytes that are not UTF-8 were replaced")
    ]


def test_nul_bytes_wrong_width_and_quotes_are_excluded(lab: Any) -> None:
    rows = ["r1,cold,m,1,1.0,,\0", "r2,cold,m,1,1.0", 'r3,cold,m,1,1.0,,"open', "r4,cold,m,1,1.0,,"]
    lab.put("gpu-01", "storage_load_bench.csv", "\n".join([lab.header, *rows]) + "\n")
    runs, excluded = read(lab)
    assert [run.run_id for run in runs] == ["r4"]
    assert [line for _, line, _, _ in excluded] == [2, 3, 4]
    assert "NUL" in excluded[0][3]
    assert excluded[1][3] == "5 columns instead of 7"


def test_torn_last_line_is_excluded_and_a_whole_one_without_newline_is_kept(lab: Any) -> None:
    lab.put("gpu-01", "storage_load_bench.csv", f"{lab.header}\nr1,cold,m,1,1.0,,\nr2,warm,m,1,2.")
    runs, excluded = read(lab)
    assert [run.run_id for run in runs] == ["r1"]
    assert excluded[0][1] == 3
    assert "torn last line" in excluded[0][3]
    lab.put("gpu-01", "storage_load_bench.csv", f"{lab.header}\nr1,cold,m,1,1.0,,")
    assert [run.run_id for run in read(lab)[0]] == ["r1"]


def test_giant_lines_are_skipped_in_bounded_memory(lab: Any) -> None:
    path = lab.put("gpu-01", "storage_load_bench.csv", f"{lab.header}\nr1,cold,m,1,1.0,,\n")
    with path.open("ab") as stream:
        stream.truncate(path.stat().st_size + (256 << 20))  # a sparse line of 256 MiB
        stream.seek(0, os.SEEK_END)
        stream.write(b"\nr2,warm,m,1,2.0,,\n")
    tracemalloc.start()
    runs, excluded = read(lab)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [run.run_id for run in runs] == ["r1", "r2"]
    assert f"{256 << 20} bytes long" in excluded[0][3]
    assert peak < 16 << 20


def test_lines_are_split_alike_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"a\n\nbb\r\nccc\n" + b"x" * 50 + b"\nlast"
    monkeypatch.setattr(lines, "LIMIT", 40)
    expected = [(1, b"a"), (3, b"bb"), (4, b"ccc"), (5, b""), (6, b"last")]
    for chunk in range(1, 70):
        monkeypatch.setattr(lines, "CHUNK", chunk)
        found = list(lines.read_lines(io.BytesIO(data)))
        assert [(line.number, line.data) for line in found] == expected
        assert [line.complete for line in found] == [True, True, True, True, False]


def test_rows_are_limited(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coldproof.read_csv.ROW_LIMIT", 3)
    monkeypatch.setattr("coldproof.read_jsonl.RECORD_LIMIT", 2)
    lab.fetch(lab.series())
    runs, excluded = read(lab)
    assert len(runs) == 4
    assert ("runs.jsonl", 3, "", "over 2 records: rest unread") in excluded
    assert ("storage_load_bench.csv", 5, "", "over 3 rows: rest unread") in excluded


def test_tiers_of_one_node_are_limited(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coldproof.merge.PLACE_LIMIT", 2)
    rows = [f"r{number},cold,m,1,1.0,,tier=t{number}" for number in range(5)]
    lab.put("gpu-01", "storage_load_bench.csv", "\n".join([lab.header, *rows]) + "\n")
    runs, excluded = read(lab)
    assert [run.tier for run in runs] == ["t0", "t1"]
    assert len(excluded) == 3


def test_only_the_first_fifty_exclusions_are_listed_and_all_are_counted() -> None:
    exclusions = Exclusions()
    for number in range(120):
        exclusions.add("bad", "f", number, "x", "y")
    exclusions.add("good", "f", 1, "x", "y")
    assert exclusions.counts() == {"bad": 120, "good": 1}
    assert len(exclusions.listed()) == 51


@pytest.mark.parametrize("name", ["runs.jsonl", "storage_load_bench.csv"])
@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_regular_file_is_listed_and_not_opened(lab: Any, name: str, kind: str) -> None:
    other = "storage_load_bench.csv" if name == "runs.jsonl" else "runs.jsonl"
    records = lab.series()
    lab.fetch(records)
    path = lab.folder / "nodes" / "gpu-01" / name
    path.unlink()
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    runs, excluded = read(lab)
    assert len(runs) == (7 if other == "runs.jsonl" else 6)
    assert [(file, reason) for file, _, _, reason in excluded] == [
        (name, "not a readable regular file")
    ]
