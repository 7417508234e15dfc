"""The folder by which the playbook and its live view speak, a file each way for each node.

The playbook's look asks: stream this state folder of that node, as ssh reaches it, so often. The
view puts there what the node answered last, and rings a bell (a FIFO) when that may matter to the
playbook, which sleeps meanwhile. An answer that is not fresh is none, and the playbook looks by
itself. The folder's name is in the environment of ansible-playbook; without it there is no view.
Standard library only: Ansible's workers import this.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from coldproof.looking import AGAIN
from coldproof.names import is_node

VARIABLE = "COLDPROOF_LIVE"
# An answer that was due so many times, and some seconds, is none.
INTERVALS = 2.5
SLACK_S = 5.0
WISHES, ANSWERS, BELLS = "wishes", "answers", "bells"
SETTLED_NS = 1_000_000_000
DEAF_S = 2.0


def stale_s(every_s: float) -> float:
    """Return after how many seconds an answer of a node that is looked at so often is none."""
    return INTERVALS * AGAIN * every_s + SLACK_S


class Exchange:
    """One run's folder, which its maker alone may enter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, dict[str, Any]] = {}
        self._changed = 0
        self._bells: dict[str, int] = {}

    @classmethod
    def of_environment(cls) -> Exchange | None:
        """Return the folder that the environment names; None where there is no live view."""
        named = os.environ.get(VARIABLE, "")
        return cls(Path(named)) if named and Path(named).is_dir() else None

    def make(self) -> Exchange:
        """Make the folders, in one that is there, and return itself."""
        for name in (WISHES, ANSWERS, BELLS):
            (self.folder / name).mkdir(mode=0o700)
        return self

    def ask(self, node: str, wish: Mapping[str, Any]) -> None:
        """Ask for a node's stream. A folder that is gone is no error: then nobody looks."""
        self._write(WISHES, node, json.dumps(wish, sort_keys=True))

    def withdraw(self, node: str) -> None:
        """Ask for a node's stream no more."""
        if is_node(node):
            with contextlib.suppress(OSError):
                (self.folder / WISHES / node).unlink()

    def wishes(self) -> dict[str, dict[str, Any]]:
        """Return the streams that are asked for now, by node."""
        changed = (self.folder / WISHES).stat().st_mtime_ns
        # Two changes may have one time.
        if changed != self._changed or time.time_ns() - changed < SETTLED_NS:
            self._changed, self._read = changed, {}
            for name in filter(is_node, sorted(os.listdir(self.folder / WISHES))):
                with contextlib.suppress(OSError, ValueError):
                    wish = json.loads((self.folder / WISHES / name).read_bytes())
                    self._read[name] = dict(wish)
        return self._read

    def put(self, node: str, text: str, *, ring: bool) -> None:
        """Keep what a node answered just now; `ring` where it is not as before."""
        self._hang(node)
        self._write(ANSWERS, node, f"{time.monotonic()!r}\n{text}")
        if ring:
            self.ring(node)

    def forget(self, node: str) -> None:
        """Keep nothing of a node that is not streamed now."""
        if is_node(node):
            with contextlib.suppress(OSError):
                (self.folder / ANSWERS / node).unlink()
            self.ring(node)

    def ring(self, node: str) -> None:
        """Wake the playbook's look at a node. A bell that is full has been rung."""
        if node in self._bells:
            with contextlib.suppress(OSError):
                os.write(self._bells[node], b"!")

    def _hang(self, node: str) -> None:
        """Make a node's bell, before there is an answer."""
        if node not in self._bells and is_node(node):
            path = self.folder / BELLS / node
            os.mkfifo(path, 0o600)
            # For both: it can be rung where nobody waits, and who waits wakes if we die.
            self._bells[node] = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def close(self) -> None:
        """Wake everybody for the last time."""
        for bell in self._bells.values():
            os.close(bell)
        self._bells.clear()

    def said(self, node: str, every_s: float) -> str | None:
        """Return what a node, asked every `every_s` seconds, answered last; None if it is stale."""
        if not is_node(node):
            return None
        try:
            text = (self.folder / ANSWERS / node).read_bytes().decode("utf-8", "replace")
        except OSError:
            return None
        at, _, answer = text.partition("\n")
        # The monotonic clock is the same in all processes of a machine.
        return answer if time.monotonic() - float(at) <= stale_s(every_s) else None

    @contextlib.contextmanager
    def bell(self, node: str) -> Iterator[Callable[[float], None]]:
        """Hear a node's bell: what is given waits for it, some seconds at most."""
        try:
            heard = os.open(self.folder / BELLS / node, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            yield lambda most_s: time.sleep(min(most_s, DEAF_S))
            return

        # Not select, which takes no descriptor above 1023.
        rung = select.poll()
        rung.register(heard, select.POLLIN)

        def wait(most_s: float) -> None:
            if rung.poll(1000 * max(0.0, most_s)):
                with contextlib.suppress(BlockingIOError):
                    if not os.read(heard, 1 << 16):  # who rings it is gone
                        time.sleep(min(most_s, DEAF_S))

        try:
            yield wait
        finally:
            os.close(heard)

    def _write(self, kind: str, node: str, text: str) -> None:
        """Replace a file. Not synced: it is of no use after a crash."""
        if not is_node(node):
            return
        path = self.folder / kind / node
        beside = self.folder / f"{kind}.{node}.{os.getpid()}"
        with contextlib.suppress(OSError):
            beside.write_bytes(text.encode("utf-8", "replace"))
            beside.replace(path)
