"""The ledger of a server's processes, and the end of what a killed agent left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import durable, gpu, locks, procfs, runtime
from coldproof_agent.errors import Refusal
from coldproof_agent.procfs import Process

END_LIMIT_S = 30.0


class Ledger:
    """A durable file that names a server's processes while they live.

    Args:
        path: the file. It is there only between :meth:`open` and :meth:`close`.
        runtime: of a server in a container, docker or podman; the container's name is the marker.
    """

    def __init__(self, path: Path, runtime: Optional[str] = None) -> None:
        self._path = path
        self._runtime = runtime
        self._entry: dict[str, Any] = {}

    def open(self, marker: str, supervisor: Process, server: Process, log: int) -> None:
        """Names supervisor, server and the pipe of its log (a descriptor).

        Raises:
            OSError: that cannot be made durable.
        """
        self._entry = {
            "marker": marker,
            "boot_id": procfs.boot_id(),
            "cgroup": procfs.cgroup(supervisor.pid),
            "supervisor": [supervisor.pid, supervisor.starttime],
            "server": [server.pid, server.starttime],
            "sessions": {str(server.pid): server.starttime},
            "log": procfs.link(os.getpid(), log),
            **({"runtime": self._runtime} if self._runtime else {}),
        }
        self._write()

    def note(self, living: Iterable[Process]) -> None:
        """Adds the sessions of living processes, each with the start time of its leader.

        A leader that is gone already has none (0): its id cannot be given out anew while the
        session lives, so whoever has that id later is somebody else.
        """
        started = {one.pid: one.starttime for one in living}
        known = self._entry.get("sessions", {})
        new = {str(one.session): started.get(one.session, 0) for one in living}
        if self._entry and not new.keys() <= known.keys():
            self._entry["sessions"] = {**new, **known}
            self._write()

    def close(self) -> None:
        """Removes the file: nothing is left."""
        if self._entry:
            self._path.unlink(missing_ok=True)
        self._entry = {}

    def _write(self) -> None:
        durable.replace(self._path, durable.canonical(self._entry), 0o600)


def end_leftovers(ledger: Path) -> list[dict[str, Any]]:
    """Ends what an agent that was killed left behind, by its ledger.

    A process is ours if it is of this boot and is the recorded server or supervisor (same pid and
    start time), carries its marker, writes to its log, is in one of its sessions, or descends from
    such a process.

    A container is removed, also one of an earlier boot, which a reboot does not remove.

    Returns:
        the processes that were ended: pid and command.

    Raises:
        Refusal: code ``leftovers``: they would not end, or the container is not removed; the
            ledger stays.
    """
    try:
        entry = json.loads(ledger.read_bytes())
        ours = _Ours(entry)
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError):
        ledger.unlink(missing_ok=True)
        return []
    ended: dict[int, str] = {}
    begun = time.monotonic()
    quiet = 0
    while entry["boot_id"] == procfs.boot_id() and quiet < 2:
        mine = ours.living()
        for one in mine:
            if one.pid not in ended:
                ended[one.pid] = procfs.command(one.pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(one.pid, signal.SIGKILL)
        quiet = 0 if mine else quiet + 1
        if mine and time.monotonic() - begun > END_LIMIT_S:
            named = ", ".join(f"pid {one.pid} ({ended[one.pid]})" for one in mine[:3])
            raise Refusal(
                "leftovers", f"processes of an earlier run do not end: {named}. End them by hand."
            )
        time.sleep(0.02)
    if entry.get("runtime") in runtime.NAMES:
        _remove(str(entry["runtime"]), str(entry["marker"]))
    ledger.unlink(missing_ok=True)
    if ended:
        gpu.wait_left(ended)
    return [{"pid": pid, "command": text} for pid, text in sorted(ended.items())]


def _remove(name: str, container: str) -> None:
    """Removes a container. Raises Refusal."""
    try:
        runtime.Runtime(name).remove(container)
    except runtime.RuntimeFailed as failure:
        raise Refusal(
            "leftovers",
            f"{name} does not remove container {container} of an earlier run: {failure}",
            "coldproof_launcher",
        ) from failure


def end_of(state: Path, campaign: str) -> list[dict[str, Any]]:
    """Ends what a killed agent left, by the ledger of a state folder that no agent holds.

    Before anything is looked at: on the GPU or the port it would count as somebody else's.

    Returns:
        the processes that were ended.
    """
    ledger = state / "launched.json"
    lock = locks.state_lock(state, campaign) if ledger.exists() else None
    if lock is None:
        return []
    try:
        return end_leftovers(ledger)
    finally:
        locks.release(lock)


def living(ledger: Path) -> list[Process]:
    """Returns what an agent that was killed left behind and what lives still; ends nothing."""
    try:
        entry = json.loads(ledger.read_bytes())
        ours = _Ours(entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return ours.living() if entry["boot_id"] == procfs.boot_id() else []


class _Ours:
    """Tells the processes of a ledger's entry from everybody else's."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self._marker = f"COLDPROOF_RUN={entry['marker']}".encode()
        self._cgroup: Optional[str] = entry["cgroup"]
        self._oldest = int(entry["server"][1])
        self._named = {(int(pid), int(at)) for pid, at in (entry["supervisor"], entry["server"])}
        self._log = str(entry["log"])
        self._sessions = {int(one): int(at) for one, at in entry["sessions"].items()}

    def living(self) -> list[Process]:
        """Returns our processes that live, without this one."""
        table = procfs.processes()
        mine = {
            one.pid
            for one in table.values()
            if (one.pid, one.starttime) in self._named
            or self._in_session(one, table)
            or self._marker in procfs.environment(one.pid)
            or self._log in (procfs.link(one.pid, 1), procfs.link(one.pid, 2))
        }
        children = procfs.children(table.values())
        queue = list(mine)
        while queue:
            below = {one.pid for one in children.get(queue.pop(), [])} - mine
            mine |= below
            queue.extend(below)
        return [table[pid] for pid in sorted(mine - {os.getpid()}) if table[pid].state not in "ZX"]

    def _in_session(self, one: Process, table: dict[int, Process]) -> bool:
        """Says whether a process is in a session of ours, and not in a later one of its number."""
        started = self._sessions.get(one.session)
        if started is None or one.starttime < self._oldest:
            return False
        leader = table.get(one.session)
        if leader is not None:
            return leader.starttime == started
        return procfs.cgroup(one.pid) == self._cgroup
