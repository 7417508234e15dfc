"""campaign.json: one plan over a set of nodes, and what became of each node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from coldproof import __version__
from coldproof.errors import InputError
from coldproof.files import canonical_json, locked, read_json, sha256_text, write_json
from coldproof.names import CAMPAIGN, check_node

SCHEMA = "coldproof.campaign/1"
FILE = "campaign.json"
STATUSES = ("pending", "complete", "incomplete", "refused", "unreachable", "failed")
MESSAGE_LIMIT = 4000
PENDING = {"status": "pending", "code": None, "message": None, "variable": None}


@dataclass(frozen=True)
class Request:
    """What one invocation wants measured, on which nodes."""

    settings: dict[str, Any]
    demo: bool
    nodes: tuple[str, ...]
    command: str | None

    @property
    def digest(self) -> str:
        """SHA-256 of the settings' canonical JSON, 64 hex digits."""
        return sha256_text(canonical_json(self.settings))


@dataclass(frozen=True)
class Opened:
    """The campaign an invocation works for."""

    campaign: str
    digest: str
    directory: Path
    resumed: bool


def request_from(document: Any) -> Request:
    """Return the request in a JSON `document`; InputError names the field that is wrong."""
    if not isinstance(document, dict):
        raise InputError("stdin: not a JSON object; give settings, demo, nodes and command")
    settings, nodes = document.get("settings"), document.get("nodes")
    demo, command = document.get("demo"), document.get("command")
    if not isinstance(settings, dict):
        raise InputError("stdin: field settings is not an object")
    if not isinstance(demo, bool):
        raise InputError("stdin: field demo is not true or false")
    if not isinstance(nodes, list) or not nodes:
        raise InputError("stdin: field nodes is not a list with at least one node name")
    if command is not None and not isinstance(command, str):
        raise InputError("stdin: field command is neither a string nor null")
    names = tuple(check_node(name, "stdin: field nodes") for name in nodes)
    return Request(settings, demo, names, command)


def open_campaign(
    reports: Path,
    request: Request,
    *,
    now: datetime,
    max_age: timedelta,
    named: str | None = None,
    check: bool = False,
) -> Opened:
    """Return the campaign for `request`: the unfinished one of the same plan, or a new one.

    `named` is the id of the one to resume. With `check` nothing is written.
    """
    if check:
        return _open(reports, request, now, max_age, named, write=False)
    reports.mkdir(parents=True, exist_ok=True)
    with locked(reports / ".campaigns.lock"):
        return _open(reports, request, now, max_age, named, write=True)


def load(folder: Path) -> dict[str, Any]:
    """Return campaign.json of `folder`, checked as far as the collector relies on it."""
    path = folder / FILE
    document = read_json(path)
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise InputError(
            f"{path}: field schema is {schema!r}, this coldproof {__version__} reads {SCHEMA!r}; "
            "update the controller, or use the coldproof that wrote the folder"
        )
    expected = {"campaign": str, "digest": str, "settings": dict, "nodes": dict, "demo": bool}
    for field, kind in expected.items():
        if not isinstance(document.get(field), kind):
            raise InputError(f"{path}: field {field} is missing or of the wrong type; restore it")
    if CAMPAIGN.fullmatch(document["campaign"]) is None:
        raise InputError(f"{path}: field campaign is not <UTC start>-<digest>; restore it")
    for name, entry in document["nodes"].items():
        check_node(name, f"{path}: field nodes")
        if not isinstance(entry, dict) or entry.get("status") not in STATUSES:
            raise InputError(f"{path}: field nodes.{name}.status is none of {', '.join(STATUSES)}")
    return dict(document)


def note(folder: Path, document: Any) -> dict[str, dict[str, str | None]]:
    """Store what became of nodes, and return it: `document` is {"nodes": {name: {"status", ...}}}.

    An entry that is not usable is noted as that node's own failure, because nodes have their part
    in what is said of them, and one of them must not keep the others' entries from being noted.
    """
    notes = document.get("nodes") if isinstance(document, dict) else None
    if not isinstance(notes, dict):
        raise InputError("stdin: field nodes is not an object by node name")
    entries = {check_node(name, "stdin: field nodes"): _entry(notes[name]) for name in notes}
    if not (folder / FILE).is_file():
        raise InputError(f"{folder / FILE}: not there; open the campaign first")
    with locked(folder / ".campaign.lock"):
        campaign = load(folder)
        campaign["nodes"] = {**campaign["nodes"], **entries}
        write_json(folder / FILE, campaign)
    return entries


def _entry(given: Any) -> dict[str, str | None]:
    if not isinstance(given, dict):
        return _bad_entry("the entry is not an object")
    if given.get("status") not in STATUSES:
        return _bad_entry(f"field status is none of {', '.join(STATUSES)}")
    entry: dict[str, str | None] = {"status": given["status"]}
    for field in ("code", "message", "variable"):
        value = given.get(field)
        if value is not None and not isinstance(value, str):
            return _bad_entry(f"field {field} is neither text nor null")
        # Half a character cannot be written in UTF-8, and campaign.json not be read again.
        entry[field] = value[:MESSAGE_LIMIT].encode("utf-8", "replace").decode() if value else None
    return entry


def _bad_entry(reason: str) -> dict[str, str | None]:
    message = f"what was said of this node is not usable: {reason}; see the output of the playbook"
    return {"status": "failed", "code": "bad_answer", "message": message, "variable": None}


def _open(
    reports: Path,
    request: Request,
    now: datetime,
    max_age: timedelta,
    named: str | None,
    *,
    write: bool,
) -> Opened:
    folder = _named(reports, named, request) if named else None
    if folder is None and not named:
        folder = _unfinished(reports, request, now - max_age)
    if folder is not None:
        if write:
            _join(folder, request)
        return Opened(folder.name, request.digest, folder.absolute(), True)
    folder = _unused(reports, request.digest, now)
    if write:
        folder.mkdir()
        write_json(folder / FILE, _new(folder.name, request))
    return Opened(folder.name, request.digest, folder.absolute(), False)


def _named(reports: Path, named: str, request: Request) -> Path:
    folder = reports / named
    if CAMPAIGN.fullmatch(named) is None or not (folder / FILE).is_file():
        raise InputError(
            f"--campaign {named!r}: {reports} holds no such campaign; "
            "give the name of one of its folders, or leave it out to start a new one"
        )
    campaign = load(folder)
    if campaign["demo"] != request.demo:
        raise InputError(f"--campaign {named}: field demo differs; use the inventory it began with")
    if campaign["digest"] != request.digest:
        fields = ", ".join(differing(campaign["settings"], request.settings)) or "their digest"
        raise InputError(
            f"--campaign {named}: its settings differ in {fields}; "
            "set them as they were, or leave --campaign out to start a new one"
        )
    return folder


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the sorted names of the fields whose values differ."""
    absent = object()
    return sorted(name for name in {*old, *new} if old.get(name, absent) != new.get(name, absent))


def _unfinished(reports: Path, request: Request, oldest: datetime) -> Path | None:
    suffix = f"-{request.digest[:12]}"
    folders = sorted(reports.glob(f"*{suffix}")) if reports.is_dir() else []
    for folder in reversed(folders):
        if CAMPAIGN.fullmatch(folder.name) is None or not (folder / FILE).is_file():
            continue
        if folder.name[:16] < oldest.strftime("%Y%m%dT%H%M%SZ"):
            return None
        campaign = load(folder)
        if campaign["digest"] != request.digest or campaign["demo"] != request.demo:
            continue
        nodes = campaign["nodes"]
        finished = all(entry["status"] == "complete" for entry in nodes.values())
        return None if finished and set(request.nodes) <= set(nodes) else folder
    return None


def _join(folder: Path, request: Request) -> None:
    with locked(folder / ".campaign.lock"):
        campaign = load(folder)
        added = {name: PENDING for name in request.nodes if name not in campaign["nodes"]}
        if not added and campaign.get("command"):
            return
        campaign["nodes"] = {**campaign["nodes"], **added}
        campaign["command"] = campaign.get("command") or request.command
        write_json(folder / FILE, campaign)


def _unused(reports: Path, digest: str, now: datetime) -> Path:
    while True:
        folder = reports / f"{now.strftime('%Y%m%dT%H%M%SZ')}-{digest[:12]}"
        if not folder.exists():
            return folder
        now += timedelta(seconds=1)


def _new(identity: str, request: Request) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "campaign": identity,
        "digest": request.digest,
        "coldproof": __version__,
        "demo": request.demo,
        "settings": request.settings,
        "command": request.command,
        "nodes": dict.fromkeys(sorted(request.nodes), PENDING),
    }


def utc_now() -> datetime:
    """Return the wall clock in UTC; only a campaign's name depends on it."""
    return datetime.now(UTC)
