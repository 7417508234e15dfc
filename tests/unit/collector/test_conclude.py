"""What becomes of the nodes of an invocation, and of what was fetched from them."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coldproof import campaign
from coldproof.conclude import conclude
from coldproof.errors import InputError

DONE = '{"event": "begin"}\n{"event": "done"}\n'
GIVEN = {"status": "failed", "code": "disk_full", "message": "m", "variable": ""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    request = campaign.Request({"model": "m"}, False, ("a", "b", "c"), None)
    now = datetime(2026, 11, 25, tzinfo=UTC)
    opened = campaign.open_campaign(tmp_path, request, now=now, max_age=timedelta(days=1))
    return opened.directory


def fetched(folder: Path, name: str, journal: str = DONE) -> dict[str, Any]:
    """Returns an archive that was fetched from a node."""
    path = folder / f"{name}.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("journal.jsonl")
        member.size = len(journal)
        archive.addfile(member, io.BytesIO(journal.encode()))
    return {"archive": str(path), "otherwise": None}


def said(folder: Path, **document: Any) -> dict[str, tuple[str | None, str | None]]:
    outcomes = conclude(folder, document)
    stored = json.loads((folder / campaign.FILE).read_text("utf-8"))["nodes"]
    assert {name: stored[name] for name in outcomes} == outcomes
    return {name: (one["status"], one["code"]) for name, one in outcomes.items()}


def test_a_node_whose_journal_is_done_is_complete(folder: Path) -> None:
    one = fetched(folder, "a")
    assert said(folder, fetched={"a": one}) == {"a": ("complete", None)}
    assert not Path(one["archive"]).exists()
    assert (folder / "nodes/a/journal.jsonl").read_text("utf-8") == DONE


def test_a_node_whose_journal_is_not_done_is_what_was_said_of_it(folder: Path) -> None:
    running = {**GIVEN, "status": "incomplete", "code": "running"}
    both = {
        "a": fetched(folder, "a", '{"event": "begin"}\n'),
        "b": {**fetched(folder, "b", '{"event": "begin"}\n'), "otherwise": running},
    }
    assert said(folder, fetched=both) == {
        "a": ("incomplete", "not_done"),
        "b": ("incomplete", "running"),
    }


def test_a_reason_counts_and_results_are_taken_all_the_same(folder: Path) -> None:
    one = fetched(folder, "a")
    assert said(folder, nodes={"a": GIVEN}, fetched={"a": one}) == {"a": ("failed", "disk_full")}
    assert (folder / "nodes/a/journal.jsonl").exists()


def test_one_nodes_rubbish_is_its_own_failure_and_is_kept(folder: Path) -> None:
    rubbish = folder / "a.tar"
    rubbish.write_bytes(b"no tar at all")
    both = {"a": {"archive": str(rubbish)}, "b": fetched(folder, "b")}
    assert said(folder, fetched=both) == {"a": ("failed", "intake"), "b": ("complete", None)}
    assert rubbish.exists()
    known = conclude(folder, {"nodes": {"a": GIVEN}, "fetched": {"a": {"archive": str(rubbish)}}})
    assert known["a"]["code"] == "disk_full"
    assert "m; its results: " in str(known["a"]["message"])


@pytest.mark.parametrize(
    "document",
    [None, {"nodes": []}, {"fetched": {"../a": {}}}, {"fetched": {"a": {}}}],
)
def test_a_request_that_is_none_is_refused(folder: Path, document: Any) -> None:
    with pytest.raises(InputError, match="stdin: field"):
        conclude(folder, document)
