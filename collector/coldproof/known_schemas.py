"""The JSON Schemas of coldproof's files, in the checkout and in an installed package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from coldproof import collection
from coldproof.errors import InputError

NAMES = ("run", "plan", "status", "campaign")


def schema_text(name: str) -> str:
    """Return the text of a schema; InputError if this installation has lost it."""
    path = collection.root() / f"schemas/{name}.schema.json"
    if not path.is_file():
        raise InputError(f"{path}: it is missing; install coldproof anew")
    return path.read_text("utf-8")


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
