"""What a look at a node says of the agent that is followed: whether it ended, and how.

A look is what the action ``look`` read: ``boot_id`` (empty: no answer), ``status`` (the agent's, or
None), ``wrong`` (the field because of which it is not usable), ``alive``, ``stderr``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AGAIN = "run the playbook again to go on"
NOTHING_YET = {"step": 0, "of": 0, "phase": "unknown"}


@dataclass(frozen=True)
class Followed:
    """The agent that is followed.

    Attributes:
        pid: of the agent that was started.
        boot_id: the boot on which it went on after a reboot; empty before the first.
        limit_s: how long it is followed, in seconds.
    """

    pid: int
    boot_id: str
    limit_s: float


def judge(seen: Mapping[str, Any], campaign: str, followed: Followed) -> dict[str, Any]:
    """Returns ``ended`` (look no more), ``reboot`` (it asks for one), and a failure if it is one.

    A look that says nothing of the agent does not end it: it is a failure only if it is the last.
    """
    if not seen["boot_id"]:
        return {"ended": False, "reboot": False, **failure(no_answer(seen["stderr"]))}
    status = seen["status"] if seen["status"] and _own(seen, campaign, followed) else None
    error = _bad_answer(seen["wrong"]) if seen["wrong"] else None
    needs, done = None, False
    if status is not None:
        error, needs, done = status["error"], status["needs"], status["done"]
    ended = not seen["alive"] or done or error is not None or needs is not None
    verdict = {"ended": ended, "reboot": needs == "reboot"}
    if done or needs == "reboot":
        return verdict
    reason = error or (_needing(needs) if needs else _unfinished(seen, status, followed))
    incomplete = error is None or error["code"] == "max_minutes"
    return {**verdict, **failure({"status": "incomplete" if incomplete else "failed", **reason})}


def failure(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a result that fails with an outcome, as campaign.json keeps it."""
    kept = {name: outcome[name] or "" for name in ("status", "code", "message", "variable")}
    return {"failed": True, "msg": kept["message"], "outcome": kept}


def unreachable(said: str) -> dict[str, str]:
    """Returns the outcome of a node that ssh does not reach: its first line and its last."""
    lines = [line.strip() for line in re.sub("@{5,}", "", said).splitlines() if line.strip()]
    message = " ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))
    return _outcome("unreachable", "unreachable", message)


def no_answer(said: str) -> dict[str, str]:
    """Returns the outcome of a node that is reached and whose shell does not answer."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    why = f" ({lines[-1]})" if lines else ""
    message = (
        f"it is reached, and does not say where its agent stands{why}; "
        "the agent may be at work: run collect.yml or the playbook again later"
    )
    return _outcome("unreachable", "no_answer", message)


def _own(seen: Mapping[str, Any], campaign: str, followed: Followed) -> bool:
    """Says whether a status is the followed agent's, and not one that an earlier agent left.

    It is if it is of the agent that was started, of the one that went on after a reboot, of one
    that lives, or of one that finished this campaign.
    """
    status = seen["status"]
    return status["campaign"] == campaign and bool(
        status["pid"] == followed.pid
        or seen["alive"]
        or status["boot_id"] == (followed.boot_id or None)
        or status["done"]
    )


def _unfinished(
    seen: Mapping[str, Any], status: Mapping[str, Any] | None, followed: Followed
) -> dict[str, str]:
    left = seen["status"] or {}
    if seen["alive"]:
        code, what = "too_long", f"it did not end within {followed.limit_s / 60:.0f} minutes"
    elif left.get("boot_id", seen["boot_id"]) != seen["boot_id"]:
        code, what = "rebooted", "the node was rebooted by somebody else"
    else:
        code, what = "agent_gone", "the agent is gone"
    at = status or NOTHING_YET
    where = f"at start {at['step']} of {at['of']} ({at['phase']})"
    return {"code": code, "message": f"{what} {where}; {AGAIN}", "variable": ""}


def _needing(needs: str) -> dict[str, str]:
    message = f"the agent waits for a {needs}, which this version cannot give"
    return {"code": f"needs_{needs}", "message": message, "variable": "coldproof_tiers"}


def _bad_answer(field: str) -> dict[str, str]:
    message = (
        f"its status.json is not usable: field {field} is missing or of the wrong type; "
        "run clean.yml on it, and the playbook again"
    )
    return {"code": "bad_answer", "message": message, "variable": ""}


def _outcome(status: str, code: str, message: str) -> dict[str, str]:
    return {"status": status, "code": code, "message": message, "variable": ""}
