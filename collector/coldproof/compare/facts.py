"""What must be equal for starts of two campaigns to be comparable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from coldproof.fleet.hardware import drivers, hardware_classes, kernels, storage_of
from coldproof.groups import Group
from coldproof.served import arguments, environment
from coldproof.setups import MANIFEST_PREFIX
from coldproof.text import HIDDEN, SECRET_NAME, redact

OF_COLD = ("scope", "method")
PARTED = ("arguments", "environment")
PART = "\0"  # between options or variables; no process can be given one
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
        "arguments": PART.join(_options(arguments(first.record))),
        "environment": PART.join(
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

    Of a command line or an environment only the options or variables are told that one side lacks,
    so that what differs is seen however long it is; values with a secret's name are hidden.
    """
    if name in PARTED:
        mine, its = base.split(PART), new.split(PART)
        only = {"base": _only_in(mine, its), "new": _only_in(its, mine)}
        if only["base"] == only["new"]:
            return f"{name}: the same in another order, or hidden values that differ"
        said = [f"only in {side}: {parts[:SHOWN]}" for side, parts in only.items() if parts]
        return f"{name} {', '.join(said)}"
    return f"{name}: {base[:SHOWN]} in base, {new[:SHOWN]} in new"


def _options(words: Sequence[str]) -> list[str]:
    """Return a command line's words, each option in one with its values.

    The word after an option of a secret's name is its value, whatever it begins with.
    """
    found: list[str] = []
    secret = False
    for word in words:
        if found and found[-1].startswith("-") and (secret or not word.startswith("-")):
            found[-1] = f"{found[-1]} {word}"
            secret = False
        else:
            found.append(word)
            secret = word.startswith("-") and "=" not in word and bool(SECRET_NAME.search(word))
    return found


def _only_in(parts: Sequence[str], others: Sequence[str]) -> str:
    """Return the parts that `others` lacks, in their order."""
    lacking = Counter(parts) - Counter(others)
    kept = []
    for part in parts:
        if lacking[part] > 0:
            lacking[part] -= 1
            kept.append(_shown(part))
    return " ".join(kept)


def _shown(part: str) -> str:
    """Return an option or a variable, all of its value hidden if it has a secret's name."""
    name, mark = part.partition("=" if "=" in part.split(" ")[0] else " ")[:2]
    shown = redact(part)
    return f"{name}{mark}{HIDDEN}" if mark and shown != part else shown
