"""Calls the probe agent on a node: plugins/modules/agent.py documents it and does it there.

Here, on the controller, the archive is put into the call, and a node that cannot be reached becomes
a failure: Ansible's own ``unreachable`` is seen by no rescue.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of one task, in a worker process of the controller."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns what the module returns, or the outcome ``unreachable``."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments.get("archive"):
            data = Path(str(arguments["archive"])).read_bytes()
            arguments["content"] = base64.b64encode(data).decode("ascii")
        name = self._task.resolved_action or self._task.action
        try:
            result.update(
                self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars)
            )
        except AnsibleConnectionFailure as error:
            message = one_line(str(error))
            outcome = {"status": "unreachable", "code": "unreachable", "message": message}
            result.update(failed=True, msg=message, outcome={**outcome, "variable": ""})
        return result


def one_line(text: str) -> str:
    """Returns the first and the last line of what ssh said, without its frames of @."""
    lines = [line.strip() for line in re.sub("@{5,}", "", text).splitlines() if line.strip()]
    return " ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))
