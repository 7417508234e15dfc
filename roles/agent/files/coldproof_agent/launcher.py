"""How a server is started, watched and ended. A process tree here; a container can be another.

The interface of a launcher: ``start``, ``tree`` (its processes), ``read_bytes`` (what it made
storage deliver), ``owns_listener``, ``stop``. Whoever starts one calls ``stop`` on every path.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import durable, procfs, supervisor
from coldproof_agent.supervisor import Command


class ProcessLauncher:
    """A server as a plain process tree under a subreaper.

    Args:
        ledger: file that names the processes while they live, so that the next agent can end what
            this one left behind (see :func:`end_leftovers`).
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._control: Optional[socket.socket] = None
        self._lines: Optional[supervisor.Lines] = None
        self._supervisor = 0
        self._entry: dict[str, Any] = {}
        self.pid = 0
        self.started_at = 0.0
        self.exit_status: Optional[int] = None
        self.read_bytes_at_end: Optional[int] = None
        self.stuck: list[int] = []
        self._lost = False

    def start(self, command: Command, marker: str) -> int:
        """Starts a server.

        Args:
            command: what to execute.
            marker: value of COLDPROOF_RUN in its environment, by which leftovers are known.

        Returns:
            the read end of its log (standard output and error together).

        Raises:
            OSError: it cannot be executed; nothing is left behind.
        """
        ours, theirs = socket.socketpair()
        log_r, log_w = os.pipe2(os.O_CLOEXEC)
        env = dict(command.env, COLDPROOF_RUN=marker)
        child = os.fork()
        if child == 0:
            ours.close()
            os.close(log_r)
            supervisor.main(command._replace(env=env), log_w, theirs)
        theirs.close()
        os.close(log_w)
        self._control, self._lines, self._supervisor = ours, supervisor.Lines(ours), child
        try:
            spawned = self._expect("spawned", 10.0)
            self.pid = int(spawned["pid"])
            keeper = procfs.process(child)
            self._entry = {
                "marker": marker,
                "boot_id": procfs.boot_id(),
                "supervisor": [child, keeper.starttime if keeper else 0],
                "server": [self.pid, int(spawned["starttime"])],
                "sessions": [self.pid],
            }
            durable.replace(self._ledger, durable.canonical(self._entry), 0o600)
            ours.sendall(b"go\n")
            answer = self._expect(("started", "failed"), 10.0)
            if answer["event"] == "failed":
                raise OSError(answer["errno"], os.strerror(answer["errno"]), command.argv[0])
            self.started_at = float(answer["t"])
        except BaseException:
            self.stop(0.0)
            os.close(log_r)
            raise
        return log_r

    def _expect(self, events: Any, timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for message in self._receive(deadline - time.monotonic()):
                if message["event"] in events:
                    return message
        raise OSError(110, f"the supervisor did not say {events}")

    def _receive(self, wait_s: float) -> list[dict[str, Any]]:
        """Reads what the supervisor says within a time, and notes an exit."""
        if self._control is None or self._lines is None:
            return []
        if not select.select([self._control], [], [], max(0.0, wait_s))[0]:
            return []
        messages = []
        for line in self._lines.read():
            if line is None:
                self._close()
                self._lost = self.read_bytes_at_end is None
                messages.append({"event": "lost"})
                continue
            message = json.loads(line)
            if message["event"] == "exited":
                self.exit_status = int(message["status"])
            if message["event"] == "empty":
                self.read_bytes_at_end = message["read_bytes"]
                self.stuck = message["stuck"]
            messages.append(message)
        return messages

    def _close(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None

    def wait(self, seconds: float) -> bool:
        """Waits; returns early, with True, when the server's first process has ended."""
        if self.exit_status is None and self._control is not None:
            self._receive(seconds)
        elif seconds > 0 and self.exit_status is None:
            time.sleep(seconds)
        return self.exit_status is not None or self._control is None

    @property
    def supervised(self) -> bool:
        """Whether the supervisor still answers for the tree."""
        return self._control is not None

    def tree(self) -> list[procfs.Process]:
        """Returns the living processes; new sessions among them are noted in the ledger."""
        living = procfs.descendants(self._supervisor)
        sessions = {one.session for one in living} | set(self._entry.get("sessions", []))
        if self._entry and sessions != set(self._entry["sessions"]):
            self._entry["sessions"] = sorted(sessions)
            durable.replace(self._ledger, durable.canonical(self._entry), 0o600)
        return living

    def read_bytes(self) -> Optional[int]:
        """Returns the bytes the tree has read from storage so far; None if one cannot be asked."""
        total = procfs.read_bytes(self._supervisor)
        for one in procfs.descendants(self._supervisor):
            part = procfs.read_bytes(one.pid)
            if part is None and one.state == "Z":
                continue
            if part is None and procfs.process(one.pid) is not None:
                return None
            total = None if total is None else total + (part or 0)
        return total

    def owns_listener(self, port: int) -> bool:
        """Says whether the socket listening on a port belongs to this server."""
        inodes = procfs.listeners(port)
        return any(procfs.holds_socket(one.pid, inodes) for one in self.tree())

    def stop(self, grace_s: float, idle: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """Ends everything that was launched; safe to call twice.

        Args:
            grace_s: seconds between SIGTERM and SIGKILL.
            idle: called while waiting.

        Returns:
            ``seconds``, ``killed`` (SIGKILL was needed for the first process), ``left`` (processes
            that lived on after it ended) and ``stuck`` (would not die).
        """
        begun = time.monotonic()
        killed = False
        left = 0
        if self._control is not None:
            if grace_s > 0:
                supervisor_say(self._control, "term")
                while self.exit_status is None and time.monotonic() - begun < grace_s:
                    idle()
                    if self.wait(0.1):
                        break
                killed = self.exit_status is None
                left = sum(1 for one in self.tree() if one.state != "Z" and one.pid != self.pid)
            if self._control is not None:
                supervisor_say(self._control, "kill")
            while self._control is not None and self.read_bytes_at_end is None:
                if any(m["event"] in ("empty", "lost") for m in self._receive(40.0)):
                    break
                if time.monotonic() - begun > grace_s + 60:
                    break
        self._close()
        if self._supervisor:
            _end_supervisor(self._supervisor)
            self._supervisor = 0
        if self._lost:  # orphans of a supervisor that was killed: the agent is a subreaper too
            self.stuck = sorted({*self.stuck, *supervisor.sweep(os.getpid())})
        self._ledger.unlink(missing_ok=True)
        return {
            "seconds": round(time.monotonic() - begun, 3),
            "killed": killed,
            "left": left,
            "stuck": self.stuck,
        }


def supervisor_say(control: socket.socket, word: str) -> None:
    """Sends one word to the supervisor; one that is gone is noticed elsewhere."""
    with contextlib.suppress(OSError):
        control.sendall(word.encode() + b"\n")


def _end_supervisor(pid: int) -> None:
    for _ in range(200):
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
        except ChildProcessError:
            return
        time.sleep(0.01)
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def end_leftovers(ledger: Path) -> list[dict[str, Any]]:
    """Ends what an agent that was killed left behind, by its ledger.

    A process is ours if it is of this boot and is the recorded server or supervisor (same pid and
    start time), or in one of its sessions and not older, or carries its marker.

    Returns:
        the processes that were ended: pid and command.
    """
    try:
        entry = json.loads(ledger.read_bytes())
        marker = str(entry["marker"])
        oldest = int(entry["server"][1])
        sessions = {int(one) for one in entry["sessions"]}
        named = {(int(pid), int(start)) for pid, start in (entry["supervisor"], entry["server"])}
        same_boot = entry["boot_id"] == procfs.boot_id()
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        ledger.unlink(missing_ok=True)
        return []
    ended: dict[int, str] = {}
    quiet = 0
    while same_boot and quiet < 2:
        mine = [
            one
            for one in procfs.processes().values()
            if one.state != "Z"
            and one.pid != os.getpid()
            and one.starttime >= oldest - 1000
            and (
                (one.pid, one.starttime) in named
                or one.session in sessions
                or _carries(one.pid, marker)
            )
        ]
        for one in mine:
            ended.setdefault(one.pid, procfs.command(one.pid))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(one.pid, signal.SIGKILL)
        quiet = 0 if mine else quiet + 1
        time.sleep(0.02)
        if len(ended) > 100_000:
            break
    ledger.unlink(missing_ok=True)
    return [{"pid": pid, "command": text} for pid, text in sorted(ended.items())]


def _carries(pid: int, marker: str) -> bool:
    try:
        data = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"COLDPROOF_RUN={marker}".encode() in data.split(b"\0")
