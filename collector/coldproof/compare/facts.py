"""What must be equal for starts of two campaigns to be comparable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coldproof.fleet.hardware import hardware_classes, storage_of
from coldproof.groups import Group
from coldproof.runs import dig
from coldproof.served import arguments, environment
from coldproof.setups import MANIFEST_PREFIX
from coldproof.text import HIDDEN, SECRET_NAME, redact

OF_COLD = ("scope", "method")
NAMES = ("model", "max_model_len", "engine", "engine_version", "arguments", "environment",
         "concurrency", "manifest", "compile", "scope", "method", "kernel", "driver", "hardware",
         "storage")  # fmt: skip


def facts_of(group: Group, mode: str) -> dict[str, str]:
    """Return by name (of NAMES) what a group's starts were made with; empty: not recorded.

    Not safe to print. Scope and method are those of cold starts.
    """
    runs = group.cold if mode == "cold" else group.warm
    told = next((run for run in runs if run.record), None)
    found = {
        name: "" if value is None else str(value)
        for name, value in group.circumstances.facts.items()
        if name != "campaign" and (mode == "cold" or name not in OF_COLD)
    }
    found["manifest"] = found["manifest"][:MANIFEST_PREFIX]
    if told is None:
        return found
    kinds = hardware_classes([told])
    storage = storage_of(told)
    kind = "network" if storage.network else "local"
    return {
        **found,
        "arguments": redact(" ".join(arguments(told.record))),
        "environment": _environment(told.record),
        "kernel": str(dig(told.record, "host", "kernel") or ""),
        "driver": _driver(told.record),
        "hardware": kinds[told.node].text if told.node in kinds else "",
        "storage": f"{storage.model or kind} {storage.filesystem}" if storage.filesystem else "",
    }


def differences(
    base: Mapping[str, str], new: Mapping[str, str], across: frozenset[str]
) -> list[tuple[str, str, str]]:
    """Return (name, in base, in new) of facts that both recorded, that differ and must not."""
    return [
        (name, base[name], new[name])
        for name in NAMES
        if name not in across and base.get(name) and new.get(name) and base[name] != new[name]
    ]


def _environment(record: Mapping[str, Any]) -> str:
    return " ".join(
        f"{name}={HIDDEN if SECRET_NAME.search(name) else value}"
        for name, value in environment(record).items()
    )


def _driver(record: Mapping[str, Any]) -> str:
    devices = dig(record, "gpu", "devices")
    found = {
        str(one.get("driver"))
        for one in (devices if isinstance(devices, list) else [])
        if isinstance(one, Mapping) and one.get("driver")
    }
    return ", ".join(sorted(found))
