"""The campaign that a command means, and how its playbook was called."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from coldproof import campaign
from coldproof.errors import InputError
from coldproof.names import CAMPAIGN


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
    """Return -i and -l of the campaign's command where none are given, and what names the campaign.

    Variables that were given with -e are not among them: nothing keeps those, they may be secrets.
    """
    words = shlex.split(campaign.load(folder).get("command") or "")
    wanted = {"-i": not inventory, "-l": not limit}
    kept = []
    for word, value in zip(words, words[1:], strict=False):
        if wanted.get(word):
            kept += [word, value]
    # As JSON: a path may hold anything.
    named = {"coldproof_campaign": folder.name, "coldproof_reports_dir": str(folder.parent)}
    return [*kept, "-e", json.dumps(named)]
