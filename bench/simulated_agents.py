"""Simulated agents of many nodes: one thread that writes their status.json as they do.

Not a benchmark: bench/live.py uses it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CAMPAIGN = "20261123T215900Z-0123456789ab"
# Seconds from one heartbeat to the next, and from one new thing to the next, of a node.
BEAT_S, NEWS_S = 10.0, 30.0
# All nodes are written in so many parts, each at another moment.
PARTS = 20


class Agents:
    """Writes the status of all nodes, as agents that start servers do.

    What is new is a run and, as the seconds of the last one, the clock when it was written.
    """

    def __init__(self, states: Sequence[Path]) -> None:
        self._states = states
        self._over = threading.Event()
        self._writing = threading.Lock()
        self._done = False
        self._began = time.monotonic()
        self._news: dict[Path, tuple[int, float]] = {}
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        self._fields: dict[str, Any] = {
            "schema": "coldproof.status/1", "campaign": CAMPAIGN, "phase": "starting",
            "server_phase": "weights", "step": 3, "of": 7, "needs": None, "turn": None,
            "error": None, "boot_id": boot, "pid": os.getpid(),
        }  # fmt: skip
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Agents:
        self.end(done=False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def end(self, *, done: bool) -> None:
        """End the campaign, or begin it again."""
        with self._writing:
            self._done = done
            self._write(self._states)

    def _write(self, states: Sequence[Path]) -> None:
        """Write the status of these nodes now. Only who holds `_writing` calls it."""
        for state in states:
            number = int((time.monotonic() - self._began) // NEWS_S)
            if self._news.get(state, (-1, 0.0))[0] != number:
                self._news[state] = (number, time.monotonic())
            run, last = f"nvme/default cold {number}/9999", self._news[state][1]
            beat = time.clock_gettime(time.CLOCK_BOOTTIME)
            fields = self._fields | {
                "done": self._done,
                "run": run,
                "last_s": last,
                "heartbeat": beat,
            }
            fields["elapsed_s"] = time.monotonic() - last
            state.mkdir(exist_ok=True)
            beside = state / ".status.new"
            beside.write_bytes(json.dumps(fields, sort_keys=True).ljust(2047).encode() + b"\n")
            beside.rename(state / "status.json")

    def _run(self) -> None:
        """Write a part of the nodes each time, so that each is written every ten seconds."""
        at = 0
        while not self._over.wait(BEAT_S / PARTS):
            with self._writing:
                self._write(self._states[at::PARTS])
            at = (at + 1) % PARTS
