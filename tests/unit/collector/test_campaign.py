"""Campaigns: one plan over a set of nodes, opened, resumed, refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import types
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from coldproof import campaign
from coldproof.cli import main
from coldproof.errors import InputError

SETTINGS = {"model": "m", "repeats": 3, "text": "käse"}
NOW = datetime(2026, 11, 23, 21, 59, tzinfo=UTC)


def request(nodes: tuple[str, ...] = ("a", "b"), **changes: Any) -> campaign.Request:
    return campaign.Request({**SETTINGS, **changes}, False, nodes, "ansible-playbook probe.yml")


def open_at(
    reports: Path, wanted: campaign.Request, now: datetime, **options: Any
) -> campaign.Opened:
    return campaign.open_campaign(reports, wanted, now=now, max_age=timedelta(days=30), **options)


def status(folder: Path, **statuses: str) -> None:
    campaign.note(folder, {"nodes": {name: {"status": value} for name, value in statuses.items()}})


def test_new_campaign_is_named_by_time_and_digest_and_fits_its_schema(
    tmp_path: Path, lab: Any
) -> None:
    opened = open_at(tmp_path / "reports", request(), NOW)
    text = '{"model":"m","repeats":3,"text":"käse"}'
    assert opened.digest == hashlib.sha256(text.encode()).hexdigest()
    assert opened.campaign == f"20261123T215900Z-{opened.digest[:12]}"
    assert opened.directory == tmp_path / "reports" / opened.campaign
    assert not opened.resumed
    document = json.loads((opened.directory / "campaign.json").read_text())
    schema = json.loads((lab.schemas / "campaign.schema.json").read_text())
    jsonschema.validate(document, schema)
    assert document["settings"] == SETTINGS
    assert {name: entry["status"] for name, entry in document["nodes"].items()} == {
        "a": "pending",
        "b": "pending",
    }
    status(opened.directory, a="refused")
    jsonschema.validate(json.loads((opened.directory / "campaign.json").read_text()), schema)


def test_unfinished_is_resumed_with_new_nodes_and_finished_is_not(tmp_path: Path) -> None:
    first = open_at(tmp_path, request(), NOW)
    status(first.directory, a="complete", b="unreachable")
    again = open_at(tmp_path, request(("a", "c")), NOW + timedelta(hours=1))
    assert (again.campaign, again.resumed) == (first.campaign, True)
    nodes = campaign.load(again.directory)["nodes"]
    assert {name: entry["status"] for name, entry in nodes.items()} == {
        "a": "complete",
        "b": "unreachable",
        "c": "pending",
    }
    status(first.directory, b="complete", c="complete")
    fresh = open_at(tmp_path, request(("a",)), NOW + timedelta(hours=2))
    assert not fresh.resumed
    assert fresh.campaign != first.campaign


def test_finished_campaign_that_lacks_a_node_is_resumed(tmp_path: Path) -> None:
    first = open_at(tmp_path, request(("a",)), NOW)
    status(first.directory, a="complete")
    assert open_at(tmp_path, request(("b",)), NOW).resumed


def test_other_settings_age_and_demo_start_a_new_one(tmp_path: Path) -> None:
    first = open_at(tmp_path, request(), NOW)
    assert not open_at(tmp_path, request(repeats=5), NOW).resumed
    assert not open_at(tmp_path, request(), NOW + timedelta(days=31)).resumed
    demo = campaign.Request(SETTINGS, True, ("a",), None)
    second = open_at(tmp_path, demo, NOW)
    assert not second.resumed
    assert second.campaign != first.campaign


def test_check_writes_nothing(tmp_path: Path) -> None:
    opened = open_at(tmp_path / "reports", request(), NOW, check=True)
    assert not opened.resumed
    assert list(tmp_path.iterdir()) == []
    first = open_at(tmp_path, request(), NOW)
    before = (first.directory / "campaign.json").read_bytes()
    assert open_at(tmp_path, request(("new",)), NOW, check=True).resumed
    assert (first.directory / "campaign.json").read_bytes() == before


def test_named_campaign_with_other_settings_is_refused_naming_them(tmp_path: Path) -> None:
    first = open_at(tmp_path, request(), NOW)
    assert open_at(tmp_path, request(), NOW, named=first.campaign).resumed
    with pytest.raises(InputError, match=r"differ in extra, repeats;"):
        open_at(tmp_path, request(repeats=4, extra=1), NOW, named=first.campaign)


@pytest.mark.parametrize("named", ["../escape", "20261123T215900Z-000000000000", "x"])
def test_unknown_named_campaign_is_refused(tmp_path: Path, named: str) -> None:
    with pytest.raises(InputError, match="holds no such campaign"):
        open_at(tmp_path, request(), NOW, named=named)


def test_age_does_not_matter_for_a_named_one(tmp_path: Path) -> None:
    first = open_at(tmp_path, request(), NOW)
    later = NOW + timedelta(days=90)
    assert open_at(tmp_path, request(), later, named=first.campaign).resumed


@pytest.mark.parametrize("name", ["..", ".", "-x", "a/b", "", "a b", "x" * 129, "a\n", None, 7])
def test_unusable_node_name_is_refused_naming_it(name: Any) -> None:
    document = {"settings": {}, "demo": False, "nodes": ["ok", name], "command": None}
    with pytest.raises(InputError) as refused:
        campaign.request_from(document)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("settings", []), ("demo", "no"), ("nodes", []), ("nodes", "a"), ("command", 1)],
)
def test_wrong_field_of_the_request_is_named(field: str, value: Any) -> None:
    document = {"settings": {}, "demo": False, "nodes": ["a"], "command": None, field: value}
    with pytest.raises(InputError, match=f"field {field} "):
        campaign.request_from(document)


def test_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    first = open_at(tmp_path, request(), NOW)
    path = first.directory / "campaign.json"
    path.write_text(path.read_text().replace("campaign/1", "campaign/2"))
    with pytest.raises(InputError, match="update the controller"):
        campaign.load(first.directory)


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"status": None}, "status"),
        ({"status": "done"}, "status"),
        ({"status": 3}, "status"),
        ({"status": ["failed"]}, "status"),
        ({}, "status"),
        ("failed", "entry"),
        ({"status": "failed", "code": 5}, "code"),
        ({"status": "refused", "message": {"a": 1}}, "message"),
        ({"status": "complete", "variable": ["x"]}, "variable"),
    ],
)
def test_an_unusable_entry_is_its_nodes_own_failure(
    tmp_path: Path, lab: Any, entry: Any, field: str
) -> None:
    first = open_at(tmp_path, request(), NOW)
    campaign.note(first.directory, {"nodes": {"a": entry, "b": {"status": "complete"}}})
    document = campaign.load(first.directory)
    jsonschema.validate(
        document, json.loads((lab.schemas / "campaign.schema.json").read_text("utf-8"))
    )
    assert document["nodes"]["b"]["status"] == "complete"
    noted = document["nodes"]["a"]
    assert (noted["status"], noted["code"]) == ("failed", "bad_answer")
    assert field in noted["message"]


def test_half_a_character_does_not_make_the_campaign_unreadable(tmp_path: Path) -> None:
    first = open_at(tmp_path, request(), NOW)
    campaign.note(first.directory, {"nodes": {"a": {"status": "failed", "message": "x\ud800y"}}})
    assert campaign.load(first.directory)["nodes"]["a"]["message"] == "x?y"


@pytest.mark.parametrize("document", [None, [], {}, {"nodes": []}])
def test_note_without_nodes_is_refused(tmp_path: Path, document: Any) -> None:
    first = open_at(tmp_path, request(), NOW)
    with pytest.raises(InputError, match="field nodes"):
        campaign.note(first.directory, document)


def test_parallel_notes_are_all_kept(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(12)]
    first = open_at(tmp_path, request(tuple(names)), NOW)
    command = [sys.executable, "-m", "coldproof", "campaign", "conclude", str(first.directory)]
    source = Path(campaign.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    running = [subprocess.Popen(command, env=environment, **pipe) for _ in names]
    for name, process in zip(names, running, strict=True):
        assert process.stdin is not None
        process.stdin.write(json.dumps({"nodes": {name: {"status": "failed", "message": name}}}))
        process.stdin.close()
    assert [process.wait() for process in running] == [0] * len(names)
    nodes = campaign.load(first.directory)["nodes"]
    assert {name: entry["message"] for name, entry in nodes.items()} == {n: n for n in names}


def test_command_prints_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = {"settings": SETTINGS, "demo": True, "nodes": ["a"], "command": None}
    command = ["campaign", "open", "--reports", str(tmp_path), "--max-age-days", "30"]
    answers = []
    for _ in range(2):
        data = io.BytesIO(json.dumps(document).encode())
        monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=data))
        assert main(command) == 0
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        answers.append(json.loads(out))
    assert [answer["resumed"] for answer in answers] == [False, True]
    assert answers[0]["directory"] == str(tmp_path / answers[0]["campaign"])


def test_stdin_that_is_not_json_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(b"{")))
    assert main(["campaign", "open", "--reports", str(tmp_path)]) == 2
    assert "stdin: not JSON" in capsys.readouterr().err
