"""The campaign that a command means, and how its playbook was called."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from coldproof import campaign
from coldproof.errors import InputError
from coldproof.names import CAMPAIGN

# Linux takes no word of 128 KiB; of more nodes the command's own limit holds.
MOST_OF_A_WORD = 120_000


def newest(named: Path | None) -> Path:
    """Return the campaign's folder: `named`, or the newest in ./reports. Raises InputError."""
    if named is not None:
        if not (named / campaign.FILE).is_file():
            raise InputError(f"{named}: holds no {campaign.FILE}; give a campaign's folder")
        return named.resolve()
    found = sorted(
        path.parent
        for path in Path("reports").glob(f"*/{campaign.FILE}")
        if CAMPAIGN.fullmatch(path.parent.name)
    )
    if not found:
        raise InputError("reports: holds no campaign; give its folder, or go where it was begun")
    return found[-1].resolve()


def arguments(folder: Path, inventory: Sequence[str], limit: str | None) -> list[str]:
    """Return what names the campaign, and its inventory and nodes where those are not given.

    Variables that were given with -e are not among them: nothing keeps those, they may be secrets.
    Raises InputError: its inventory is not where its command says, seen from here.
    """
    found = campaign.load(folder)
    given = _given(found.get("command") or "")
    words = [] if inventory else _there(given["-i"], folder)
    if not limit:
        # Not the command's own: others may have joined since, by another.
        nodes = ",".join(sorted(found["nodes"]))
        limits = [nodes] if 0 < len(nodes) <= MOST_OF_A_WORD else given["-l"]
        words += [word for one in limits for word in ("-l", one)]
    # As JSON: a path may hold anything.
    named = {"coldproof_campaign": folder.name, "coldproof_reports_dir": str(folder.parent)}
    return [*words, "-e", json.dumps(named)]


def _given(command: str) -> dict[str, list[str]]:
    """Return the values of -i and -l in a command."""
    words = shlex.split(command)
    found: dict[str, list[str]] = {"-i": [], "-l": []}
    for word, value in zip(words, words[1:], strict=False):
        if word in found:
            found[word].append(value)
    return found


def _there(inventories: Sequence[str], folder: Path) -> list[str]:
    """Return the words for inventories, which are paths or, with a comma, hosts."""
    for one in inventories:
        if "," not in one and not Path(one).exists():
            raise InputError(
                f"{folder / campaign.FILE}: its inventory {one} is not there, seen from here; "
                "give -i, or go where the campaign was begun"
            )
    return [word for one in inventories for word in ("-i", one)]
