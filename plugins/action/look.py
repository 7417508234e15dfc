"""Looks at a node by its shell alone: plugins/modules/look.py documents it.

Not ``raw``, which it is but for this: a look that a node refuses (a sudo that fails for a minute)
ends ``raw`` and its ``until`` with an error, and what a node prints has to be held against its
schema before a task that is run for all nodes reads it.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collector"))

from coldproof import turns  # noqa: E402
from coldproof.following import Followed, failure, judge, unreachable  # noqa: E402

# The agent writes 2 KiB at most.
MOST_BYTES = 4096
STATUS = re.compile(r'\{.*"coldproof\.status/1".*\}', re.DOTALL)
BOOT = re.compile(r"^[0-9a-f]{8}-[0-9a-f-]{27}", re.MULTILINE)
TIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
HOME = re.compile(r"~[A-Za-z0-9_.-]*(/|$)")
# The agent's own /proc entry comes before the status: if it is gone, the status is the last one.
SCRIPT = """\
s={folder}
if test -d "$s/campaigns/"{campaign}; then echo held; fi
t=$(head -c {most} "$s/status.json"); p=${{t##*\\"pid\\": }}; p=${{p%%[!0-9]*}}
cat /proc/sys/kernel/random/boot_id "/proc/${{p:-none}}/stat"
head -c {most} "$s/status.json\""""
# What it is given is a file, written whole: only to an agent that asks for a turn.
GRANT = """
case $t in *'"needs": "turn"'*)
  printf %s {turn} >"$s/.turn.new" && mv "$s/.turn.new" "$s/turn.json";;
esac"""


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of one task, in a worker process of the controller."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("state_dir", "campaign", "directory", "follow", "turn"))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns what the node printed and what that says; no answer is not a failure.

        With ``follow``: also whether the agent has ended, and a failure with the outcome if it is
        not complete.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._task.check_mode:
            return {**result, "skipped": True}
        folder, campaign = (str(self._task.args[name]) for name in ("state_dir", "campaign"))
        follow = self._task.args.get("follow")
        first = began()
        turn = self._task.args.get("turn")
        node = str((task_vars or {}).get("inventory_hostname"))
        directory = Path(str(self._task.args.get("directory")))
        try:
            if turn:
                held = turns.hold(directory, node)
                turn = {**turn, "concurrency": max(int(turn["concurrency"]), held)}
            words = script(folder, campaign, turn)
            done = self._low_level_execute_command(words, executable="/bin/sh")
        except AnsibleConnectionFailure as error:
            if follow is None:
                raise
            return {**result, "ended": True, **failure(unreachable(str(error)))}
        except AnsibleError as error:  # of sudo, say
            done = {"stdout": "", "stderr": str(error)}
        said = {name: str(done.get(name) or "") for name in ("stdout", "stderr")}
        seen = {**said, **read(said["stdout"]), "changed": False}
        if follow is not None:
            now = time.monotonic()
            granted_s = now - answered() if seen["boot_id"] else 0.0
            seen |= judge(seen, campaign, followed(follow), now - first, granted_s)
            if seen["ended"] and seen["boot_id"] and (not seen["alive"] or not seen.get("failed")):
                turns.release(directory, node)
        return {**result, **seen}


@cache
def began() -> float:
    """Returns when the first attempt of ``until`` began: a worker process makes all of one task."""
    return time.monotonic()


@cache
def answered() -> float:
    """Returns when the first of these attempts was answered: that one gave the turn."""
    return time.monotonic()


def followed(given: Mapping[str, Any]) -> Followed:
    """Returns the agent that the task follows: what a template gives may be a number as text."""
    pid, boot_id = int(given["pid"]), str(given["boot_id"])
    turn, turns = str(given.get("turn") or ""), tuple(map(str, given.get("turns") or ()))
    return Followed(pid, boot_id, float(given["limit_s"]), turn, turns)


def script(state_dir: str, campaign: str, turn: Mapping[str, Any] | None = None) -> str:
    """Returns what the node's shell is given. A leading ~ is for it to expand, the rest is not.

    `turn` is given to an agent that asks for one: ``tier`` and ``concurrency``.
    """
    home = HOME.match(state_dir)
    begin, rest = (home[0], state_dir[home.end() :]) if home else ("", state_dir)
    folder = begin + (shlex.quote(rest) if rest else "")
    words = SCRIPT.format(folder=folder, campaign=shlex.quote(campaign), most=MOST_BYTES)
    if turn is None:
        return words
    count = int(turn["concurrency"])
    given = {"campaign": campaign, "tier": str(turn["tier"]), "concurrency": count}
    return words + GRANT.format(turn=shlex.quote(json.dumps(given)))


def read(text: str) -> dict[str, Any]:
    """Returns what a node's answer says.

    Returns:
        ``boot_id`` (empty: this is no answer), ``held`` (whether it has the campaign's folder),
        ``status`` (None: there is none that is usable), ``wrong`` (the field because of which) and
        ``alive`` (whether the agent that wrote the status lives, and on this boot).
    """
    boot = BOOT.search(text)
    found = STATUS.search(text)
    status, field = usable(found[0] if found else text[text.find("\n{") + 1 :])
    alive = False
    if boot and status is not None and status["boot_id"] == boot[0]:
        # Field 3 of /proc/PID/stat is the state; Z is one that ended and that nobody has reaped.
        entry = rf"^{status['pid']} \(.*\) [^ZX]"
        alive = re.search(entry, text, re.MULTILINE) is not None
    return {
        "boot_id": boot[0] if boot else "",
        "held": re.search(r"^held\r?$", text, re.MULTILINE) is not None,
        "status": status,
        "wrong": field,
        "alive": alive,
    }


def usable(text: str) -> tuple[dict[str, Any] | None, str]:
    """Returns a status, and else the field that is missing or not as its schema says."""
    if not text.startswith("{"):
        return None, ""
    try:
        status = json.loads(text)
    except (ValueError, RecursionError):
        return None, "schema"
    kinds = {"campaign": str, "phase": str, "boot_id": str, "done": bool}
    for name, kind in kinds.items():
        if not isinstance(status.get(name), kind):
            return None, name
    for name in ("step", "of", "pid"):
        if type(status.get(name)) is not int or status[name] < 0:
            return None, name
    if status.get("needs") not in (None, "reboot", "turn"):
        return None, "needs"
    turn = status.get("turn") or "none"
    if not isinstance(turn, str) or not TIER.fullmatch(turn):
        return None, "turn"
    return (None, field) if (field := _wrong_in_error(status.get("error"))) else (status, "")


def _wrong_in_error(error: Any) -> str:
    """Returns which field of a status' error is not as its schema says; none if it is usable."""
    if error is None:
        return ""
    if not isinstance(error, Mapping):
        return "error"
    for name in ("code", "message", "variable"):
        empty = name == "variable" and error.get(name) is None
        if not isinstance(error.get(name), str) and not empty:
            return f"error.{name}"
    return ""
