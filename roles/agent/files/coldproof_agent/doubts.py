"""What changed on the node while a server started: such a start proves nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Optional

from coldproof_agent import gpu, weights
from coldproof_agent.errors import Refusal
from coldproof_agent.files import FileRef
from coldproof_agent.scene import Scene

Stamp = list[tuple[str, int, int, int, int]]


class Doubts:
    """Remembers weights and GPUs before a start, and compares afterwards.

    ``others`` are the processes on the GPUs at ready that are not the server's.

    Args:
        scene: tier and variant.
        files: the weights before the start.
        devices: the GPUs before it, as of :func:`gpu.look`.
    """

    def __init__(
        self, scene: Scene, files: list[FileRef], devices: Collection[dict[str, Any]]
    ) -> None:
        self._scene = scene
        self._stamp = weights.stamp(files)
        self._gpus = sorted(str(one["uuid"]) for one in devices)
        self._strangers: Optional[str] = None
        self.others: list[dict[str, Any]] = []

    def at_ready(self, ours: Collection[int]) -> None:
        """Looks who computes on the GPUs beside the server.

        Args:
            ours: process ids of the server's tree. If none of them is listed, ids mean nothing
                here (another pid namespace), and nothing is said.
        """
        found = gpu.tenants(self._scene.plan.local["gpus"])
        allowed = self._scene.plan.local["gpu_allowed"]
        self.others = [one for one in found if one["pid"] not in ours]
        if any(one["pid"] in ours for one in found):
            strangers = [one for one in gpu.foreign(found, allowed) if one["pid"] not in ours]
            self._strangers = gpu.named(strangers) if strangers else None

    def found(self, memory: Mapping[str, Any]) -> list[str]:
        """Returns why the start proves nothing; none if nothing changed.

        Args:
            memory: the GPUs at ready, as of :func:`gpu.look`: no devices and another reason than
                that there are none if they could not be asked.
        """
        reasons = []
        if self._now() != self._stamp:
            reasons.append("the weights were replaced or written while the server started")
        gpus = sorted(str(one["uuid"]) for one in memory["devices"])
        asked = gpus or memory["reason"] == gpu.NONE_HERE
        if asked and gpus != self._gpus:
            reasons.append(f"{len(self._gpus)} GPUs before the start, others or {len(gpus)} after")
        if self._strangers:
            reasons.append(f"somebody else used the GPU during the start: {self._strangers}")
        return reasons

    def _now(self) -> Optional[Stamp]:
        try:
            return weights.stamp(self._scene.weights())
        except (OSError, Refusal):
            return None
