"""Fetches a node's packed results: plugins/modules/results.py documents it.

Not ``fetch``, which first asks the node for the file's checksum by a module: the agent has said it
already, so one transfer is all, and what arrives is held against it.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collector"))

from coldproof.following import failure, unreachable  # noqa: E402
from coldproof.names import FOLDER  # noqa: E402

NAME = "coldproof-results.tar"


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of one task, in a worker process of the controller."""

    _VALID_ARGS = frozenset(("folder", "sha256", "dest"))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns where the results lie on the controller, or a failure with an outcome."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        folder = str(self._task.args["folder"])
        if not FOLDER.fullmatch(folder):
            outcome = _failed("bad_answer", f"{folder!r} is no usable folder of a node")
            return {**result, **failure(outcome)}
        source = f"{folder}/{NAME}"
        dest = Path(str(self._task.args["dest"]))
        dest.parent.mkdir(parents=True, exist_ok=True)
        try:
            failed = self._bring(source, dest, task_vars)
        except AnsibleConnectionFailure as error:
            return {**result, **failure(unreachable(str(error)))}
        if failed:
            return {**result, **failed}
        if _sha256(dest) != self._task.args["sha256"]:
            dest.unlink()
            outcome = _failed("torn", "what was fetched is not what it packed: run it again")
            return {**result, **failure(outcome)}
        return {**result, "changed": True, "dest": str(dest)}

    def _bring(self, source: str, dest: Path, task_vars: Any) -> dict[str, Any] | None:
        """Copies the file. Where rights are taken, Ansible's own fetch reads it with them."""
        if not self._connection.become:
            self._connection.fetch_file(source, str(dest))
            return None
        task = self._task.copy()
        task.args = {"src": source, "dest": str(dest), "flat": True}
        fetch = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.fetch",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        fetched: dict[str, Any] = fetch.run(task_vars=task_vars)
        return fetched if fetched.get("failed") or fetched.get("unreachable") else None


def _failed(code: str, message: str) -> dict[str, str]:
    return {"status": "failed", "code": code, "message": message, "variable": ""}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
