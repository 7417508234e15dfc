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
# An agent looks for its turn each second.
TAKEN_S = 120.0
NOTHING_YET = {"step": 0, "of": 0, "phase": "unknown"}


@dataclass(frozen=True)
class Followed:
    """The agent that is followed.

    Attributes:
        pid: of the agent that was started.
        boot_id: the boot on which it went on after a reboot; empty before the first.
        limit_s: how long it is followed, in seconds.
        turn: the tier whose turn it was given; empty if none.
        turns: the shared tiers whose turn it may ask for yet.
    """

    pid: int
    boot_id: str
    limit_s: float
    turn: str = ""
    turns: tuple[str, ...] = ()


def judge(
    seen: Mapping[str, Any], campaign: str, followed: Followed, waited_s: float, granted_s: float
) -> dict[str, Any]:
    """Returns ``ended`` (look no more), what it asks for, and a failure if it is one.

    It may ask for a ``reboot`` (a flag) or a ``turn`` (the tier, else empty).

    A look that says nothing of the agent does not end it: it is a failure only if it is the last,
    because `waited_s`, the seconds since the first look, are more than the limit. `granted_s` are
    the seconds since the first look that was answered, which gave it its turn.
    """
    late = waited_s > followed.limit_s
    if not seen["boot_id"]:
        said = failure(no_answer(seen["stderr"]))
        return {"ended": late, "reboot": False, "turn": "", **said}
    status = seen["status"] if seen["status"] and _own(seen, campaign, followed) else None
    error = _bad_answer(seen["wrong"]) if seen["wrong"] else None
    reboot, done, turn = False, False, ""
    if status is not None:
        error, done = status["error"], status["done"]
        reboot = status["needs"] == "reboot"
        if status["needs"] == "turn" and seen["alive"]:
            turn = status.get("turn") or ""
    # It takes a second to see that its turn was given.
    given = turn != "" and turn == followed.turn
    asks = reboot or (turn != "" and not given)
    not_taken = given and granted_s > TAKEN_S
    if turn and not given and turn not in followed.turns:
        asks, error = False, _no_turn(turn)
    ended = late or not seen["alive"] or done or error is not None or asks or not_taken
    verdict = {"ended": ended, "reboot": reboot, "turn": turn if asks else ""}
    if done or asks:
        return verdict
    reason = error or (_not_taken(turn) if not_taken else _unfinished(seen, status, followed))
    incomplete = error is None or error["code"] in ("max_minutes", "stopped")
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


def _not_taken(turn: str) -> dict[str, str]:
    message = (
        f"its turn on tier {turn} was given, and it did not take it: see agent.log; can the user "
        f"of the connection write into coldproof_state_dir? {AGAIN}"
    )
    return {"code": "turn_not_taken", "message": message, "variable": "coldproof_state_dir"}


def _no_turn(turn: str) -> dict[str, str]:
    message = f"it asks for a turn on tier {turn}, which is not shared, or which it has had"
    return {"code": "bad_answer", "message": message, "variable": ""}


def _bad_answer(field: str) -> dict[str, str]:
    message = (
        f"its status.json is not usable: field {field} is missing or of the wrong type; "
        "run clean.yml on it, and the playbook again"
    )
    return {"code": "bad_answer", "message": message, "variable": ""}


def _outcome(status: str, code: str, message: str) -> dict[str, str]:
    return {"status": status, "code": code, "message": message, "variable": ""}
