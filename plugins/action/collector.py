"""Runs a command of the collector on the controller: plugins/modules/collector.py documents it.

Not ``command`` delegated to localhost: ``-e ansible_become=true`` beats every task's own
``ansible_become``, and would run the controller's part as root. This plugin uses no connection.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

ROOT = Path(__file__).resolve().parents[2]
# What ansible-core does not bring. The archive is built without: clean.yml needs none of them.
NEEDED = ("pandas", "tabulate")
WITHOUT = "agent-archive"


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of one task, in a worker process of the controller."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("argv", "stdin"))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Runs ``python -m coldproof ARGV`` and returns rc, stdout, stderr, and JSON as answer."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        argv = [str(word) for word in self._task.args.get("argv") or ()]
        if not argv:
            raise AnsibleActionFail("collector: argv is missing: the words after coldproof")
        if argv[0] != WITHOUT and (missing := [name for name in NEEDED if not find_spec(name)]):
            raise AnsibleActionFail(unavailable(missing))
        done = subprocess.run(
            [sys.executable, "-m", "coldproof", *argv],
            input=_text(self._task.args.get("stdin")),
            env=_environment(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        result.update(rc=done.returncode, stdout=done.stdout, stderr=done.stderr, changed=True)
        if done.stdout.startswith("{"):
            result["answer"] = json.loads(done.stdout)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
            result.update(failed=True, msg=said[-1])
        return result


def unavailable(missing: list[str]) -> str:
    """Returns what to do where the Python that runs Ansible has not got these packages."""
    return (
        f"the controller's Python ({sys.executable}) has no {' and no '.join(missing)}: run "
        f"{sys.executable} -m pip install -r {ROOT / 'requirements.txt'}"
    )


def _environment() -> dict[str, str]:
    """Returns the environment in which ``coldproof`` is this checkout's or collection's own."""
    paths = [str(ROOT / "collector"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
