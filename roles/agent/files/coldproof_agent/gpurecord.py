"""The GPUs of one run as its record tells of them: before, at ready and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional


def describe(
    before: Mapping[str, Any],
    ready: Mapping[str, Any],
    after: Mapping[str, Any],
    links: Mapping[int, dict[str, Any]],
    others: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Returns the field ``gpu`` of runs.jsonl.

    Args:
        before, ready: as of :func:`gpu.look`.
        after: as of :func:`gpu.wait_released`.
        links: as of :func:`gpu.links`, at ready.
        others: processes on the GPUs at ready that are not the server's.
    """
    devices = []
    for one in ready["devices"] or before["devices"]:
        kept = {name: value for name, value in one.items() if name != "memory_used_mb"}
        devices.append(
            {
                **kept,
                "mem_before_mb": _used(before, one["uuid"]),
                "mem_ready_mb": _used(ready, one["uuid"]),
                "mem_after_mb": _used(after, one["uuid"]),
                "pcie": links.get(one["index"]),
            }
        )
    return {
        "devices": devices,
        "mem_before_mb": before["used_mb"],
        "mem_ready_mb": ready["used_mb"],
        "mem_after_mb": after["used_mb"],
        "released": after["released"],
        "others": list(others)[:16],
        "reason": before["reason"] or ready["reason"],
    }


def _used(seen: Mapping[str, Any], uuid: str) -> Optional[float]:
    for one in seen["devices"]:
        if one["uuid"] == uuid:
            value: Optional[float] = one["memory_used_mb"]
            return value
    return None
