"""Checks a node's variables on the controller: plugins/modules/settings.py documents it.

One task instead of a validation, a dozen assertions and a plan in templates: each of them is a
process of the controller for each node, and each template is compiled there anew.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collector"))

from coldproof.files import canonical_json, sha256_text  # noqa: E402
from coldproof.variables import names, plan, rules  # noqa: E402

# Read when the plugin is loaded: once, and not by each node's process.
SPECS: dict[str, Any] = yaml.load(
    (ROOT / "roles/coldproof/meta/argument_specs.yml").read_text("utf-8"),
    Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
)["argument_specs"]["variables"]["options"]

SECRET = {name for name, spec in SPECS.items() if spec.get("no_log")}


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of one task, in a worker process of the controller."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("only_names",))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns the node's plan, or a failure with the outcome ``refused``."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = task_vars or {}
        used = [name for name in given if name.startswith(names.PREFIX)]
        refusals = rules.misnamed(used, SPECS)
        if self._task.args.get("only_names"):
            return {**result, **answer(refusals)}
        values, broken = self._values(given)
        refusals += broken or rules.mistyped(values, SPECS)
        checked = ArgumentSpecValidator(SPECS).validate(values) if not broken else None
        if checked is not None:
            refusals += rules.invalid(checked.error_messages)
        if refusals or checked is None:
            return {**result, **answer(refusals)}
        host = rules.Host(
            str(given["inventory_hostname"]),
            str(self._templar.template(given.get("ansible_connection", ""))),
        )
        refusals = rules.wrong(checked.validated_parameters, host)
        if refusals:
            return {**result, **answer(refusals)}
        asked = plan.plan(checked.validated_parameters, host.name)
        try:
            digest = sha256_text(canonical_json(asked["settings"]))
        except TypeError as error:
            return {**result, **answer([rules.no_json(str(error))])}
        return {**result, "changed": False, "plan": asked, "digest": digest}

    def _values(self, given: dict[str, Any]) -> tuple[dict[str, Any], list[rules.Refusal]]:
        """Returns the variables' values, and refusals of those whose template is none."""
        values, broken = {}, []
        for name in SPECS:
            try:
                values[name] = self._templar.template(given[name])
            except AnsibleError as error:
                # Of a secret not even an error is shown: it may quote the value.
                why = "it holds a secret" if name in SECRET else error.message
                text = f"{name}: its template cannot be used: {why}"
                broken.append(rules.Refusal("bad_template", name, text))
        return values, broken


def answer(refusals: list[rules.Refusal]) -> dict[str, Any]:
    """Returns the result of a task that checks: a failure where there are refusals."""
    if not refusals:
        return {"changed": False}
    outcome = rules.joined(refusals)
    return {"failed": True, "msg": outcome["message"], "outcome": outcome}
