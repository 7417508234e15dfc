"""GPU memory and tenants by nvidia-smi, in bounded time; absent or hanging is a reason."""

from __future__ import annotations

import math
import re
import shutil
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import bounded
from coldproof_agent.errors import Refusal

TIMEOUT_S = 20.0
DRIVER = Path("/proc/driver/nvidia")
# More than a driver and its contexts of exporters keep for themselves.
UNLISTED_MB = 2048.0
UNLISTED = "unlisted"
NONE_HERE = "nvidia-smi names no GPU that is used here"
_FIELDS = "index,uuid,name,memory.used,memory.total,driver_version,persistence_mode"

# Asked apart: a driver that does not know one field answers none.
_LINK_FIELDS = (
    "index,pcie.link.gen.current,pcie.link.gen.max,pcie.link.width.current,pcie.link.width.max"
)


def _ask(*words: str) -> tuple[list[list[str]], Optional[str]]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return [], "nvidia-smi is not installed"
    try:
        status, text = bounded.run([program, *words, "--format=csv,noheader,nounits"], TIMEOUT_S)
    except bounded.TookTooLongError:
        return [], f"nvidia-smi did not answer within {TIMEOUT_S:g} s"
    except OSError as error:
        return [], f"nvidia-smi: {error.strerror}"
    if status:
        lines = text.strip().splitlines()
        return [], f"nvidia-smi failed: {lines[0][:200] if lines else f'exit status {status}'}"
    return [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line], None


def _number(text: str) -> Optional[float]:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _whole(text: str) -> Optional[int]:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def look(wanted: Optional[Sequence[int]] = None) -> dict[str, Any]:
    """Returns the GPUs used and their memory.

    Args:
        wanted: indices; None means all.

    Returns:
        ``devices``, ``used_mb`` (MiB summed over them, None where one cannot say) and ``reason``.
    """
    rows, reason = _ask(f"--query-gpu={_FIELDS}")
    devices = []
    for row in rows:
        index = _whole(row[0])
        if len(row) < 7 or index is None or (wanted is not None and index not in wanted):
            continue
        devices.append(
            {
                "index": index,
                "uuid": row[1],
                "name": row[2],
                "memory_used_mb": _number(row[3]),
                "memory_total_mb": _number(row[4]),
                "driver": row[5],
                "persistence_mode": row[6],
            }
        )
    if reason:
        return {"devices": [], "used_mb": None, "reason": reason}
    if not devices:
        return {"devices": [], "used_mb": None, "reason": NONE_HERE}
    used = [one["memory_used_mb"] for one in devices]
    if any(value is None for value in used):
        total, why = _by_process({str(one["uuid"]) for one in devices})
        return {"devices": devices, "used_mb": total, "reason": why}
    return {"devices": devices, "used_mb": sum(float(str(v)) for v in used), "reason": None}


def links(wanted: Optional[Sequence[int]] = None) -> dict[int, dict[str, Any]]:
    """Returns the PCIe link of each GPU used, by index; none where they cannot be asked.

    Returns:
        for each ``generation``, ``generation_max``, ``width`` and ``width_max`` (lanes), None where
        the GPU does not say. An idle GPU lowers its generation to save power, not its width.
    """
    rows, _ = _ask(f"--query-gpu={_LINK_FIELDS}")
    names = ("generation", "generation_max", "width", "width_max")
    found = {}
    for row in rows:
        index = _whole(row[0])
        if len(row) == 5 and index is not None and (wanted is None or index in wanted):
            found[index] = {name: _whole(text) for name, text in zip(names, row[1:])}
    return found


def _by_process(uuids: set[str]) -> tuple[Optional[float], Optional[str]]:
    """Sums memory by process: unified-memory parts answer [N/A] for a whole GPU."""
    rows, reason = _ask("--query-compute-apps=gpu_uuid,pid,used_memory")
    values = [_number(row[2]) for row in rows if len(row) >= 3 and row[0] in uuids]
    if reason or any(value is None for value in values):
        return None, reason or "memory.used and used_memory are [N/A] on this GPU"
    return sum(value for value in values if value is not None), None


def tenants(wanted: Optional[Sequence[int]] = None) -> list[dict[str, Any]]:
    """Returns the compute processes on the GPUs used: pid (None: not shown), name and MiB.

    A process on a MIG instance counts for every GPU: its uuid does not say which one it is on.
    """
    uuids = {one["uuid"] for one in look(wanted)["devices"]}
    return _tenants(uuids)[0] if uuids else []


def _tenants(uuids: set[str]) -> tuple[list[dict[str, Any]], Optional[str]]:
    """Returns the compute processes on these GPUs, and why they cannot be known."""
    rows, reason = _ask("--query-compute-apps=gpu_uuid,pid,process_name,used_memory")
    found = [
        # A name may hold commas.
        {"pid": _whole(row[1]), "name": ",".join(row[2:-1])[:120], "used_mb": _number(row[-1])}
        for row in rows
        if len(row) >= 4 and (row[0] in uuids or row[0].startswith("MIG-"))
    ]
    return found, reason


def need_idle(
    wanted: Optional[Sequence[int]],
    allowed: Sequence[str] = (),
    ours: Collection[int] = (),
) -> None:
    """Refuses GPUs on which somebody else computes.

    Args:
        wanted: indices; None means all.
        allowed: names of programs that may be there, such as exporters: the last part of their
            path, or all of it. ``unlisted`` stands for memory in use by none that is listed.
        ours: process ids that an earlier run of ours left there.

    Raises:
        Refusal: code ``gpu_busy``, naming the processes; ``gpu_unknown``: nvidia-smi does not say
            who computes there, and silence is not idleness.
    """
    seen = look(wanted)
    if not seen["devices"]:
        if seen["reason"] and DRIVER.exists() and UNLISTED not in allowed:
            raise _unknown(seen["reason"])
        return
    listed, reason = _tenants({str(one["uuid"]) for one in seen["devices"]})
    if reason and UNLISTED not in allowed:
        raise _unknown(reason)
    strangers = [one for one in foreign(listed, allowed) if one["pid"] not in ours]
    hidden = (seen["used_mb"] or 0.0) - sum(one["used_mb"] or 0.0 for one in listed)
    known = all(one["used_mb"] is not None for one in listed)
    if not strangers and not ours and known and hidden > UNLISTED_MB and UNLISTED not in allowed:
        raise Refusal(
            "gpu_busy",
            f"{hidden:.0f} MiB of GPU memory are in use by processes that nvidia-smi does not list "
            "(in another container, say): end them, choose other GPUs (coldproof_gpus), or put "
            f"{UNLISTED} into coldproof_gpu_allowed if they do not disturb",
            "coldproof_gpu_allowed",
        )
    if strangers:
        raise Refusal(
            "gpu_busy",
            f"the GPU is used by {named(strangers)}: end it, choose other GPUs (coldproof_gpus), "
            "or name it in coldproof_gpu_allowed if it does not disturb",
            "coldproof_gpu_allowed",
        )


def foreign(listed: Sequence[dict[str, Any]], allowed: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the compute processes that are not allowed by name."""
    return [
        one for one in listed if not {str(one["name"]), _program(str(one["name"]))} & set(allowed)
    ]


def named(processes: Sequence[dict[str, Any]]) -> str:
    """Returns up to three of them in words."""
    return ", ".join(f"pid {one['pid']} ({one['name']})" for one in processes[:3])


def _unknown(reason: str) -> Refusal:
    return Refusal(
        "gpu_unknown",
        f"{reason}: whether somebody computes on the GPU cannot be known. Mend that, or choose "
        f"GPUs that answer (coldproof_gpus), or put {UNLISTED} into coldproof_gpu_allowed if "
        "nobody does",
        "coldproof_gpu_allowed",
    )


def visible(wanted: Optional[Sequence[int]]) -> dict[str, str]:
    """Returns the environment that shows a server these GPUs alone, by nvidia-smi's own order.

    CUDA's default order is by speed (CUDA C++ Programming Guide, environment variables).
    """
    if wanted is None:
        return {}
    shown = ",".join(str(one) for one in wanted)
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": shown}


def _program(name: str) -> str:
    """Returns the last part of a command's first word."""
    return (name.split() or [""])[0].rpartition("/")[2]


def wait_left(pids: Collection[int], timeout_s: float = 60.0) -> None:
    """Waits until processes that were ended are off the GPUs: a driver takes its time for it.

    That is when none of them is listed and the memory in use falls no more.
    """
    end = time.monotonic() + timeout_s
    last: Optional[float] = None
    while time.monotonic() < end:
        seen = look()
        if not seen["devices"]:
            return
        listed, _ = _tenants({str(one["uuid"]) for one in seen["devices"]})
        used = seen["used_mb"]
        falls = used is not None and (last is None or used < last)
        if not falls and not any(one["pid"] in pids for one in listed):
            return
        last = used
        time.sleep(0.5)


def wait_released(
    before_mb: Optional[float], wanted: Optional[Sequence[int]], timeout_s: float = 60.0
) -> dict[str, Any]:
    """Waits until memory.used is back at its value before the start (within 1 % or 64 MiB).

    Judged by the memory, not by the process list: a GPU context can outlive its process there.

    Returns:
        ``released`` (None without a GPU, or if it cannot be asked any more), ``used_mb``,
        ``devices`` as of :func:`look`, and ``seconds`` waited.
    """
    if before_mb is None:
        return {"released": None, "used_mb": None, "devices": [], "seconds": 0.0}
    begun = time.monotonic()
    while True:
        seen = look(wanted)
        now, devices = seen["used_mb"], seen["devices"]
        waited = time.monotonic() - begun
        if now is not None and now <= before_mb + max(64.0, before_mb * 0.01):
            released: Optional[bool] = True
            break
        if waited > timeout_s:
            released = None if now is None else False
            break
        time.sleep(0.5)
    return {
        "released": released,
        "used_mb": now,
        "devices": devices,
        "seconds": round(waited, 3),
    }
