"""Ansible callback of the tests: one JSON line for each result of a task, into $FLEET_TASK_LOG."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_log
type: notification
short_description: Writes one JSON line for each result of a task
description: Used by the tests of coldproof to count what runs on a node.
"""


class CallbackModule(CallbackBase):
    """Writes host, task, action, delegation and what happened."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "task_log"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write("unreachable", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write("skipped", result)

    def v2_runner_retry(self, result: Any) -> None:
        self._write("retry", result)

    def _write(self, event: str, result: Any) -> None:
        task, outcome = result._task, result._result
        line = {
            "event": event,
            "host": result._host.get_name(),
            "task": task.get_name(),
            "action": task.action,
            "delegated": task.delegate_to,
            "changed": bool(outcome.get("changed")),
            "deployed": outcome.get("deployed"),
        }
        with open(os.environ["FLEET_TASK_LOG"], "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
