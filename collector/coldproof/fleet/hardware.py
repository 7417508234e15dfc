"""Which nodes are alike: hardware classes of nodes, kinds of storage of tiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from coldproof.runs import Run, dig

GIB = 1 << 30
STEPS = 16  # of the power of two below: 3 to 6 %
UNKNOWN = "hardware not recorded"


class Hardware(NamedTuple):
    """What must be equal for two nodes to be of one class; memory in GiB, as it was sold."""

    gpus: str
    cpu: str
    cores: int
    memory_gib: int
    virtual: bool

    @property
    def text(self) -> str:
        """The class in words; not safe to print."""
        kind = "virtual machine" if self.virtual else "bare metal"
        return f"{self.gpus}, {self.cpu}, {self.cores} cores, {self.memory_gib} GiB RAM, {kind}"


class Storage(NamedTuple):
    """What must be equal for two nodes' tiers to be of one kind."""

    model: str
    filesystem: str
    network: bool
    virtual: bool


def hardware_classes(runs: Iterable[Run]) -> Mapping[str, Hardware]:
    """Return the hardware of each node by its first record that tells it; others are absent.

    No node's claims play a part in another's class.
    """
    told: dict[str, Mapping[str, Any]] = {}
    for run in runs:
        if run.node not in told and _bytes(run) and dig(run.record, "host", "cores"):
            told[run.node] = run.record
    return {
        node: Hardware(
            gpus=_gpus(record),
            cpu=str(dig(record, "host", "cpu") or dig(record, "host", "arch") or "unknown CPU"),
            cores=_whole(dig(record, "host", "cores")),
            memory_gib=_as_sold(_whole(dig(record, "host", "mem_total_bytes"))),
            virtual=dig(record, "host", "virtual") is True,
        )
        for node, record in told.items()
    }


def storage_of(run: Run) -> Storage:
    """Return the kind of storage a run's weights lie on; what was not recorded is empty."""
    told = run.record.get("storage")
    told = told if isinstance(told, Mapping) else {}
    return Storage(
        model=str(told.get("model") or ""),
        filesystem=str(told.get("filesystem") or ""),
        network=told.get("network") is True,
        virtual=told.get("virtual") is True,
    )


def kernels(runs: Iterable[Run]) -> list[str]:
    """Return the kernels that some starts recorded, sorted; not safe to print."""
    found = (dig(run.record, "host", "kernel") for run in runs)
    return sorted({one for one in found if isinstance(one, str) and one})


def drivers(runs: Iterable[Run]) -> list[str]:
    """Return the GPU drivers that some starts recorded, sorted; not safe to print."""
    lists = (dig(run.record, "gpu", "devices") for run in runs)
    return sorted(
        {
            str(one["driver"])
            for devices in lists
            for one in (devices if isinstance(devices, list) else [])
            if isinstance(one, Mapping) and one.get("driver")
        }
    )


def _bytes(run: Run) -> int:
    return _whole(dig(run.record, "host", "mem_total_bytes"))


def _whole(value: object) -> int:
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 60
    return int(value) if usable and isinstance(value, int) else 0


def _as_sold(size: int) -> int:
    """Return GiB rounded up to a sixteenth of the power of two below, at least 1.

    Kernels keep one to three percent back, and not everywhere the same; what was put in lies on
    such a step or just below.
    """
    step = max(1 << (size.bit_length() - 1), STEPS * GIB) // STEPS
    return -(-size // step) * step // GIB


def _gpus(record: Mapping[str, Any]) -> str:
    devices = dig(record, "gpu", "devices")
    names = [
        str(one.get("name"))
        for one in (devices if isinstance(devices, list) else [])
        if isinstance(one, Mapping) and one.get("name")
    ]
    if not names:
        return "no GPU recorded"
    return " + ".join(f"{names.count(name)} x {name}" for name in sorted(set(names)))
