"""`coldproof run` and `coldproof resume`: the main job with its live view."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from coldproof import campaign
from coldproof.answer import Answer
from coldproof.live import log, places
from coldproof.live.session import INTERRUPTED, Session, Show, terminal
from coldproof.live.shows import Plain, Terminal

AFTER = """\
Interrupted. Agents that were started go on measuring without this terminal.
  coldproof status    what each node does now
  coldproof resume    follow them again, collect and report (give -e again)
  coldproof stop      ask them to stop between two runs
The campaign is {0}; name it to these where it is not the newest here."""
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
    nodes = campaign.load(folder)["nodes"] if folder else {}
    document = {
        "campaign": folder.name if folder else None,
        "directory": str(folder) if folder else None,
        "nodes": nodes,
        "exit_code": code,
    }
    return Answer(code, document, "")


def _words(folder: Path) -> str:
    """Return a folder as a shell takes it, from here if it is below."""
    return shlex.quote(
        os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)
    )
