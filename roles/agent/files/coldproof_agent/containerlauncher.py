"""A server in a container of docker or podman, by the interface of a plain process tree.

The runtime's attached ``run`` is the process that the supervisor holds: its output is the server's
log, its exit status the server's. The server itself is watched in its control group.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import cgroup, procfs
from coldproof_agent.container import Container
from coldproof_agent.launcher import ProcessLauncher
from coldproof_agent.leftovers import Ledger
from coldproof_agent.mounts import Mount
from coldproof_agent.runtime import RuntimeFailed
from coldproof_agent.supervisor import Command

# What docker and podman want to know of who calls them.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "DBUS_SESSION_BUS_ADDRESS")
_KEPT_OF = ("DOCKER_", "CONTAINER", "XDG_", "STORAGE_")


class ContainerLauncher(ProcessLauncher):
    """A server in a container.

    Args:
        ledger: as of :class:`ProcessLauncher`; it names the runtime too.
        container: how to run it.
        binds: what is mounted.
        secret: names in the server's environment whose values nobody shall see.
    """

    def __init__(
        self,
        ledger: Path,
        container: Container,
        binds: Sequence[Mount] = (),
        secret: Collection[str] = (),
    ) -> None:
        super().__init__(ledger)
        self._container, self._binds, self._secret = container, binds, secret
        self._ledger = Ledger(ledger, runtime=container.runtime.name)
        self._name = ""
        self._group: Optional[cgroup.Group] = None
        self._read: Optional[int] = None
        self._problem: Optional[str] = None

    def start(self, command: Command, marker: str) -> int:
        """Runs the container. The clock starts when the runtime is executed.

        Args:
            command: the server's own command line, environment and rights, in the container.
            marker: the container's name, and COLDPROOF_RUN in its environment.

        Returns:
            the read end of its log.

        Raises:
            OSError: the runtime cannot be executed; nothing is left behind.
        """
        self._container.cid.unlink(missing_ok=True)
        words = self._container.words(command, marker, self._binds, self._secret)
        env = {
            name: value
            for name, value in os.environ.items()
            if name in _KEPT or name.startswith(_KEPT_OF)
        }
        env.update({name: command.env[name] for name in self._secret if name in command.env})
        self._name = marker
        return super().start(Command(words, env, "/"), marker)

    def _found(self) -> Optional[cgroup.Group]:
        """Returns the container's control group once it is there, by the container's id."""
        if self._group is None:
            try:
                cid = self._container.cid.read_text().strip()
            except OSError:
                return None
            if cid:
                names = (f"docker-{cid}.scope", f"libpod-{cid}.scope", f"libpod-{cid}", cid)
                self._group = cgroup.find(names)
        return self._group

    def tree(self) -> list[procfs.Process]:
        """Returns the living processes of the container; new sessions go to the ledger."""
        group = self._found()
        seen = [procfs.process(pid) for pid in group.pids()] if group else []
        living = [one for one in seen if one is not None and one.state not in "ZX"]
        self._ledger.note(living)
        return living

    def read_bytes(self) -> Optional[int]:
        """Returns the bytes read by the container and by what runs it below the supervisor."""
        group = self._found()
        inside = group.read_bytes() if group else None
        if group is None or inside is None:
            self._problem = (
                "the container's control group was not found"
                if group is None
                else f"the io controller is not enabled in {group.path}"
            )
            return None
        theirs = set(group.pids())
        outside = [self._supervisor, *(one.pid for one in procfs.descendants(self._supervisor))]
        counts = [procfs.read_bytes(pid) for pid in outside if pid not in theirs]
        self._read = inside + sum(count for count in counts if count is not None)
        return self._read

    def uncounted(self) -> Optional[str]:
        """Returns why the bytes could not be counted, if they could not."""
        return self._problem

    def stop(self, grace_s: float, idle: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """Ends the container: SIGTERM with a grace, SIGKILL to its control group, and removal.

        A first process that leaves SIGTERM to its default gets none of it in a container, as pid 1
        of its namespace (pid_namespaces(7)): there is nothing to wait for.

        Returns:
            as of :class:`ProcessLauncher`, and ``removed``: whether the container is gone.
        """

        def watch() -> None:
            self._look_once_more()
            idle()

        self._look_once_more()
        first = self._first()
        if first and procfs.takes_default(first, signal.SIGTERM):
            grace_s = 0.0
        stopped = super().stop(grace_s, watch)
        self.read_bytes_at_end = self._read
        return {**stopped, "removed": not self._name}

    def _first(self) -> int:
        tree = self.tree()
        return min(tree, key=lambda one: one.starttime).pid if tree else 0

    def began_s(self) -> float:
        """Returns when the container's first process was made; before that the runtime worked.

        To 10 ms, by its start time since boot (proc_pid_stat(5)).
        """
        tree = self.tree()
        if not tree:
            return 0.0
        ticks = min(one.starttime for one in tree)
        asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        return max(0.0, ticks / os.sysconf("SC_CLK_TCK") - asleep - self.started_at)

    def _look_once_more(self) -> None:
        """Notes the bytes while the control group lives: it ends with the container."""
        if self._group is not None and self._group.exists():
            self.read_bytes()

    def _end(self) -> None:
        """Ends and removes the container; called when the server's time is over."""
        if not self._name:
            return
        group = self._found()
        if group is not None:
            group.kill()
        try:
            self._container.runtime.remove(self._name)
        except RuntimeFailed as failure:
            self._problem = str(failure)
            return
        self._name = ""

    def _finished(self) -> bool:
        return not self._name and super()._finished()
