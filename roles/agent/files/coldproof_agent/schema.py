"""Checks JSON values against the schemas in the archive: the subset of JSON Schema they use."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any, Optional

from coldproof_agent.errors import Refusal

_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def load(name: str) -> dict[str, Any]:
    """Returns a schema by its name (``plan``, ``run``, ``status``, ``campaign``)."""
    here = Path(__file__).resolve().parent
    file = f"{name}.schema.json"
    for archive in here.parents:
        if archive.is_file():
            with zipfile.ZipFile(archive) as opened:
                value = json.loads(opened.read(f"coldproof_agent/schemas/{file}"))
            break
    else:
        inside = here / "schemas" / file
        value = json.loads((inside if inside.exists() else _checkout(here) / file).read_text())
    if not isinstance(value, dict):
        raise ValueError(f"{file} is not an object")
    return value


def _checkout(here: Path) -> Path:
    """Returns schemas/ of the checkout the package lies in (roles/agent/files/coldproof_agent)."""
    return here.parents[3] / "schemas"


def check(value: Any, schema: dict[str, Any], where: str = "plan.json") -> None:
    """Checks a value.

    Args:
        value: decoded JSON.
        schema: the schema, of which type, const, enum, required, properties,
            additionalProperties, items, pattern, minLength, minItems, minimum and maximum count.
        where: the file's name, the head of the field's path in messages.

    Raises:
        Refusal: code ``bad_plan``, naming the field and the variable it comes from.
    """
    _check(value, schema, where, None)


def _check(value: Any, schema: dict[str, Any], where: str, variable: Optional[str]) -> None:
    variable = schema.get("x-variable", variable)

    def refuse(what: str) -> None:
        raise Refusal("bad_plan", f"{where}: {what}", variable)

    if "const" in schema and value != schema["const"]:
        refuse(f"is {value!r}, but this agent reads {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        refuse(f"is {value!r}, not one of {', '.join(map(repr, schema['enum']))}")
    if "type" in schema and not _is_a(value, schema["type"]):
        refuse(f"is {type(value).__name__} {value!r:.80}, not {schema['type']}")
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            refuse(f"{value!r:.160} does not match {schema['pattern']}")
        if len(value) < schema.get("minLength", 0):
            refuse("is empty")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            refuse(f"is {value}, less than {schema['minimum']}")
        if value > schema.get("maximum", value):
            refuse(f"is {value}, more than {schema['maximum']}")
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            refuse("is empty")
        for index, item in enumerate(value):
            _check(item, schema.get("items", {}), f"{where}[{index}]", variable)
    if isinstance(value, dict):
        _check_object(value, schema, where, variable)


def _check_object(
    value: dict[str, Any], schema: dict[str, Any], where: str, variable: Optional[str]
) -> None:
    known = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            missing = known.get(key, {}).get("x-variable", variable)
            raise Refusal("bad_plan", f"{where}.{key}: is missing", missing)
    more = schema.get("additionalProperties", True)
    for key, item in value.items():
        if key in known:
            _check(item, known[key], f"{where}.{key}", variable)
        elif more is False:
            raise Refusal(
                "bad_plan", f"{where}.{key}: unknown field; newer than this agent?", variable
            )
        elif isinstance(more, dict):
            _check(item, more, f"{where}.{key}", variable)


def _is_a(value: Any, types: Any) -> bool:
    names = [types] if isinstance(types, str) else types
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, _TYPES[name]) for name in names)
