"""Calls the probe agent on a node: plugins/modules/agent.py documents it and does it there.

Here, on the controller, the archive is put into the call, a node that cannot be reached becomes a
failure (Ansible's own ``unreachable`` is seen by no rescue), and what the node answered is held
against what the roles read: one node's nonsense must not reach a task that is run for all.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collector"))

from coldproof.following import failure, unreachable  # noqa: E402
from coldproof.names import FOLDER  # noqa: E402
from coldproof.variables.rules import Refusal, joined  # noqa: E402

MOST_ITEMS = 100_000
MOST_TEXT = 1 << 16
# Minutes of two months; bytes of an exbibyte.
MOST_MINUTES = 90_000
MOST_BYTES = 1 << 60
# Results are text and logs of bounded size: megabytes.
MOST_RESULTS = 256 << 20
# What Ansible says of a module that did not get as far as an answer.
OF_ANSIBLE = ("msg", "rc", "exception", "stderr", "module_stdout", "module_stderr")


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of one task, in a worker process of the controller."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns what the module returns as far as it is usable, or an outcome why not."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if known := arguments.get("known"):
            return {**result, **failure(joined([Refusal(**one) for one in known]))}
        if arguments.get("archive"):
            arguments["content"] = Path(f"{arguments['archive']}.z64").read_text("ascii")
        name = self._task.resolved_action or self._task.action
        try:
            given = self._execute_module(
                module_name=name, module_args=arguments, task_vars=task_vars
            )
        except AnsibleConnectionFailure as error:
            result.update(failure(unreachable(str(error))))
        else:
            result.update(accepted(str(arguments["argv"][0]), given))
        return result


def accepted(command: str, given: dict[str, Any]) -> dict[str, Any]:
    """Returns of a module's result what the roles read, and nothing else that a node may say.

    Not its facts, nor ``unreachable`` or ``add_host``, which Ansible obeys. A field that is missing
    or of the wrong type makes it the failure ``bad_answer``, which names the field.
    """
    kept = {name: given[name] for name in ("changed", "invocation") if name in given}
    facts = _interpreter(given.get("ansible_facts"))
    kept.update({"ansible_facts": facts} if facts else {})
    if given.get("failed") and "outcome" not in given:
        said = {name: given[name] for name in OF_ANSIBLE if name in given}
        return {**kept, **said, "failed": True, "msg": str(given.get("msg", ""))[:MOST_TEXT]}
    shape = FAILED if given.get("failed") else {**COMMON, "answer": ANSWERS.get(command, {})}
    bad = next(wrong(given, shape), None)
    if bad is not None:
        message = (
            f"the answer to its agent's command {command} is not usable: field {bad} is missing or "
            "of the wrong type; look at the node's Python, or run clean.yml on it"
        )
        return {**kept, **failure(_failed("bad_answer", message))}
    if command == "pack" and given["answer"]["bytes"] > MOST_RESULTS:
        message = (
            f"{given['answer']['bytes']} bytes of results are more than {MOST_RESULTS}; they are "
            f"still on the node, in {given['folder']}"
        )
        return {**kept, **failure(_failed("too_large", message))}
    kept.update({name: given[name] for name in COMMON})
    if given.get("failed"):
        outcome = {name: given["outcome"][name] for name in FAILED["outcome"]}
        return {**kept, **failure(outcome)}
    return {**kept, "answer": given["answer"]}


def _failed(code: str, message: str) -> dict[str, str]:
    return {"status": "failed", "code": code, "message": message, "variable": ""}


def _interpreter(facts: Any) -> dict[str, str]:
    """Returns which Python was found, so that it is not looked for again at each task."""
    pairs = facts.items() if isinstance(facts, dict) else ()
    return {
        name: value
        for name, value in pairs
        if str(name).startswith("discovered_interpreter_") and _text(value)
    }


def wrong(value: Any, shape: Any, where: str = "") -> Iterator[str]:
    """Yields the names of the fields that are not of a shape, as ``steps.0.seq``.

    A shape is a test of a value, a dictionary of the shapes of fields that have to be there, or a
    list with the shape of every item.
    """
    if isinstance(shape, dict):
        fields = value if isinstance(value, dict) else None
        if fields is None:
            yield where
        for name, inner in shape.items() if fields is not None else ():
            yield from wrong(fields.get(name), inner, f"{where}.{name}" if where else name)
    elif isinstance(shape, list):
        if not isinstance(value, list) or len(value) > MOST_ITEMS:
            yield where
            return
        for number, item in enumerate(value):
            yield from wrong(item, shape[0], f"{where}.{number}")
    elif not shape(value):
        yield where


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_TEXT


def _folder(value: Any) -> bool:
    return isinstance(value, str) and FOLDER.fullmatch(value) is not None


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _yes(value: Any) -> bool:
    return value is True


def _up_to(most: int) -> Callable[[Any], bool]:
    def whole(value: Any) -> bool:
        return isinstance(value, int) and not _flag(value) and 0 <= value <= most

    return whole


def _minutes(value: Any) -> bool:
    if not isinstance(value, (int, float)) or _flag(value):
        return False
    return math.isfinite(value) and 0 <= value <= MOST_MINUTES


def _one_of(*words: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in words


_count = _up_to(MOST_ITEMS)
_bytes = _up_to(MOST_BYTES)
_process = _up_to(1 << 32)

COMMON: dict[str, Any] = {"folder": _folder, "deployed": [_text]}
FAILED: dict[str, Any] = {
    **COMMON,
    "outcome": {
        "status": _one_of("refused", "failed"),
        "code": _text,
        "message": _text,
        "variable": _text,
    },
}
# By command, what the roles read of its answer.
ANSWERS: dict[str, Any] = {
    "preflight": {
        "ok": _yes,
        "expected": {"minutes": _minutes, "bytes": _bytes},
        "warnings": [_text],
        "steps": [
            {
                "seq": _count,
                "tier": _text,
                "variant": _text,
                "mode": _one_of("prime", "cold", "warm"),
                "pair": lambda value: value is None or _count(value),
            }
        ],
    },
    "start": {"ok": _yes, "campaign": _text, "pid": _process, "joined": _flag},
    "pack": {"ok": _yes, "bytes": _bytes, "sha256": _text},
    "clean": {
        "ended": [{"pid": _process, "command": _text}],
        "removed": [_text],
        "unit": _flag,
        "left": [_text],
        "held": [_text],
    },
}
