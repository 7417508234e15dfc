"""The JSON Schemas of coldproof's files, in the checkout and in an installed package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coldproof.errors import InputError

NAMES = ("run", "plan", "status", "campaign")
PACKAGE = Path(__file__).resolve().parent
# The wheel carries them inside the package, the checkout and the collection beside collector/.
FOLDERS = (PACKAGE / "schemas", PACKAGE.parents[1] / "schemas")


def schema_text(name: str) -> str:
    """Return the text of a schema; InputError if this installation has lost it."""
    for folder in FOLDERS:
        path = folder / f"{name}.schema.json"
        if path.is_file():
            return path.read_text("utf-8")
    raise InputError(
        f"{name}.schema.json: neither in {FOLDERS[0]} nor in {FOLDERS[1]}; install coldproof anew"
    )


def known_fields() -> frozenset[str]:
    """Return the names of all fields that the schemas know, at any depth."""
    return frozenset(name for one in NAMES for name in _fields(json.loads(schema_text(one))))


def _fields(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for part in schema.values():
            yield from _fields(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _fields(part)
