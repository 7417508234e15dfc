"""The campaign's CSV is whole after any tear; one that people write is never cut."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import csvfile


def record(seq: int, mode: str = "cold", detail: str = "") -> dict[str, Any]:
    """Returns what of a run's record makes its row."""
    return {
        "run_id": f"20261123T000000Z-0123456789ab.node.{seq:04d}",
        "mode": mode,
        "model": 'meta "Llama", 8B',
        "max_model_len": 2048,
        "load_s": 12.5,
        "gpu_mem_used_mb": None,
        "tier": "disk",
        "variant": "défaut",
        "engine": {"name": "reference"},
        "method": "evict",
        "scope": None,
        "state": "unproven",
        "compile": "disabled",
        "outcome": "ready",
        "pair": seq,
        "compile_changed": False,
        "concurrency": 1,
        "weights": {"manifest": "f" * 64},
        "reasons": [f"pid 42 (käse; --x=1) maps them{detail}"],
    }


RUNS = [record(1, "prime"), record(2), record(3, "warm")]


def whole(folder: Path) -> bytes:
    """Returns the file as it is when nobody tears it."""
    path = folder / "whole.csv"
    csvfile.sync(path, RUNS)
    return path.read_bytes()


def test_every_cold_and_warm_run_has_one_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(whole(tmp_path))
    csvfile.sync(path, RUNS)
    assert path.read_bytes() == whole(tmp_path)
    with path.open() as opened:
        assert [row["run_id"] for row in csv.DictReader(opened)] == [
            one["run_id"] for one in RUNS[1:]
        ]


def test_a_torn_last_row_is_written_again_whole_and_once(tmp_path: Path) -> None:
    """At every cut: within the id, within a character of two bytes, before the newline alone."""
    good = whole(tmp_path)
    begin = good[:-1].rfind(b"\n") + 1
    assert good[begin:].count(b"\n") == 1
    path = tmp_path / "rows.csv"
    for cut in range(begin, len(good) + 1):
        path.write_bytes(good[:cut])
        csvfile.sync(path, RUNS)
        assert path.read_bytes() == good, f"cut after {good[begin:cut]!r}"


def test_a_torn_header_is_written_again(tmp_path: Path) -> None:
    good = whole(tmp_path)
    path = tmp_path / "rows.csv"
    for cut in range(len(csvfile.HEADER) + 2):
        path.write_bytes(good[:cut])
        csvfile.sync(path, RUNS)
        assert path.read_bytes() == good, f"cut after {good[:cut]!r}"


def test_zeros_of_a_power_cut_are_no_row(tmp_path: Path) -> None:
    good = whole(tmp_path)
    begin = good[:-1].rfind(b"\n") + 1
    path = tmp_path / "rows.csv"
    for start in (0, begin, begin + 45):
        path.write_bytes(good[:start] + bytes(len(good) - start))
        csvfile.sync(path, RUNS)
        assert path.read_bytes() == good, f"zeros from {start}"


@pytest.mark.parametrize("theirs", ["mine,cold,m,1,2,,", "mine,cold,m,1,2,,\n", "mi", ""])
def test_what_people_wrote_stays_as_it_is(tmp_path: Path, theirs: str) -> None:
    path = tmp_path / "rows.csv"
    before = f"{csvfile.HEADER}\n{theirs}"
    path.write_text(before)
    csvfile.sync(path, RUNS, own=False)
    csvfile.sync(path, RUNS, own=False)
    after = path.read_text()
    assert after.startswith(before)
    rows = [csvfile.row(one) for one in RUNS[1:]]
    assert after == "".join(
        f"{line}\n" for line in (csvfile.HEADER, theirs.rstrip("\n"), *rows) if line
    )


def test_an_open_last_row_of_ours_in_a_file_of_theirs_is_there(tmp_path: Path) -> None:
    """An editor that leaves out the last newline: the row counts, and is not repeated."""
    path = tmp_path / "rows.csv"
    path.write_bytes(whole(tmp_path)[:-1])
    csvfile.sync(path, RUNS, own=False)
    assert path.read_bytes() == whole(tmp_path)[:-1]
    csvfile.sync(path, [*RUNS, record(4)], own=False)
    assert path.read_text() == whole(tmp_path).decode() + csvfile.row(record(4)) + "\n"


def test_a_file_with_another_first_line_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for own, text in ((True, "a,b\n1,2\n"), (False, "a,b\n1,2"), (False, "run_id,mode")):
        path.write_text(text)
        with pytest.raises(ValueError, match="move the file away"):
            csvfile.sync(path, RUNS, own=own)
        assert path.read_text() == text
