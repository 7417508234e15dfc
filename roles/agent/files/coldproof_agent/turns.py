"""Turns on storage that several nodes share: asked for in the status, given by a file.

The agent lives on while it waits, and no Python runs on the node for it: the fleet's side writes
the file by the shell with which it looks at the agent (plugins/action/look.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from coldproof_agent.status import Status

FILE = "turn.json"
LOOK_S = 1.0


def wait(
    state: Path, campaign: str, tier: str, status: Status, need_time: Callable[[], None]
) -> int:
    """Asks for a tier's turn and waits for it.

    Args:
        state: the state folder.
        campaign: its name; a turn of another campaign is none.
        tier: by name.
        status: where it is asked for.
        need_time: raises Refusal when the time of the invocation is over.

    Returns:
        how many nodes may measure the tier at once, this one among them.
    """
    path = state / FILE
    path.unlink(missing_ok=True)  # what an earlier agent did not take
    status.set(phase="waiting", run=f"turn on {tier}", needs="turn", turn=tier)
    while True:
        given = _read(path)
        if given and (given.get("campaign"), given.get("tier")) == (campaign, tier):
            count = given.get("concurrency")
            status.set(phase="idle", needs=None, turn=None)
            path.unlink(missing_ok=True)
            return count if isinstance(count, int) and count > 0 else 1
        need_time()
        time.sleep(LOOK_S)


def _read(path: Path) -> Optional[dict[str, Any]]:
    try:
        given = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return given if isinstance(given, dict) else None
