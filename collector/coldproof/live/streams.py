"""Streams of what nodes' agents do: one channel a node, a shell's loop at its other end.

Each answer is put into the exchange, where the playbook's own looks find it, and is told to the
view. A stream that cannot be had is told too, with its reason; the playbook then looks by itself.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import paramiko

from coldproof.live.exchange import Exchange, stale_s
from coldproof.live.ssh import Connection, UnreachableError
from coldproof.looking import END, MOST_BYTES, read, stream

# sshd drops connections of those that are not let in yet where there are more than ten.
AT_ONCE = 8
AGAIN_S = (5.0, 30.0, 60.0)
# Where one does not know the other: trying costs the node a key exchange.
REFUSED_S = 600.0
# An answer is a status, two lines and the agent's entry in /proc.
MOST_PENDING = MOST_BYTES + 4096
# What of an answer may matter to the playbook; the rest is for the view.
MATTERS = ("campaign", "boot_id", "pid", "needs", "turn", "done", "error")
# Called by the streams' threads: node, its status or None, and why there is none.
Told = Callable[[str, dict[str, Any] | None, str], None]
NO_STATUS = "the user of the connection cannot read its status there"


class Streams:
    """All streams of one run."""

    def __init__(self, exchange: Exchange, told: Told) -> None:
        self._exchange = exchange
        self._told = told
        self._open: dict[str, Stream] = {}
        self._at_once = threading.BoundedSemaphore(AT_ONCE)

    def follow_wishes(self) -> None:
        """Begin what is asked for, and end what is asked for no more."""
        wishes = self._exchange.wishes()
        for name in [name for name, one in self._open.items() if wishes.get(name) != one.wish]:
            self._open.pop(name).end()
        for name in wishes.keys() - self._open.keys():
            self._open[name] = Stream(name, wishes[name], self._exchange, self._told, self._at_once)

    def end(self) -> None:
        """End all of them."""
        for one in self._open.values():
            one.end()
        for one in self._open.values():
            one.thread.join(timeout=10)
        self._open.clear()


class Stream:
    """One node's stream: a thread that connects, reads, and connects again."""

    def __init__(
        self,
        node: str,
        wish: Mapping[str, Any],
        exchange: Exchange,
        told: Told,
        at_once: threading.BoundedSemaphore,
    ) -> None:
        self.node, self.wish = node, wish
        self._exchange, self._told, self._at_once = exchange, told, at_once
        self._ended = threading.Event()
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, name=f"stream {node}", daemon=True)
        self.thread.start()

    def end(self) -> None:
        """End it soon; its thread may live on for a moment."""
        self._ended.set()
        with self._lock:
            if self._connection is not None:
                self._connection.close()

    def _run(self) -> None:
        if why := self.wish.get("why"):
            self._told(self.node, None, str(why))
            return
        failures = 0
        while not self._ended.is_set():
            begun, refused = time.monotonic(), False
            try:
                self._stream()
                reason = "its connection ended"
            except UnreachableError as error:
                reason, refused = str(error), error.refused
            except (OSError, EOFError, paramiko.SSHException) as error:
                reason = f"its connection ended ({error or type(error).__name__})"
            except Exception as error:  # of paramiko, of files it reads: no reason to say nothing
                reason = f"{type(error).__name__}: {error}"
            if self._ended.is_set():
                return
            self._exchange.forget(self.node)
            self._told(self.node, None, reason)
            if reason == NO_STATUS:
                return
            failures = 1 if time.monotonic() - begun > AGAIN_S[-1] else failures + 1
            again_s = AGAIN_S[min(failures, len(AGAIN_S)) - 1]
            self._ended.wait(REFUSED_S if refused else again_s)

    def _stream(self) -> None:
        """Connect, and tell each answer, until the connection ends. Raises UnreachableError."""
        every_s = float(self.wish["every_s"])
        words = stream(str(self.wish["state_dir"]), every_s)
        with self._at_once:
            if self._ended.is_set():
                return
            connection = Connection(list(self.wish["ssh"]), str(self.wish["host"]))
        with self._lock:
            self._connection = connection
        try:
            if not self._ended.is_set():
                self._read(connection.run(f"exec /bin/sh -c {shlex.quote(words)}"), every_s)
        finally:
            with self._lock:
                self._connection = None
            connection.close()

    def _read(self, channel: paramiko.Channel, every_s: float) -> None:
        channel.settimeout(stale_s(every_s))
        pending, empty, before = b"", 0, None
        while data := channel.recv(MOST_PENDING):
            *answers, pending = (pending + data).split(END)
            if len(pending) > MOST_PENDING:
                raise UnreachableError("what it streams is no status")
            for answer in answers:
                text = answer.decode("utf-8", "replace")
                seen = read(text)
                status = seen["status"]
                empty = 0 if status else empty + 1
                if empty > 1:
                    raise UnreachableError(NO_STATUS)
                if status:
                    now = [seen["boot_id"], seen["alive"], *map(status.get, MATTERS)]
                    self._exchange.put(self.node, text, ring=now != before)
                    self._told(self.node, status, "")
                    before = now
