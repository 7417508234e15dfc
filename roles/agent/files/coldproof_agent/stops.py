"""A stop between two runs: asked for by a file, obeyed before the next prime run or pair.

As with turns, the fleet's side writes the file by the shell with which it looks at the agent, and
no Python runs on the node for it. Who starts the campaign again takes the stop back.
"""

from __future__ import annotations

import json
from pathlib import Path

from coldproof_agent.errors import Refusal

FILE = "stop.json"


def obey(state: Path, campaign: str) -> None:
    """Goes on, unless a stop of this campaign was asked for; that is then done with.

    Raises:
        Refusal: it was.
    """
    if _campaign(state) == campaign:
        take_back(state, campaign)
        raise Refusal(
            "stopped",
            "it was asked to stop between two runs: run the same plan again to go on from here",
            None,
        )


def take_back(state: Path, campaign: str) -> None:
    """Forgets a stop of this campaign that was asked for and not obeyed yet."""
    if _campaign(state) == campaign:
        (state / FILE).unlink(missing_ok=True)


def _campaign(state: Path) -> str:
    """Returns whose stop was asked for; empty where none was."""
    try:
        asked = json.loads((state / FILE).read_bytes())
    except (OSError, ValueError):
        return ""
    return str(asked.get("campaign", "")) if isinstance(asked, dict) else ""
