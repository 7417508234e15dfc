"""GPU memory and tenants by nvidia-smi, in bounded time; absent or hanging is a reason."""

from __future__ import annotations

import math
import re
import shutil
import time
from collections.abc import Sequence
from typing import Any, Optional

from coldproof_agent import bounded
from coldproof_agent.errors import Refusal

TIMEOUT_S = 20.0
_FIELDS = "index,uuid,name,memory.used,memory.total,driver_version,persistence_mode"


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
        return {
            "devices": [],
            "used_mb": None,
            "reason": "nvidia-smi names no GPU that is used here",
        }
    used = [one["memory_used_mb"] for one in devices]
    if any(value is None for value in used):
        total, why = _by_process({str(one["uuid"]) for one in devices})
        return {"devices": devices, "used_mb": total, "reason": why}
    return {"devices": devices, "used_mb": sum(float(str(v)) for v in used), "reason": None}


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
    if not uuids:
        return []
    rows, _ = _ask("--query-compute-apps=gpu_uuid,pid,process_name,used_memory")
    return [
        # A name may hold commas.
        {"pid": _whole(row[1]), "name": ",".join(row[2:-1])[:120], "used_mb": _number(row[-1])}
        for row in rows
        if len(row) >= 4 and (row[0] in uuids or row[0].startswith("MIG-"))
    ]


def need_idle(wanted: Optional[Sequence[int]], allowed: Sequence[str] = ()) -> None:
    """Refuses GPUs on which somebody else computes.

    Args:
        wanted: indices; None means all.
        allowed: names of programs that may be there, such as exporters: the last part of their
            path, or all of it.

    Raises:
        Refusal: code ``gpu_busy``, naming the processes.
    """
    foreign = [
        one
        for one in tenants(wanted)
        if not {str(one["name"]), _program(str(one["name"]))} & set(allowed)
    ]
    if foreign:
        named = ", ".join(f"pid {one['pid']} ({one['name']})" for one in foreign[:3])
        raise Refusal(
            "gpu_busy",
            f"the GPU is used by {named}: end it, choose other GPUs (coldproof_gpus), or name it "
            "in coldproof_gpu_allowed if it does not disturb",
            "coldproof_gpu_allowed",
        )


def _program(name: str) -> str:
    """Returns the last part of a command's first word."""
    return (name.split() or [""])[0].rpartition("/")[2]


def wait_released(
    before_mb: Optional[float], wanted: Optional[Sequence[int]], timeout_s: float = 60.0
) -> dict[str, Any]:
    """Waits until memory.used is back at its value before the start (within 1 % or 64 MiB).

    Judged by the memory, not by the process list: a GPU context can outlive its process there.

    Returns:
        ``released`` (None without a GPU, or if it cannot be asked any more), ``used_mb`` and
        ``seconds`` waited.
    """
    if before_mb is None:
        return {"released": None, "used_mb": None, "seconds": 0.0}
    begun = time.monotonic()
    while True:
        now = look(wanted)["used_mb"]
        waited = time.monotonic() - begun
        if now is not None and now <= before_mb + max(64.0, before_mb * 0.01):
            return {"released": True, "used_mb": now, "seconds": round(waited, 3)}
        if waited > timeout_s:
            released = None if now is None else False
            return {"released": released, "used_mb": now, "seconds": round(waited, 3)}
        time.sleep(0.5)
