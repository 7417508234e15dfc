"""What became of the nodes of an invocation: take in what was fetched, and note each outcome."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coldproof import campaign, intake
from coldproof.errors import InputError
from coldproof.following import unreachable
from coldproof.names import check_node

# The agent's last line in its journal.
DONE = re.compile(rb'"event": ?"done"')
COMPLETE = {"status": "complete", "code": "", "message": "", "variable": ""}
UNFINISHED = {
    "status": "incomplete",
    "code": "not_done",
    "message": "its results do not say that the campaign is done; run probe.yml to go on",
    "variable": "",
}


def conclude(folder: Path, document: Any) -> dict[str, dict[str, str | None]]:
    """Take in what was fetched from nodes, note what became of each, and return it.

    `document` is {"nodes": {name: outcome}, "lost": {name: what ssh said}, "fetched": {name:
    {"archive": path, "otherwise": outcome or null}}}. A reason in `nodes` or `lost` is what counts;
    else a node is complete whose journal says so, and is `otherwise` if it does not. An archive
    that cannot be taken in is its node's failure, and is kept; one that was is deleted.

    Raises InputError if `document` is not that, or the folder holds no campaign.
    """
    given, lost, fetched = (_object(document, name) for name in ("nodes", "lost", "fetched"))
    campaign.load(folder)
    outcomes: dict[str, Any] = {name: unreachable(str(said)) for name, said in lost.items()}
    outcomes |= given
    for name, one in fetched.items():
        taken = _take(folder, name, one)
        outcomes.setdefault(name, taken)
    return campaign.note(folder, {"nodes": outcomes})


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
    except (InputError, OSError) as error:
        return {**UNFINISHED, "status": "failed", "code": "intake", "message": str(error)}
    archive.unlink(missing_ok=True)
    if _done(taken.directory / "journal.jsonl"):
        return COMPLETE
    return fetched.get("otherwise") or UNFINISHED


def _done(journal: Path) -> bool:
    try:
        return DONE.search(journal.read_bytes()) is not None
    except FileNotFoundError:
        return False
