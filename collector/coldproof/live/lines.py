"""One line a node while nodes are measured: Ansible's callback and the plain view print the same.

A node is a line when what it does has changed, and else once a minute. What it says is not trusted.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

# The task that follows an agent registers its answers so.
FOLLOWED = "__measure_poll"
STATUS = re.compile(r'\{.*"coldproof\.status/1".*\}', re.DOTALL)
AGAIN_S = 60.0
WIDTH = 60
# Characters of a reason at most; the table shows what fits.
REASON = 400


@dataclass
class Seen:
    """What a node was last seen doing, since when, and when that was printed."""

    doing: tuple[str, str]
    since: float
    printed: float


class Lines:
    """The lines of all nodes. `width` is the columns of the longest name."""

    def __init__(self) -> None:
        self.width = 0
        self._seen: dict[str, Seen] = {}

    def line(self, name: str, status: dict[str, Any], now: float) -> str | None:
        """Return the line of a node whose status was seen at `now` (seconds); None: say nothing."""
        doing = doing_by(status)
        seen = self._seen.get(name)
        if seen is None or seen.doing != doing:
            seen = self._seen[name] = Seen(doing, now, now)
        elif now - seen.printed < AGAIN_S:
            return None
        seen.printed = now
        elapsed, last = seconds(status.get("elapsed_s")), seconds(status.get("last_s"))
        if elapsed is None and now > seen.since:
            elapsed = now - seen.since
        parts = [
            name.ljust(self.width),
            *doing,
            "" if elapsed is None else f"{elapsed:.1f} s",
            "" if last is None else f"(last {last:.1f} s)",
        ]
        return "  ".join(part for part in parts if part.strip())


def status_in(answer: str) -> dict[str, Any] | None:
    """Return the status.json in what a node answered; None where there is none."""
    found = STATUS.search(answer)
    try:
        status = json.loads(found[0]) if found else None
    except (ValueError, RecursionError):
        return None
    return status if isinstance(status, dict) else None


def doing_by(status: dict[str, Any]) -> tuple[str, str]:
    """Return what a node does, as the run and the phase.

    The server's own phase, where the agent can tell, says more than that it starts.
    """
    phase = shown(status.get("server_phase")) or shown(status.get("phase"))
    return shown(status.get("run")), phase


def seconds(value: Any) -> float | None:
    """Return a node's number; None for anything else."""
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e9 else None


def shown(value: Any, limit: int = WIDTH) -> str:
    """Return a node's text as one printable line of at most `limit`: it may be anything."""
    text = value if isinstance(value, str) else ""
    return "".join(one if one.isprintable() else "?" for one in text[:limit])
