"""What must be equal for starts of two campaigns to be comparable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from coldproof.fleet.hardware import drivers, hardware_classes, kernels, storage_of
from coldproof.groups import Group
from coldproof.served import arguments, environment
from coldproof.setups import MANIFEST_PREFIX
from coldproof.text import redact

OF_COLD = ("scope", "method")
WORDS = ("arguments", "environment")
SHOWN = 200  # characters of a fact in a reason
NAMES = ("model", "max_model_len", "engine", "engine_version", "arguments", "environment",
         "concurrency", "manifest", "compile", "scope", "method", "kernel", "driver", "hardware",
         "storage")  # fmt: skip


def facts_of(group: Group, mode: str) -> dict[str, str]:
    """Return by name (of NAMES) what a group's starts were made with; empty: not recorded.

    Not safe to print: arguments and environment hold what the node did not hide. Scope and method
    are those of cold starts.
    """
    runs = group.cold if mode == "cold" else group.warm
    first = next((run for run in runs if run.record), None)
    found = {
        name: "" if value is None else str(value)
        for name, value in group.circumstances.facts.items()
        if name != "campaign" and (mode == "cold" or name not in OF_COLD)
    }
    found["manifest"] = found["manifest"][:MANIFEST_PREFIX]
    if first is None:
        return found
    kinds = hardware_classes([first])
    storage = storage_of(first)
    kind = "network" if storage.network else "local"
    return {
        **found,
        "arguments": " ".join(arguments(first.record)),
        "environment": " ".join(
            f"{name}={value}" for name, value in environment(first.record).items()
        ),
        "kernel": ", ".join(kernels(runs)),
        "driver": ", ".join(drivers(runs)),
        "hardware": kinds[first.node].text if first.node in kinds else "",
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


def told(name: str, base: str, new: str) -> str:
    """Return how a fact differs, e.g. `kernel: 6.12 in base, 7.0 in new`; not safe to print.

    Of a command line or an environment only the words that one side lacks are told, so that what
    differs is seen however long it is; values with a secret's name are hidden.
    """
    if name in WORDS:
        mine, its = base.split(" "), new.split(" ")
        only = {"base": _only_in(mine, its), "new": _only_in(its, mine)}
        if only["base"] == only["new"]:
            return f"{name}: the same words in another order, or hidden values that differ"
        said = [f"only in {side}: {words[:SHOWN]}" for side, words in only.items() if words]
        return f"{name} {', '.join(said)}"
    return f"{name}: {base[:SHOWN]} in base, {new[:SHOWN]} in new"


def _only_in(words: Sequence[str], others: Sequence[str]) -> str:
    """Return the words that `others` lacks, each value with the option before it."""
    lacking = Counter(words) - Counter(others)
    kept: dict[int, str] = {}
    for index, word in enumerate(words):
        if lacking[word] > 0:
            lacking[word] -= 1
            before = words[index - 1] if index else ""
            if not word.startswith("-") and before.startswith("-"):
                kept[index - 1] = before
            kept[index] = word
    return redact(" ".join(kept[index] for index in sorted(kept)))
