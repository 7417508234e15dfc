"""What became of the nodes of an invocation: take in what was fetched, and note each outcome."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coldproof import campaign, intake
from coldproof.errors import InputError
from coldproof.names import check_node

# The agent's last line in its journal.
DONE = re.compile(rb'"event": ?"done"')
INTAKE = "intake"
COMPLETE = {"status": "complete", "code": "", "message": "", "variable": ""}
UNFINISHED = {
    "status": "incomplete",
    "code": "not_done",
    "message": "its results do not say that the campaign is done; run probe.yml to go on",
    "variable": "",
}


def conclude(folder: Path, document: Any) -> dict[str, dict[str, str | None]]:
    """Take in what was fetched from nodes, note what became of each, and return it.

    `document` is {"nodes": {name: outcome}, "fetched": {name: {"archive": path, "otherwise":
    outcome or null}}}. A reason in `nodes` is what counts; else a node is complete whose journal
    says so, and is `otherwise` if it does not. An archive that cannot be taken in is its node's
    failure, and is kept; one that was is deleted.

    Raises InputError if `document` is not that, or the folder holds no campaign.
    """
    given, fetched = (_object(document, name) for name in ("nodes", "fetched"))
    campaign.load(folder)
    outcomes: dict[str, Any] = dict(given)
    for name, one in fetched.items():
        taken = _take(folder, name, one)
        outcomes[name] = _both(given[name], taken) if name in given else taken
    return campaign.note(folder, {"nodes": outcomes})


def _both(given: Any, taken: Mapping[str, Any]) -> Any:
    """Return the reason that was given, and with it that the results could not be taken in."""
    if taken["code"] != INTAKE or not isinstance(given, dict):
        return given
    return {**given, "message": f"{given.get('message')}; its results: {taken['message']}"}


def _object(document: Any, name: str) -> dict[str, Any]:
    value = document.get(name, {}) if isinstance(document, dict) else None
    if not isinstance(value, dict):
        raise InputError(f"stdin: field {name} is not an object by node name")
    for node in value:
        check_node(node, f"stdin: field {name}")
    return value


def _take(folder: Path, node: str, fetched: Any) -> Mapping[str, Any]:
    if not isinstance(fetched, dict) or not isinstance(fetched.get("archive"), str):
        raise InputError(f"stdin: field fetched.{node}.archive is not the path of an archive")
    archive = Path(fetched["archive"])
    try:
        taken = intake.take(folder, node, archive)
    except Exception as error:  # whatever a node made of its archive costs no other node
        message = str(error) or type(error).__name__
        return {**UNFINISHED, "status": "failed", "code": INTAKE, "message": message}
    archive.unlink(missing_ok=True)
    if _done(taken.directory / "journal.jsonl"):
        return COMPLETE
    return fetched.get("otherwise") or UNFINISHED


def _done(journal: Path) -> bool:
    try:
        return DONE.search(journal.read_bytes()) is not None
    except FileNotFoundError:
        return False
