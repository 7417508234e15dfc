"""status.json: where the agent stands. Replaced atomically, at most 2 KiB, world-readable."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import procfs

MAX_BYTES = 2048
HEARTBEAT_S = 10.0


class Status:
    """The file of one campaign; ``set`` writes it, ``beat`` when the heartbeat is due."""

    def __init__(self, path: Path, campaign: str, of: int) -> None:
        self._path = path
        self._last = 0.0
        self._written = ""
        self._fields: dict[str, Any] = {
            "schema": "coldproof.status/1",
            "campaign": campaign,
            "phase": "preparing",
            "run": None,
            "server_phase": None,
            "elapsed_s": None,
            "last_s": None,
            "step": 0,
            "of": of,
            "needs": None,
            "turn": None,
            "done": False,
            "error": None,
            "boot_id": procfs.boot_id(),
            "pid": os.getpid(),
        }

    def set(self, **fields: Any) -> None:
        """Changes fields and writes the file; a new phase of the agent ends the server's.

        Never fails: a disk that is full must not end a campaign in the middle of a run.
        """
        if "phase" in fields:
            self._fields.update(server_phase=None, elapsed_s=None)
        self._fields.update(fields)
        self._write()

    def beat(self, **fields: Any) -> None:
        """Writes the file again, with these fields changed, if the last time is ten seconds ago."""
        if time.monotonic() - self._last >= HEARTBEAT_S:
            self.set(**fields)

    def fail(self, code: str, message: str, variable: Optional[str]) -> None:
        """Ends with an error."""
        self.set(phase="failed", error={"code": code, "message": message, "variable": variable})

    def _write(self) -> None:
        self._last = time.monotonic()
        beat = time.clock_gettime(time.CLOCK_BOOTTIME)
        fields = dict(self._fields, heartbeat=round(beat, 3))
        data = json.dumps(fields, sort_keys=True).encode()
        if len(data) >= MAX_BYTES and fields["error"]:
            message = str(fields["error"]["message"]).encode("ascii", "replace").decode()
            while len(data) >= MAX_BYTES and message:  # a character has at most six bytes in JSON
                message = message[: -((len(data) - MAX_BYTES) // 6 + 1)]
                fields["error"] = dict(fields["error"], message=message)
                data = json.dumps(fields, sort_keys=True).encode()
        data = data.ljust(MAX_BYTES - 1)  # so that the next one fits into the blocks it has
        # Not fsynced: it is rewritten at every change, and a write to the disk under test counts.
        beside = self._path.with_name(f".{self._path.name}.new")
        try:
            beside.write_bytes(data + b"\n")
            beside.chmod(0o644)
            beside.rename(self._path)
        except OSError as error:
            print(f"status.json: {error}", file=sys.stderr)
            self._overwrite(data)

    def _overwrite(self, data: bytes) -> None:
        """Writes into the file's own blocks, which a full disk still lets one do."""
        with contextlib.suppress(OSError):
            beside = self._path.with_name(f".{self._path.name}.new")
            beside.unlink(missing_ok=True)
            with open(self._path, "r+b", buffering=0) as there:
                there.write(data.ljust(os.fstat(there.fileno()).st_size - 1) + b"\n")
