"""Settings in which a node differs from most of its hardware class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from coldproof.fleet.findings import Finding, Unknown, for_a_shell
from coldproof.fleet.hardware import Hardware, storage_of
from coldproof.runs import Run, dig

FEWEST_NODES = 3  # of two that differ nobody knows which is right


class _Setting(NamedTuple):
    name: str
    read: Callable[[Mapping[str, Any]], str]
    fix: str  # {want} is the class's value, {device} the node's


def differing(
    runs: Sequence[Run], hardware: Mapping[str, Hardware]
) -> tuple[list[Finding], list[Unknown]]:
    """Return where nodes differ from more than half of their class, and what is not recorded."""
    nodes: dict[str, Run] = {}
    tiers: dict[tuple[str, str], Run] = {}
    for run in runs:
        if run.record and run.node in hardware:
            nodes[run.node] = run
            tiers[run.node, run.tier] = run
    found: list[Finding] = []
    unknown: list[Unknown] = []
    of_class: dict[object, list[Run]] = {}
    for run in nodes.values():
        of_class.setdefault(hardware[run.node], []).append(run)
    of_tier: dict[object, list[Run]] = {}
    for run in tiers.values():
        kind = storage_of(run)
        if not kind.network:
            of_tier.setdefault((hardware[run.node], run.tier, kind), []).append(run)
    for groups, settings in ((of_class, OF_NODE), (of_tier, OF_TIER)):
        for members in groups.values():
            for setting in settings:
                odd, silent = _odd(setting, members, tiered=settings is OF_TIER)
                found += odd
                unknown += silent
    return found, unknown


def _odd(
    setting: _Setting, members: Sequence[Run], *, tiered: bool
) -> tuple[list[Finding], list[Unknown]]:
    told = [(run, setting.read(run.record)) for run in members]
    silent = [Unknown(setting.name, run.node) for run, value in told if not value]
    known = [(run, value) for run, value in told if value]
    if len(known) < FEWEST_NODES:
        return [], silent
    common, count = min(Counter(value for _, value in known).items(), key=lambda x: (-x[1], x[0]))
    if 2 * count <= len(known):
        return [], silent
    return [
        Finding(
            f"{setting.name} differs from its class",
            f"{value[:100]}; {count} of {len(known)} nodes have {common[:100]}",
            setting.fix.format(want=_number(common), device=_device(run)),
            run.node,
            run.tier if tiered else "",
        )
        for run, value in known
        if value != common
    ], silent


def _number(value: str) -> str:
    """Return a value for a command line: the number of a size, else the value."""
    if value.endswith(" KiB"):
        return str(2 * int(value.split()[0]))
    return for_a_shell(value, "THE_CLASS_VALUE")


def _device(run: Run) -> str:
    devices = dig(run.record, "storage", "devices")
    last = devices[-1] if isinstance(devices, list) and devices else None
    return for_a_shell(last, "DEVICE")


def _kernel(record: Mapping[str, Any]) -> str:
    return _text(dig(record, "host", "kernel"))


def _driver(record: Mapping[str, Any]) -> str:
    devices = dig(record, "gpu", "devices")
    known = devices if isinstance(devices, list) else []
    found = {_text(one.get("driver")) for one in known if isinstance(one, Mapping)}
    return ", ".join(sorted(found - {""}))


def _firmware(record: Mapping[str, Any]) -> str:
    return _text(dig(record, "storage", "firmware"))


def _read_ahead(record: Mapping[str, Any]) -> str:
    value = dig(record, "storage", "read_ahead_kb")
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 30
    return f"{value} KiB" if usable else ""


def _scheduler(record: Mapping[str, Any]) -> str:
    """The one in brackets is active (Documentation/block/switching-sched.rst)."""
    text = _text(dig(record, "storage", "scheduler"))
    begun, _, rest = text.partition("[")
    return rest.partition("]")[0] if rest else begun


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


OF_NODE = (
    _Setting("kernel", _kernel, "install and boot the class's kernel {want}; check with: uname -r"),
    _Setting("GPU driver", _driver,
             "install the class's driver {want}; check with: nvidia-smi "
             "--query-gpu=driver_version --format=csv"),
)  # fmt: skip
OF_TIER = (
    _Setting("firmware of the storage", _firmware,
             "update the firmware to {want} (nvme fw-download, nvme fw-commit); check with: nvme "
             "list"),
    _Setting("read-ahead", _read_ahead, "blockdev --setra {want} /dev/{device} (sectors of 512 "
             "bytes; keep it by a udev rule)"),
    _Setting("I/O scheduler", _scheduler, "echo {want} > /sys/block/{device}/queue/scheduler (keep "
             "it by a udev rule)"),
)  # fmt: skip
