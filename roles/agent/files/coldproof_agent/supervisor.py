"""The subreaper that owns a server's process tree, and outlives the agent by milliseconds.

Forked from the agent, not started anew: no interpreter start, nothing read through the page cache.
It reaps the whole tree, so its /proc/self/io counts all bytes the tree made storage deliver, and
when the agent dies (its end of the socket closes) it kills the tree and ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import json
import os
import select
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from coldproof_agent import oomscore, procfs

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
SWEEP_LIMIT_S = 30.0
# Held back while the supervisor is forked: it ignores them, and must not take one as the agent.
HELD_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


class Command(NamedTuple):
    """What to execute: argv, environment, working directory, and whose rights (None: our own)."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    uid: Optional[int] = None
    gid: Optional[int] = None
    groups: Sequence[int] = ()


def become_subreaper() -> None:
    """Makes orphans below this process its own children (prctl(2)). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def sweep(root: int) -> list[int]:
    """Kills everything below a process (this one) until nothing is left.

    Returns:
        the ids of processes that would not die within 30 s (in the kernel, say).
    """
    begun = time.monotonic()
    while True:
        left = [one for one in procfs.descendants(root) if one.state != "Z"]
        for one in left:
            _kill(one.pid, signal.SIGKILL)
        childless = _reap() is None
        if childless and not left:
            return []
        if time.monotonic() - begun > SWEEP_LIMIT_S:
            return [one.pid for one in left]
        time.sleep(0.005)


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _reap() -> Optional[dict[int, int]]:
    """Reaps what has ended: raw status by pid; None if there are no children at all."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, raw = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended or None
        if not pid:
            return ended
        ended[pid] = raw


def main(command: Command, log: int, control: socket.socket) -> None:
    """Runs in the forked supervisor and never returns. ``HELD_SIGNALS`` are blocked on entry.

    Protocol, one JSON line each: it says ``spawned`` (pid, starttime), waits for ``go`` so that
    the agent can record the process durably before it exists as a server, says ``started`` (t,
    monotonic), ``failed`` (errno) or ``exited`` (status, t); on ``term`` it sends SIGTERM to the
    server, on ``kill`` it sweeps, says ``empty`` (read_bytes, stuck) and ends.
    """
    try:
        _supervise(command, log, control)
    finally:
        sweep(os.getpid())
        os._exit(0)


def _supervise(command: Command, log: int, control: socket.socket) -> None:
    os.setsid()
    become_subreaper()
    gc.disable()
    _close_all_but({0, 1, 2, log, control.fileno()})
    wake_r, wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for number in HELD_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
    gate_r, gate_w = os.pipe2(os.O_CLOEXEC)
    report_r, report_w = os.pipe2(os.O_CLOEXEC)
    server = os.fork()
    if server == 0:
        _become_server(command, log, gate_r, gate_w, report_w)
    os.close(gate_r)
    os.close(report_w)
    os.close(log)
    one = procfs.process(server)
    say(control, event="spawned", pid=server, starttime=one.starttime if one else 0)
    lines = Lines(control)
    lives = True
    while True:
        ready, _, _ = select.select([control.fileno(), wake_r], [], [])
        if wake_r in ready:
            os.read(wake_r, 4096)
            ended = _reap() or {}
            if server in ended:
                lives = False
                status = os.waitstatus_to_exitcode(ended[server])
                say(control, event="exited", status=status, t=time.monotonic())
        if control.fileno() not in ready:
            continue
        for word in lines.read():
            if word is None or word == "kill":
                stuck = sweep(os.getpid())
                say(control, event="empty", read_bytes=procfs.read_bytes(os.getpid()), stuck=stuck)
                return
            if word == "term" and lives:  # once reaped, its id may be somebody else's
                _kill(server, signal.SIGTERM)
            if word == "go":
                begun = time.monotonic()
                os.write(gate_w, b"g")
                failure = os.read(report_r, 16)
                if failure:
                    say(control, event="failed", errno=int(failure), t=begun)
                else:
                    say(control, event="started", t=begun)


def _close_all_but(kept: set[int]) -> None:
    """Closes what the agent had open: its lock must be free as soon as it is dead."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _become_server(command: Command, log: int, gate_r: int, gate_w: int, report: int) -> None:
    """Waits for the gate, gives up rights and executes the server; reports errno if it cannot."""
    status = 127
    try:
        os.close(gate_w)
        os.setsid()
        oomscore.unshield()
        signal.set_wakeup_fd(-1)
        for number in range(1, signal.NSIG):
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                try:
                    signal.signal(number, signal.SIG_DFL)
                except (OSError, ValueError):
                    continue
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if os.read(gate_r, 1) != b"g":
            os._exit(status)  # the supervisor is gone
        if command.uid is not None and command.gid is not None:
            os.setgroups(list(command.groups))
            os.setgid(command.gid)
            os.setuid(command.uid)
        os.chdir(command.cwd)
        os.execve(command.argv[0], list(command.argv), dict(command.env))
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in argv or environment
        os.write(report, str(getattr(error, "errno", errno.EINVAL)).encode())
    finally:
        os._exit(status)


def say(control: socket.socket, **message: Any) -> None:
    """Sends one JSON line; a peer that is gone is noticed by its end of file instead."""
    with contextlib.suppress(OSError):
        control.sendall(json.dumps(message).encode() + b"\n")


class Lines:
    """Splits what arrives on a socket into words; None marks its end."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._rest = b""

    def read(self) -> list[Optional[str]]:
        """Reads once (the socket is readable). Returns the complete lines."""
        try:
            data = self._control.recv(65536)
        except OSError:
            data = b""
        if not data:
            return [None]
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode() for line in lines]
