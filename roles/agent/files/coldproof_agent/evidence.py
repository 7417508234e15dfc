"""Takes the evidence of one start: what was resident before, what was read, what is after."""

from __future__ import annotations

from typing import Any, Optional

from coldproof_agent import cooling, host, loaders, procfs, storage
from coldproof_agent.files import FileRef, device_bytes
from coldproof_agent.launcher import ProcessLauncher
from coldproof_agent.residency import Residency, look
from coldproof_agent.scene import Scene
from coldproof_agent.supervisor import Command
from coldproof_agent.verdict import Evidence


def _samples(files: list[FileRef]) -> list[str]:
    """Returns one path for each device that files lie on."""
    return list({one.dev: one.path for one in files}.values())


class Witnessing:
    """The evidence of one run, taken in the order in which it is called.

    Args:
        scene: tier and variant.
        mode: prime, cold or warm.
        files: the weights.
        command: the server's.
    """

    def __init__(self, scene: Scene, mode: str, files: list[FileRef], command: Command) -> None:
        self._scene, self._mode, self._files = scene, mode, files
        data = scene.profile.data
        self._loading = loaders.recognise(data, command.argv, command.env)
        self._ranks = loaders.ranks(data, command.argv)
        self._storage = storage.describe(files[0].path, host.virtual())
        self._devices = scene.devices(files)
        self._verdicts = scene.verdicts(files, may_evict=mode != "warm")
        self.dropped: Optional[float] = None
        self._before: dict[str, Optional[Residency]] = {}
        self._after: dict[str, Optional[Residency]] = {}
        self._base: dict[str, Optional[int]] = {}
        self._read: dict[str, Optional[int]] = {}
        self._network_base: Optional[int] = None
        self._network: Optional[int] = None
        self._process: Optional[int] = None
        self._uncounted: Optional[str] = None
        self._holders: list[str] = []

    def before(self) -> None:
        """Looks immediately before the start."""
        self._before = {
            "weights": look(self._files, self._verdicts),
            "engine": self._scene.look_at_engine(),
        }
        if self._mode == "cold" and (getattr(self._before["weights"], "high", 0) or 0) > 0:
            found = cooling.holders(self._files)
            self._holders = [f"pid {one['pid']} ({one['command']})" for one in found[:5]]
        self._base = {one.name: storage.read_bytes(one.name) for one in self._devices}
        if self._storage["network"]:
            self._network_base = storage.nfs_read_bytes(self._storage["mount"])

    def at_ready(self, server: ProcessLauncher) -> None:
        """Counts the bytes read so far, first of all, then looks at the cache."""
        self._process = server.read_bytes()
        self._uncounted = server.uncounted() if self._process is None else None
        for one in self._devices:
            base, now = self._base[one.name], storage.read_bytes(one.name)
            self._read[one.name] = None if base is None or now is None else now - base
        if self._network_base is not None:
            now = storage.nfs_read_bytes(self._storage["mount"])
            self._network = None if now is None else now - self._network_base
        self._after = {"weights": look(self._files, self._verdicts)}

    def after_prime(self) -> None:
        """Notes what the cache holds of the engine files that were just found."""
        self._after["engine"] = self._scene.look_at_engine()

    def expected(self) -> int:
        """Returns the device bytes of both sets that were not resident before the start."""
        return self._missing("weights", self._files) + self._missing(
            "engine", self._scene.engine_files.files
        )

    def _missing(self, name: str, files: list[FileRef]) -> int:
        seen = self._before.get(name)
        if seen is None or seen.high is None:
            return device_bytes(files) if name == "weights" else 0
        return round(device_bytes(files) * (1 - seen.high))

    def _totals(self) -> Optional[tuple[int, int]]:
        totals = []
        for role in ("top", "leaf"):
            counts = [self._read.get(one.name) for one in self._devices if role in one.role]
            if not counts or any(count is None for count in counts):
                return None
            totals.append(sum(int(count or 0) for count in counts))
        return totals[0], totals[1]

    def _of_no_group(self) -> Optional[str]:
        """Returns why a cold start in a container cannot be counted on a network filesystem."""
        process = self._scene.plan.settings["launcher"] == "process"
        if process or self._mode != "cold" or not self._storage["network"]:
            return None
        return (
            "a control group counts block devices alone: what a container reads from a network "
            "filesystem is not accounted to it. Start the server without a container "
            "(coldproof_launcher: process) to have this proven"
        )

    def evidence(self, ready: bool, method: str, same_boot: Optional[bool]) -> Evidence:
        """Returns what the verdict is made of."""
        weights = self._before["weights"]
        if weights is None:
            raise ValueError("before() was not called")
        engine_files = self._scene.engine_files.files
        weights_named = all(storage.devices_of(path) for path in _samples(self._files))
        engine_named = all(storage.devices_of(path) for path in _samples(engine_files))
        on_devices = self._missing("weights", self._files) if weights_named else 0
        on_devices += self._missing("engine", engine_files) if engine_named else 0
        after = self._after.get("weights")
        fuse = str(self._storage["filesystem"]).startswith("fuse")
        return Evidence(
            mode=self._mode,
            ready=ready,
            method=method,
            weights=weights,
            engine=self._before["engine"],
            weights_bytes=device_bytes(self._files),
            weights_logical=sum(one.size for one in self._files),
            expected_bytes=self.expected(),
            device_bytes=on_devices,
            process_bytes=self._process,
            # Devices of the engine files alone say nothing about the weights.
            devices=self._totals() if weights_named else None,
            engine_held=engine_named,
            network_bytes=self._network,
            network=bool(self._storage["network"]),
            guest=bool(self._storage["virtual"]),
            unaccounted="FUSE: its daemon reads, nothing is accounted to the server"
            if fuse
            else self._uncounted or self._of_no_group(),
            holders=self._holders,
            same_boot=same_boot,
            dropped=self.dropped,
            damon=host.reclaims_idle_pages(),
            loading=self._loading,
            ranks=self._ranks,
            unread=None if after is None or after.high is None else 1 - after.high,
        )

    def as_record(self, at_end: Optional[int]) -> dict[str, Any]:
        """Returns the fields of runs.jsonl.

        Args:
            at_end: bytes the whole tree has read when it had been reaped.
        """

        def shown(looks: dict[str, Optional[Residency]]) -> dict[str, Any]:
            return {
                name: None if one is None else one.as_dict(in_scope=one.known)
                for name, one in looks.items()
            }

        return {
            "storage": self._storage,
            "residency": {"before": shown(self._before), "after_ready": shown(self._after)},
            "bytes": {
                "expected": self.expected(),
                "process_at_ready": self._process,
                "process_at_end": at_end,
                "devices": [
                    {"name": one.name, "role": one.role, "read_bytes": self._read.get(one.name)}
                    for one in self._devices
                ],
                "network": self._network,
            },
            "loader": {
                "ranks": self._ranks,
                **(self._loading._asdict() if self._loading else {"name": None}),
            },
            "holders": self._holders,
            "boot_id": procfs.boot_id(),
        }
