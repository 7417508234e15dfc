"""One playbook with its live view: plays, streams, shows, and ends as it is told."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from coldproof.live import log, places
from coldproof.live.events import Told
from coldproof.live.exchange import VARIABLE, Exchange
from coldproof.live.player import GRACE_S, Player, private_folder
from coldproof.live.streams import Streams

INTERRUPTED = 130
# From the first Ctrl-C on ansible-playbook has GRACE_S to end its workers; after a second one this.
HURRY_S = 5.0
# Events of what Ansible says beside its tasks.
BESIDE = ("error", "warning", "verbose", "deprecated")
TICK_S = 1.0
MOST_FILES = 65536
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Show:
    """What is done with what a session is told; this one shows nothing.

    Attributes:
        told: all that the session was told up to now.
        said: what Ansible said beside its tasks: errors before the first one, say.
    """

    def __init__(self) -> None:
        self.told = Told()
        self.said: list[str] = []

    def start(self) -> None:
        """Begin."""

    def event(self, event: dict[str, Any], _seen: dict[str, Any] | None, /) -> None:
        """Show an event of the playbook, in which a status was seen; keep what Ansible says."""
        if event.get("event") in BESIDE:
            self.said += str(event.get("stdout") or "").splitlines()

    def streamed(self, node: str, seen: dict[str, Any] | None, /) -> None:
        """Show what was streamed, or that nothing can be."""

    def tick(self) -> None:
        """Show that time goes on."""

    def stop(self) -> None:
        """Show the end."""


class Session:
    """One run of a playbook."""

    def __init__(
        self, playbook: str, arguments: Sequence[str], show: Show, *, stream: bool
    ) -> None:
        self.told = show.told
        self._show, self._stream = show, stream
        self._playbook, self._arguments = playbook, list(arguments)
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._interrupts = 0
        self._blind = self._deaf = ""
        self._log = log.Log(log.secrets_of(os.environ, arguments))

    def run(self) -> int:
        """Return ansible-playbook's exit code, or INTERRUPTED."""
        allow_files()
        with private_folder() as name, self._signals():
            exchange = Exchange(Path(name) / "exchange")
            artifacts = Path(name) / "runner"
            for folder in (exchange.folder, artifacts):
                folder.mkdir(mode=0o700)
            exchange.make()
            environment = places.environment()
            if self._stream:
                environment[VARIABLE] = str(exchange.folder)
            player = Player(self._playbook, self._arguments, environment, self._queue, artifacts)
            streams = Streams(exchange, lambda *said: self._queue.put(said))
            self._see(self._show.start)
            player.start()
            try:
                interrupted = self._follow(player, streams)
            finally:
                player.kill()
                streams.end()
                exchange.close()
                code = player.wait()
                self._drain()
                self._see(self._show.stop)
                self._log.close()
                for lost in filter(None, (self._blind, self._deaf, self._log.failed)):
                    print(f"{lost}. The playbook was not touched by that.", file=sys.stderr)
        return INTERRUPTED if interrupted else code

    def _follow(self, player: Player, streams: Streams) -> bool:
        """Return whether it was interrupted before it had ended by itself."""
        since = 0.0
        while player.playing():
            # Not by a queue that wakes for each item: what comes within a tick is shown together.
            time.sleep(TICK_S)
            self._drain()
            self._stream_on(streams)
            self._see(self._show.tick)
            if self._interrupts and not since:
                if not player.playing():
                    break
                since = time.monotonic()
                player.interrupt()
            grace = GRACE_S if self._interrupts < 2 else HURRY_S
            if since and time.monotonic() - since > grace:
                player.kill()
        return bool(since)

    def _stream_on(self, streams: Streams) -> None:
        """Follow the playbook's wishes. Streams that fail are over; the playbook then polls."""
        if self._deaf:
            return
        try:
            streams.follow_wishes()
        except Exception as error:
            self._deaf = f"The streams ended ({type(error).__name__}: {error})"
            with contextlib.suppress(Exception):
                streams.end()
            now = time.monotonic()
            for node in self.told.unstreamed(self._deaf, now):
                self._see(self._show.streamed, node, None)

    def _drain(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._take(self._queue.get_nowait())

    def _see(self, act: Callable[..., None], *words: Any) -> None:
        """Have something shown. A view that fails is over; what is measured goes on."""
        if self._blind:
            return
        try:
            act(*words)
        except Exception as error:
            self._lose_sight(error)

    def _hear(self, act: Callable[..., Any], *words: Any) -> Any:
        """Take in what is told, in which nodes have their part. What fails is a view that fails."""
        try:
            return act(*words)
        except Exception as error:
            self._lose_sight(error)
            return None

    def _lose_sight(self, error: Exception) -> None:
        if self._blind:
            return
        self._blind = f"The live view ended ({type(error).__name__}: {error})"
        with contextlib.suppress(Exception):
            self._show.stop()

    def _take(self, item: Any) -> None:
        now = time.monotonic()
        if isinstance(item, tuple):
            node, status, why = item
            self._hear(self.told.streamed, node, status, why, now)
            self._see(self._show.streamed, node, status)
            return
        seen = self._hear(self.told.event, item, now)
        if item.get("stdout"):
            self._log.add(str(item["stdout"]))
        if self.told.directory:
            self._log.open(self.told.directory)
        self._see(self._show.event, item, seen)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def interrupted(_number: int, _frame: FrameType | None) -> None:
            self._interrupts += 1

        # What is ignored, as by nohup, stays so.
        heard = [one for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
        before = {number: signal.signal(number, interrupted) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def allow_files() -> None:
    """Let this process and the playbook open as many files as they may: a node takes several."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def terminal() -> bool:
    """Say whether standard output can show a table that is redrawn."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
