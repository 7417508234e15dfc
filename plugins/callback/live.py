# Copyright (c) 2026, The coldproof maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's usual output, with one line a node while nodes are measured."""

from __future__ import annotations

DOCUMENTATION = """
name: live
type: stdout
short_description: Ansible's usual output, with one line a node while nodes are measured
description:
  - Prints what the default callback prints.
  - While the agents of coldproof are followed, each node is a line when what it does has changed,
    and else once a minute. The seconds are since the server's start while one starts, and else
    since the node was first seen doing so.
  - Where the plays have no hosts, it says what to look at and ends with exit code 4.
author: The coldproof maintainers (!UNKNOWN)
version_added: 0.1.0
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout callback in the configuration
"""

import json  # noqa: E402
import re  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from typing import Any  # noqa: E402

from ansible.plugins.callback.default import CallbackModule as Default  # noqa: E402

# The task that follows an agent registers its answers so.
FOLLOWED = "__measure_poll"
STATUS = re.compile(r'\{.*"coldproof\.status/1".*\}', re.DOTALL)
AGAIN_S = 60.0
WIDTH = 60
NO_HOSTS = 4


@dataclass
class Seen:
    """What a node was last seen doing, since when, and when that was printed."""

    doing: tuple[str, str]
    since: float
    printed: float


class CallbackModule(Default):  # type: ignore[misc]
    """The default callback with a line for each answer of the followed agents."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "coldproof.fleet.live"

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, Seen] = {}
        self._width = 0

    def v2_runner_retry(self, result: Any) -> None:
        """Prints where a followed agent stands; other tasks are retried as usual."""
        if getattr(result.task, "register", None) != FOLLOWED:
            super().v2_runner_retry(result)
            return
        status = read(str(result.result.get("stdout") or ""))
        line = self._line(result.host.get_name(), status, time.monotonic()) if status else None
        if line:
            # The banner comes with the first line where skipped hosts are not displayed.
            if self._last_task_banner != result.task._uuid:
                self._print_task_banner(result.task)
            self._display.display(line)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Knows the nodes' names from now on, so that their lines are aligned."""
        super().v2_playbook_on_play_start(play)
        hosts = play.get_variable_manager()._inventory.get_hosts(play.hosts)
        self._width = max((len(host.get_name()) for host in hosts), default=0)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Ends: nothing at all would be measured, and Ansible would exit with 0."""
        super().v2_playbook_on_no_hosts_matched()
        self._display.error(
            "There is no node to work on. Look at -i (the inventory: ansible-inventory --graph "
            "shows it), at the group gpu-nodes in it (or the one in coldproof_hosts), and at -l."
        )
        sys.exit(NO_HOSTS)

    def _line(self, name: str, status: dict[str, Any], now: float) -> str | None:
        # The server's own phase, where the agent can tell, says more than that it starts.
        phase = _words(status.get("server_phase")) or _words(status.get("phase"))
        doing = (_words(status.get("run")), phase)
        seen = self._seen.get(name)
        if seen is None or seen.doing != doing:
            seen = self._seen[name] = Seen(doing, now, now)
        elif now - seen.printed < AGAIN_S:
            return None
        seen.printed = now
        elapsed, last = _seconds(status.get("elapsed_s")), _seconds(status.get("last_s"))
        if elapsed is None and now > seen.since:
            elapsed = now - seen.since
        parts = [
            name.ljust(self._width),
            *doing,
            "" if elapsed is None else f"{elapsed:.1f} s",
            "" if last is None else f"(last {last:.1f} s)",
        ]
        return "  ".join(part for part in parts if part.strip())


def read(answer: str) -> dict[str, Any] | None:
    """Returns the status.json in what a node answered; None where there is none."""
    found = STATUS.search(answer)
    try:
        status = json.loads(found[0]) if found else None
    except (ValueError, RecursionError):
        return None
    return status if isinstance(status, dict) else None


def _seconds(value: Any) -> float | None:
    """Returns a node's number; None for anything else."""
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e9 else None


def _words(value: Any) -> str:
    """Returns a node's text as one short printable line: it may be anything."""
    text = value if isinstance(value, str) else ""
    return "".join(one if one.isprintable() else "?" for one in text)[:WIDTH]
