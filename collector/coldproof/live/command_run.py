"""`coldproof run` and `coldproof resume`: the main job with its live view."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coldproof import campaign
from coldproof.answer import Answer
from coldproof.live import log, places
from coldproof.live.session import INTERRUPTED, Session, Show, terminal
from coldproof.live.shows import COLOURS, Plain, Terminal

AFTER = """\
Interrupted. Agents that were started go on measuring without this terminal.
  coldproof status    what each node does now
  coldproof resume    follow them again, collect and report
  coldproof stop      ask them to stop between two runs
Give -e again to each of them. The campaign is {0}; name it where it is not the newest here."""
NOTHING = "Interrupted before anything was begun."


def run(arguments: Sequence[str], *, stream: bool, silent: bool) -> Answer:
    """Run probe.yml with these words for ansible-playbook; `silent` shows nothing meanwhile."""
    table = terminal() and not silent
    show = Show() if silent else Terminal() if table else Plain()
    code = Session(places.playbook("probe"), arguments, show, stream=stream).run()
    folder = show.told.directory
    if code == INTERRUPTED:
        print(AFTER.format(_words(folder)) if folder else NOTHING, file=sys.stderr)
    elif table and code and folder:
        print(f"The playbook ended with {code}: see {folder / log.FILE}", file=sys.stderr)
    # With --check a campaign is opened without its folder.
    kept = folder is not None and (folder / campaign.FILE).is_file()
    document = {
        "campaign": folder.name if folder else None,
        "directory": str(folder) if folder and kept else None,
        "nodes": campaign.load(folder)["nodes"] if folder and kept else _failed(show),
        "plan": show.told.plan,
        "exit_code": code,
    }
    if code not in (0, INTERRUPTED) and not kept:
        why = _why(show)
        document["error"] = {"message": why, "code": code}
        if silent:
            print(why, file=sys.stderr)
    return Answer(code, document, "")


def _failed(show: Show) -> dict[str, Any]:
    """Return the nodes of a run that keeps nothing, each with what became of it."""
    nodes = show.told.progress.nodes.values()
    return {
        one.name: {
            "status": one.outcome or "failed",
            "message": one.failed.removeprefix(f"{one.outcome}: "),
        }
        for one in nodes
        if one.failed
    }


def _why(show: Show) -> str:
    """Return why nothing was begun, as Ansible or the nodes say."""
    failed = [f"{name}: {one['message']}" for name, one in _failed(show).items()]
    said = [COLOURS.sub("", line).strip() for line in show.said[-20:]]
    return "\n".join(filter(None, [*said, *failed])) or "ansible-playbook gave no reason"


def _words(folder: Path) -> str:
    """Return a folder as a shell takes it, from here if it is below."""
    return shlex.quote(
        os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)
    )
