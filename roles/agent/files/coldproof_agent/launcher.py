"""How a server is started, watched and ended. A process tree here; a container can be another.

The interface of a launcher: ``start``, ``tree`` (its processes), ``read_bytes`` (what it made
storage deliver), ``owns_listener``, ``stop``. Whoever starts one calls ``stop`` on every path.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import procfs, supervisor
from coldproof_agent.leftovers import Ledger
from coldproof_agent.leftovers import end_leftovers as end_leftovers
from coldproof_agent.supervisor import Command

TO_ANSWER_S = 10.0
TO_FOLLOW_S = 2.0


class ProcessLauncher:
    """A server as a plain process tree under a subreaper.

    Args:
        ledger: file that names the processes while they live, so that the next agent can end what
            this one left behind (see :func:`leftovers.end_leftovers`).
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = Ledger(ledger)
        self._control: Optional[socket.socket] = None
        self._lines: Optional[supervisor.Lines] = None
        self._supervisor = 0
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
        command = command._replace(env=dict(command.env, COLDPROOF_RUN=marker))
        log_r, log_w = os.pipe2(os.O_CLOEXEC)
        try:
            self._fork(command, log_r, log_w)
            spawned = self._expect({"spawned"})
            self.pid = int(spawned["pid"])
            keeper, server = procfs.process(self._supervisor), procfs.process(self.pid)
            if self._control is None or keeper is None or server is None:
                raise OSError(errno.ESRCH, "the supervisor was killed")
            self._ledger.open(marker, keeper, server, log_r)
            self._control.sendall(b"go\n")
            answer = self._expect({"started", "failed"})
            if answer["event"] == "failed":
                raise OSError(answer["errno"], os.strerror(answer["errno"]), command.argv[0])
            self.started_at = float(answer["t"])
        except BaseException:
            self.stop(0.0)
            os.close(log_r)
            raise
        finally:
            os.close(log_w)
        return log_r

    def _fork(self, command: Command, log_r: int, log_w: int) -> None:
        """Forks the supervisor. An exception or signal must not let it run on as a second agent."""
        ours, theirs = socket.socketpair()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.HELD_SIGNALS)
        try:
            child = os.fork()
            if child == 0:
                try:
                    ours.close()
                    os.close(log_r)
                    supervisor.main(command, log_w, theirs)
                finally:
                    os._exit(1)
            self._control, self._lines, self._supervisor = ours, supervisor.Lines(ours), child
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _expect(self, events: Collection[str]) -> dict[str, Any]:
        deadline = time.monotonic() + TO_ANSWER_S
        while time.monotonic() < deadline and self._control is not None:
            for message in self._receive(deadline - time.monotonic()):
                if message["event"] in events:
                    return message
        raise OSError(errno.ESRCH, f"the supervisor did not say {' or '.join(sorted(events))}")

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
        """Waits; returns early, with True, when the first process or the supervisor has ended."""
        if self.exit_status is None and self._control is not None:
            self._receive(seconds)
        return self.exit_status is not None or self._control is None

    def tree(self) -> list[procfs.Process]:
        """Returns the living processes; new sessions among them are noted in the ledger."""
        if not self._supervisor:
            return []
        living = [one for one in procfs.descendants(self._supervisor) if one.state != "Z"]
        self._ledger.note(living)
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

    def owns_listener(self, port: int, address: str = "") -> Optional[bool]:
        """Says whether all sockets that listen on a port are this server's.

        Sockets that share a port (SO_REUSEPORT) take turns in answering, so one is not enough.

        Returns:
            None if nothing listens there.
        """
        theirs = procfs.listeners(port, address)
        if not theirs:
            return None
        for one in self.tree():
            theirs -= procfs.sockets(one.pid)
        return not theirs

    def stop(self, grace_s: float, idle: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """Ends everything that was launched; safe to call twice.

        Args:
            grace_s: seconds between SIGTERM and SIGKILL.
            idle: called while waiting.

        Returns:
            ``seconds``, ``killed`` (SIGKILL was needed for the first process), ``left`` (processes
            that lived on 2 s after it had ended) and ``stuck`` (would not die).
        """
        begun = time.monotonic()
        killed = False
        left = 0
        if self._control is not None:
            if grace_s > 0:
                supervisor_say(self._control, "term")
                while not self.wait(0.1) and time.monotonic() - begun < grace_s:
                    idle()
                killed = self.exit_status is None
                left = self._followers(0.0 if killed else min(grace_s, TO_FOLLOW_S))
            self._end()
            self._sweep(idle)
        if self._supervisor and not _reaped(self._supervisor):
            self._lost = True
        self._close()
        self._supervisor = 0
        if self._lost:  # orphans of a supervisor that was killed: the agent is a subreaper too
            self.stuck = sorted({*self.stuck, *supervisor.sweep(os.getpid())})
            self._lost = False
        self._end()
        if self._finished():
            self._ledger.close()
        return {
            "seconds": round(time.monotonic() - begun, 3),
            "killed": killed,
            "left": left,
            "stuck": self.stuck,
        }

    def _end(self) -> None:
        """Ends what is not below the supervisor: nothing of a plain process tree."""

    def _finished(self) -> bool:
        """Says whether nothing is left that the ledger has to name."""
        return not self.stuck

    def uncounted(self) -> Optional[str]:
        """Returns why the bytes could not be counted, where there is a reason to be told."""
        return None

    def _first(self) -> int:
        """Returns the id of the server's first process; its children end after it."""
        return self.pid

    def began_s(self) -> float:
        """Returns how many seconds after the start the server's first process began."""
        return 0.0

    def _followers(self, wait_s: float) -> int:
        """Returns how many processes outlive the first one by more than a while."""
        end = time.monotonic() + wait_s
        while True:
            left = sum(1 for one in self.tree() if one.pid != self._first())
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.05)

    def _sweep(self, idle: Callable[[], None]) -> None:
        """Has the supervisor end the tree; one that was stopped is continued first."""
        end = time.monotonic() + supervisor.SWEEP_LIMIT_S + TO_ANSWER_S
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._supervisor, signal.SIGCONT)
        if self._control is not None:
            supervisor_say(self._control, "kill")
        while self._control is not None and self.read_bytes_at_end is None:
            self._receive(1.0)
            idle()
            if time.monotonic() > end:
                return


def supervisor_say(control: socket.socket, word: str) -> None:
    """Sends one word to the supervisor; one that is gone is noticed elsewhere."""
    with contextlib.suppress(OSError):
        control.sendall(word.encode() + b"\n")


def _reaped(pid: int) -> bool:
    """Reaps the supervisor. Returns False if it had to be killed."""
    for _ in range(200):
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return True
        except ChildProcessError:
            return True
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False
