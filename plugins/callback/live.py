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

import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from ansible import constants  # noqa: E402
from ansible.plugins.callback.default import CallbackModule as Default  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collector"))

from coldproof.live.lines import FOLLOWED, Lines, status_in  # noqa: E402

NO_HOSTS = 4
# Seconds from one look of Ansible's at its workers to the next, while they wait for hours.
FOLLOWING_S = 0.5


def follows(task: Any) -> bool:
    """Tells whether a task follows agents, by the variable that it registers.

    `register` is that variable's name, and from ansible-core 2.21 on a mapping by such names.
    """
    registers = getattr(task, "register", None)
    return FOLLOWED in registers if isinstance(registers, dict) else registers == FOLLOWED


class CallbackModule(Default):  # type: ignore[misc]
    """The default callback with a line for each answer of the followed agents."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "coldproof.fleet.live"

    def __init__(self) -> None:
        super().__init__()
        self._lines = Lines()
        self._interval = constants.DEFAULT_INTERNAL_POLL_INTERVAL

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Has Ansible look at its workers less often while agents are followed.

        By default it does a thousand times a second, at each of them: for a hundred nodes that
        costs more than following them.
        """
        least = FOLLOWING_S if follows(task) else 0.0
        constants.DEFAULT_INTERNAL_POLL_INTERVAL = max(least, self._interval)
        super().v2_playbook_on_task_start(task, is_conditional)

    def v2_runner_retry(self, result: Any) -> None:
        """Prints where a followed agent stands; other tasks are retried as usual."""
        if not follows(result.task):
            super().v2_runner_retry(result)
            return
        status = status_in(str(result.result.get("stdout") or ""))
        name = result.host.get_name()
        line = self._lines.line(name, status, time.monotonic()) if status else None
        if line:
            # The banner comes with the first line where skipped hosts are not displayed.
            if self._last_task_banner != result.task._uuid:
                self._print_task_banner(result.task)
            self._display.display(line)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Knows the nodes' names from now on, so that their lines are aligned."""
        super().v2_playbook_on_play_start(play)
        hosts = play.get_variable_manager()._inventory.get_hosts(play.hosts)
        self._lines.width = max((len(host.get_name()) for host in hosts), default=0)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Ends: nothing at all would be measured, and Ansible would exit with 0."""
        super().v2_playbook_on_no_hosts_matched()
        self._display.error(
            "There is no node to work on. Look at -i (the inventory: ansible-inventory --graph "
            "shows it), at the group gpu-nodes in it (or the one in coldproof_hosts), and at -l."
        )
        sys.exit(NO_HOSTS)
