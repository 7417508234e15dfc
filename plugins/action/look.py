"""Looks at a node by its shell alone: plugins/modules/look.py documents it.

Not ``raw``, which it is but for this: a look that a node refuses (a sudo that fails for a minute)
ends ``raw`` and its ``until`` with an error, what a node prints has to be held against its schema
before a task that is run for all nodes reads it, and no look is needed while the live view of
``coldproof run`` streams the same answer. What ends the task is always a look of its own.
"""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collector"))

from coldproof import turns  # noqa: E402
from coldproof.following import Followed, failure, judge, unreachable  # noqa: E402
from coldproof.live.exchange import Exchange  # noqa: E402
from coldproof.looking import read, script  # noqa: E402

# How long an attempt waits at most while a stream says that the agent goes on, and how long where
# its time limit cannot be kept from running meanwhile.
QUIET_S, SHORT_S = 1800.0, 60.0
# Seconds between two looks at whether the stream is fresh, where no bell rings.
STEP_S = 60.0


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of one task, in a worker process of the controller."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("state_dir", "campaign", "directory", "follow", "turn", "stop"))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns what the node printed and what that says; no answer is not a failure.

        With ``follow``: also whether the agent has ended, and a failure with the outcome if it is
        not complete.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._task.check_mode:
            return {**result, "skipped": True}
        node = str((task_vars or {}).get("inventory_hostname"))
        if self._task.args.get("follow") is None:
            return {**result, **self._look(node)}
        began()
        exchange = Exchange.of_environment()
        if exchange and answered.cache_info().currsize:
            with limit_stands_still() as still:
                most_s = QUIET_S if still or not self._task.timeout else SHORT_S
                seen = quiet(exchange, node, float(self._task.delay), most_s, self._judge)
            if seen is not None:
                return {**result, **seen}
        try:
            seen = self._judge(self._look(node))
            if seen["ended"] and seen["boot_id"] and (not seen["alive"] or not seen.get("failed")):
                turns.release(self._directory(), node)
        except AnsibleConnectionFailure as error:
            seen = {"ended": True, **failure(unreachable(str(error)))}
        if exchange and seen["ended"]:
            exchange.withdraw(node)
        elif exchange:
            exchange.ask(node, {**self._wish(), **reach(self._connection)})
        return {**result, **seen}

    def _look(self, node: str) -> dict[str, Any]:
        """Returns what the node printed, and what that says. Raises AnsibleConnectionFailure."""
        folder, campaign = (str(self._task.args[name]) for name in ("state_dir", "campaign"))
        turn, stop = self._task.args.get("turn"), bool(self._task.args.get("stop"))
        try:
            if turn:
                held = turns.hold(self._directory(), node)
                turn = {**turn, "concurrency": max(int(turn["concurrency"]), held)}
            words = script(folder, campaign, turn, stop=stop)
            done = self._low_level_execute_command(words, executable="/bin/sh")
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:  # of sudo, say
            done = {"stdout": "", "stderr": str(error)}
        said = {name: str(done.get(name) or "") for name in ("stdout", "stderr")}
        return {**said, **read(said["stdout"]), "changed": False}

    def _directory(self) -> Path:
        """Returns the campaign's folder."""
        return Path(str(self._task.args.get("directory")))

    def _judge(self, seen: dict[str, Any]) -> dict[str, Any]:
        """Returns what was seen, and whether the agent that is followed has ended by it."""
        now = time.monotonic()
        granted_s = now - answered() if seen["boot_id"] else 0.0
        campaign, agent = str(self._task.args["campaign"]), followed(self._task.args["follow"])
        return seen | judge(seen, campaign, agent, now - began(), granted_s)

    def _wish(self) -> dict[str, Any]:
        """Returns what is to be streamed, as often as this task would look."""
        folder, campaign = (str(self._task.args[name]) for name in ("state_dir", "campaign"))
        return {"state_dir": folder, "campaign": campaign, "every_s": float(self._task.delay)}


@cache
def began() -> float:
    """Returns when the first attempt of ``until`` began: a worker process makes all of one task."""
    return time.monotonic()


@cache
def answered() -> float:
    """Returns when the first of these attempts was answered: that one gave the turn."""
    return time.monotonic()


@contextmanager
def limit_stands_still() -> Iterator[bool]:
    """Keeps the task's time limit, which is for a look, from running. Yields whether that worked.

    Ansible has it as an alarm (2.19 to 2.21).
    """
    left = signal.alarm(0)
    try:
        yield left > 0
    finally:
        signal.alarm(left)


def quiet(
    exchange: Exchange,
    node: str,
    every_s: float,
    most_s: float,
    judged: Callable[[dict[str, Any]], dict[str, Any]],
) -> dict[str, Any] | None:
    """Waits while the agent goes on by what is streamed. Returns that, or None: look now.

    Args:
        exchange: where it is streamed to.
        node: by its name in the inventory.
        every_s: seconds between two looks of the stream's.
        most_s: how long to wait, in seconds.
        judged: returns what was seen with ``ended``.
    """
    end = time.monotonic() + most_s
    with exchange.bell(node) as wait:
        while (text := exchange.said(node, every_s)) is not None:
            seen = judged({"stdout": text, "stderr": "", **read(text), "changed": False})
            if seen["ended"] or not seen["boot_id"]:
                return None
            left = end - time.monotonic()
            if left <= 0:
                return seen
            wait(min(STEP_S, left))
    return None


def reach(connection: Any) -> dict[str, Any]:
    """Returns how Ansible's own ssh reaches the node, as ``ssh`` and ``host``, or ``why`` not so.

    No password is written anywhere: a node that needs one is not streamed.
    """
    if connection.transport != "ssh":
        return {"why": f"its connection is {connection.transport}, not ssh"}
    option = connection.get_option
    if option("password"):
        return {"why": "it is reached by a password"}
    words = shlex.split(option("ssh_args") or "")
    for name, key in (
        ("port", "Port"),
        ("private_key_file", "IdentityFile"),
        ("remote_user", "User"),
    ):
        if option(name):
            words += ["-o", f'{key}="{option(name)}"']
    for name in ("ssh_common_args", "ssh_extra_args"):
        words += shlex.split(option(name) or "")
    return {"ssh": words, "host": str(option("host"))}


def followed(given: Mapping[str, Any]) -> Followed:
    """Returns the agent that the task follows: what a template gives may be a number as text."""
    pid, boot_id = int(given["pid"]), str(given["boot_id"])
    turn, turns = str(given.get("turn") or ""), tuple(map(str, given.get("turns") or ()))
    return Followed(pid, boot_id, float(given["limit_s"]), turn, turns)
