"""What is wrong with a node by its own records: the evidence, and the command that fixes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coldproof.fleet.ceilings import number
from coldproof.runs import Run, dig
from coldproof.text import plural

GIB = 1 << 30
ROOM = 0.9  # of the memory; the rest is the processes' own
GPU_LINK_FIX = (
    "reseat the card and look at the slot's bifurcation; check with: nvidia-smi "
    "--query-gpu=pcie.link.width.current,pcie.link.width.max --format=csv"
)
STORAGE_LINK_FIX = (
    "reseat the device, look at the slot and the BIOS's link settings; check with: "
    "lspci -vv | grep -E 'Non-Volatile|LnkCap:|LnkSta:'"
)
# Fewer cost a start nothing that one could measure: a module compiles in milliseconds.
MANY_UNCOMPILED = 100
MISSING = "the compile caches were missing"
CHANGING = "the compile caches keep changing"
CACHES_FIX = (
    "keep the engine's caches on a writable, persistent path (vLLM: "
    "VLLM_CACHE_ROOT=/var/cache/vllm) and prime it again"
)
PASTABLE = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./+-]{0,199}")
LEADING = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True, order=True)
class Finding:
    """One fault of a node (of a tier, if it is of its storage). Not safe to print."""

    what: str
    evidence: str
    fix: str
    node: str
    tier: str = ""


@dataclass(frozen=True, order=True)
class Unknown:
    """A check that a node's records do not allow."""

    check: str
    node: str


def findings(runs: Sequence[Run]) -> tuple[list[Finding], list[Unknown]]:
    """Return what is wrong with each node and tier by its last record, and what is unknown."""
    nodes: dict[str, Run] = {}
    tiers: dict[tuple[str, str], Run] = {}
    for run in runs:
        if run.record:
            nodes[run.node] = run
            tiers[run.node, run.tier] = run
    found, unknown = [], []
    for node, run in nodes.items():
        for check, look in OF_NODE.items():
            told = look(run.record)
            if told is None:
                unknown.append(Unknown(check, node))
            else:
                found += [Finding(*one, node) for one in told]
    for (node, tier), run in tiers.items():
        told = _storage_link(run.record)
        if told is None and not dig(run.record, "storage", "network"):
            unknown.append(Unknown("PCIe link of the storage", node))
        found += [Finding(*one, node, tier) for one in told or ()]
        room = _memory(run.record)
        if room is None:
            unknown.append(Unknown("whether memory keeps the weights warm", node))
        found += [Finding(*one, node, tier) for one in room or ()]
    found += _caches(runs)
    return sorted(set(found)), sorted(set(unknown))


Telling = Sequence[tuple[str, str, str]]


def _gpus(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    devices = dig(record, "gpu", "devices")
    return [one for one in devices if isinstance(one, Mapping)] if isinstance(devices, list) else []


def _gpu_link(record: Mapping[str, Any]) -> Telling | None:
    """Fewer lanes than the card has; a lower generation may be the idle link's saving of power."""
    known, found = False, []
    for one in _gpus(record):
        width, most = number(dig(one, "pcie", "width")), number(dig(one, "pcie", "width_max"))
        known = known or bool(width and most)
        if width and most and width < most:
            found.append(
                (
                    "a GPU's PCIe link has fewer lanes than it could",
                    f"GPU {one.get('index')}: x{width:.0f} of x{most:.0f} at ready",
                    GPU_LINK_FIX,
                )
            )
    return found if known or not _gpus(record) else None


def _persistence(record: Mapping[str, Any]) -> Telling | None:
    modes = {str(one.get("index")): one.get("persistence_mode") for one in _gpus(record)}
    if not modes:
        return []
    if not any(isinstance(mode, str) for mode in modes.values()):
        return None
    off = sorted(index for index, mode in modes.items() if mode == "Disabled")
    if not off:
        return []
    evidence = f"GPU {', '.join(off)}: persistence_mode Disabled, so each start wakes the driver"
    fix = "nvidia-smi -pm 1 (or enable nvidia-persistenced, to survive a reboot)"
    return [("persistence mode is off", evidence, fix)]


def _engine_files(record: Mapping[str, Any]) -> Telling | None:
    """Engine files on a network filesystem: imports read ten thousand small files."""
    kind = dig(record, "engine_files", "filesystem")
    if not isinstance(kind, str):
        return None
    if dig(record, "engine_files", "network") is not True:
        return []
    fix = "install the engine on a local disk: python3 -m venv DIR, or copy the environment there"
    return [("the engine's files are on a network filesystem", f"filesystem {kind}", fix)]


def _compiled(record: Mapping[str, Any]) -> Telling | None:
    """Python sources without .pyc files: each start compiles them anew."""
    count = number(dig(record, "engine_files", "uncompiled"))
    if count is None:
        return None
    if count < MANY_UNCOMPILED:
        return []
    command = for_a_shell(dig(record, "engine", "python"), "python3")
    evidence = f"{count:.0f} of the engine's Python sources have no .pyc file"
    return [("no .pyc files", evidence, f"{command} -m compileall -q -j 0 SITE_PACKAGES")]


def _memory(record: Mapping[str, Any]) -> Telling | None:
    """Weights and engine files that do not fit into memory cannot stay warm."""
    total, limit = (
        number(dig(record, "host", name)) for name in ("mem_total_bytes", "mem_limit_bytes")
    )
    weights = number(dig(record, "weights", "bytes"))
    if not total or not weights:
        return None
    usable = min(total, limit) if limit else total
    needed = weights + (number(dig(record, "engine_files", "bytes")) or 0.0)
    if needed <= ROOM * usable:
        return []
    limited = " (the limit of its control group)" if limit and limit < total else ""
    fix = (
        "raise MemoryMax= or the container's --memory, or add RAM"
        if limited
        else "add RAM or serve a smaller model here; no start will find all of it cached"
    )
    evidence = (
        f"weights and engine files are {needed / GIB:.1f} GiB, memory is {usable / GIB:.1f} GiB"
        f"{limited}"
    )
    return [("memory is too small to keep the weights warm", evidence, fix)]


def _storage_link(record: Mapping[str, Any]) -> Telling | None:
    link = dig(record, "storage", "pcie")
    if not isinstance(link, Mapping):
        return None
    found, known = [], False
    for name, unit in (("speed", " GT/s"), ("width", " lanes")):
        now, most = (_leading(link.get(f"{kind}_link_{name}")) for kind in ("current", "max"))
        known = known or (now is not None and most is not None)
        if now is not None and most is not None and now < most:
            found.append(
                (
                    "the storage's PCIe link is below its maximum",
                    f"{name} {now:g} of {most:g}{unit}",
                    STORAGE_LINK_FIX,
                )
            )
    return found if known else None


def _leading(value: object) -> float | None:
    found = LEADING.match(value) if isinstance(value, str) else None
    return float(found[0][:12]) if found else None


def _caches(runs: Sequence[Run]) -> list[Finding]:
    """Compile caches that were empty or changed in starts that should have found them whole."""
    seen: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        if run.mode == "prime" or run.fresh_caches or run.compile == "disabled":
            continue
        if run.compile == "miss" or dig(run.record, "compile_cache", "before", "files") == 0:
            seen.setdefault((MISSING, run.node, run.tier), []).append(run)
        elif run.compile_changed:
            seen.setdefault((CHANGING, run.node, run.tier), []).append(run)
    found = []
    for (what, node, tier), starts in seen.items():
        first = starts[0]
        name = f"{first.seq:04d}" if first.seq is not None else first.run_id[:80]
        evidence = f"{plural(len(starts), 'start')}, first: {first.mode} run {name}"
        found.append(Finding(what, evidence, CACHES_FIX, node, tier))
    return found


def for_a_shell(text: object, otherwise: str) -> str:
    """Return a node's word for a command that somebody will paste; a placeholder if it is odd."""
    return text if isinstance(text, str) and PASTABLE.fullmatch(text) else otherwise


OF_NODE: Mapping[str, Callable[[Mapping[str, Any]], Telling | None]] = {
    "PCIe link of the GPUs": _gpu_link,
    "persistence mode": _persistence,
    "filesystem of the engine files": _engine_files,
    ".pyc files": _compiled,
}
