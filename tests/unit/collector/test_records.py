"""Records and rows of one node: which are kept, which exclude each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coldproof.exclusions import Exclusions
from coldproof.gather import gather_campaign
from coldproof.merge import Origin, merge_node
from coldproof.notes import parse_notes
from coldproof.pool import Pool
from coldproof.runs import Run


def read(lab: Any, node: str = "gpu-01") -> tuple[list[Run], list[tuple[str, int, str, str]]]:
    exclusions = Exclusions()
    runs = merge_node(
        lab.folder / "nodes" / node, Origin(node, lab.campaign_id), exclusions, Pool()
    )
    return runs, [(item.file, item.line, item.field, item.reason) for item in exclusions.listed()]


def change(record: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**record, **fields}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"load_s": "3"}, "load_s"),
        ({"load_s": -1}, "load_s"),
        ({"load_s": True}, "load_s"),
        ({"load_s": None}, "load_s"),
        ({"mode": "hot"}, "mode"),
        ({"state": "proven_warm"}, "state"),
        ({"state": "certain"}, "state"),
        ({"outcome": "fine"}, "outcome"),
        ({"compile": 1}, "compile"),
        ({"seq": 0}, "seq"),
        ({"tier": ""}, "tier"),
        ({"phases": {}}, "phases"),
        ({"phases": [{"name": "weights", "seconds": -1}]}, "phases"),
        ({"node": "gpu-02"}, "node"),
        ({"run_id": "20261123T215900Z-a3bc44ca9e29.gpu-02.0002"}, "run_id"),
        ({"schema": "coldproof.run/2"}, "schema"),
        ({"schema": None}, "schema"),
    ],
)
def test_bad_field_of_a_record_is_named(lab: Any, fields: dict[str, Any], field: str) -> None:
    good, bad = lab.record(3, "warm", 1, 4.0), lab.record(2, "cold", 1, 10.0)
    lab.put("gpu-01", "runs.jsonl", lab.lines([lab.sign(change(bad, **fields)), good]))
    runs, excluded = read(lab)
    assert [run.seq for run in runs] == [3]
    assert [(file, line, name) for file, line, name, _ in excluded] == [("runs.jsonl", 1, field)]


def test_missing_field_is_named(lab: Any) -> None:
    record = lab.record(2, "cold", 1, 10.0)
    del record["compile"]
    lab.put("gpu-01", "runs.jsonl", lab.lines([lab.sign(record)]))
    assert read(lab) == ([], [("runs.jsonl", 1, "compile", "missing")])


def test_newer_record_says_what_to_do_and_its_row_does_not_stand_in(lab: Any) -> None:
    record = lab.record(2, "cold", 1, 10.0)
    lab.put("gpu-01", "runs.jsonl", lab.lines([lab.sign(change(record, schema="coldproof.run/2"))]))
    lab.put("gpu-01", "storage_load_bench.csv", lab.table([record]))
    runs, excluded = read(lab)
    assert runs == []
    assert "written by a newer coldproof: update the controller" in excluded[0][3]
    assert "was left out" in excluded[1][3]


def test_checksum_is_verified_if_present(lab: Any) -> None:
    record = lab.record(2, "cold", 1, 10.0)
    lab.put("gpu-01", "runs.jsonl", lab.lines([change(record, load_s=5.0)]))
    assert read(lab) == ([], [("runs.jsonl", 1, "checksum", "does not match the record")])
    del record["checksum"]
    lab.put("gpu-01", "runs.jsonl", lab.lines([record]))
    assert [run.load_s for run in read(lab)[0]] == [10.0]


def test_unknown_fields_are_kept(lab: Any) -> None:
    lab.put("gpu-01", "runs.jsonl", lab.lines([lab.record(2, "cold", 1, 10.0, novelty=[1, {}])]))
    assert read(lab)[0][0].record["novelty"] == [1, {}]


@pytest.mark.parametrize(
    "line",
    [
        b"{", b"[]", b"null", b'{"schema": NaN}', b"[" * 100_000, b'{"a":' * 5000, b"\xff\xfe{}",
        b'{"schema":"coldproof.run/1","load_s":1e999}', b'"\\ud800"', b"1" * 5000,
        b'{"schema":"coldproof.run/1","run_id":"\\ud800","node":"gpu-01"}',
    ],
)  # fmt: skip
def test_broken_json_excludes_only_itself(lab: Any, line: bytes) -> None:
    good = lab.lines([lab.record(2, "cold", 1, 10.0)]).encode()
    lab.put("gpu-01", "runs.jsonl", line + b"\n" + good)
    runs, excluded = read(lab)
    assert [run.seq for run in runs] == [2]
    assert excluded[0][1] == 1


def test_number_beyond_all_is_excluded(lab: Any) -> None:
    text = lab.lines([lab.record(2, "cold", 1, 10.0)]).replace('"load_s":10.0', '"load_s":1e999')
    record = json.loads(text)
    del record["checksum"]
    lab.put("gpu-01", "runs.jsonl", json.dumps(record).replace("Infinity", "1e999") + "\n")
    runs, excluded = read(lab)
    assert runs == []
    assert excluded[0][2] == "load_s"


def test_rows_of_other_nodes_and_campaigns_are_excluded(lab: Any) -> None:
    rows = [
        f"{lab.campaign_id}.gpu-02.0001,cold,m,1,1.0,,",
        "20200101T000000Z-a3bc44ca9e29.gpu-01.0001,cold,m,1,1.0,,",
    ]
    lab.put("gpu-01", "storage_load_bench.csv", "\n".join([lab.header, *rows]) + "\n")
    runs, excluded = read(lab)
    assert runs == []
    assert [reason for _, _, _, reason in excluded] == [
        "names node gpu-02",
        "belongs to campaign 20200101T000000Z-a3bc44ca9e29",
    ]


def test_duplicates_count_once_and_conflicts_not_at_all(lab: Any) -> None:
    first, second = lab.record(2, "cold", 1, 10.0), lab.record(3, "warm", 1, 4.0)
    other = lab.record(2, "cold", 1, 11.0)
    lab.put("gpu-01", "runs.jsonl", lab.lines([first, second, first]))
    assert [run.seq for run in read(lab)[0]] == [2, 3]
    assert read(lab)[1] == []
    lab.put("gpu-01", "runs.jsonl", lab.lines([first, second, other, first]))
    lab.put("gpu-01", "storage_load_bench.csv", lab.table([first, second]))
    runs, excluded = read(lab)
    assert [run.seq for run in runs] == [3]
    conflicts = [line for file, line, _, reason in excluded if "versions that differ" in reason]
    assert conflicts == [1, 3, 4]


def test_conflicting_rows_exclude_each_other_unless_the_record_tells(lab: Any) -> None:
    record = lab.record(2, "cold", 1, 10.0)
    rows = lab.table([record]) + lab.row({**record, "load_s": 12.0}) + "\n"
    lab.put("gpu-01", "storage_load_bench.csv", rows)
    runs, excluded = read(lab)
    assert runs == []
    assert [line for _, line, _, _ in excluded] == [2, 3]
    lab.put("gpu-01", "runs.jsonl", lab.lines([record]))
    assert [run.load_s for run in read(lab)[0]] == [10.0]


@pytest.mark.parametrize(
    ("fields", "field"), [({"load_s": 10.01}, "load_s"), ({"mode": "warm"}, "mode")]
)
def test_record_counts_where_the_row_differs(lab: Any, fields: dict[str, Any], field: str) -> None:
    record = lab.record(2, "cold", 1, 10.0)
    lab.put("gpu-01", "runs.jsonl", lab.lines([record]))
    row = lab.row({**record, **fields}).replace("state=proven_cold;", "")
    lab.put("gpu-01", "storage_load_bench.csv", f"{lab.header}\n{row}\n")
    runs, excluded = read(lab)
    assert [(run.mode, run.load_s) for run in runs] == [("cold", 10.0)]
    assert excluded == [
        (
            "storage_load_bench.csv",
            2,
            field,
            "differs from the record in runs.jsonl; the record counts",
        )
    ]


def test_notes_decode_and_never_fail() -> None:
    notes = parse_notes("tier=a%3Bb;state=;x%3Dy;free text = more;tier=late;%zz%ff")
    assert notes.pairs == {"tier": "a;b", "state": ""}
    assert notes.get("state") is None
    assert notes.text == "x=y; free text = more; tier=late; %zz\ufffd"


def test_strange_folders_beside_the_nodes_are_listed(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    nodes: Path = lab.folder / "nodes"
    (nodes / "with space").mkdir()
    (nodes / "link").symlink_to("/etc")
    (nodes / ".gpu-01.lock").write_text("")
    gathered = gather_campaign(lab.folder)
    assert sorted(item.file for item in gathered.exclusions.listed()) == [
        "nodes/link",
        "nodes/with space",
    ]
