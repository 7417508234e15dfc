"""QEMU's monitor: the QMP protocol over its socket (QEMU, docs/interop/qmp-spec.rst)."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.fleet.nodes import FleetError

LIMIT_S = 30.0


class Monitor:
    """One conversation with a running QEMU, as a context manager."""

    def __init__(self, path: Path) -> None:
        """Connects to the socket `path`; QEMU makes it shortly after its start."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(LIMIT_S)
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                # Relative: the path of a socket may not be longer than 107 bytes.
                self._socket.connect(os.path.relpath(path))
                break
            except (FileNotFoundError, ConnectionRefusedError) as error:
                if time.monotonic() > deadline:
                    raise FleetError(f"no monitor at {path}: is the machine on?") from error
                time.sleep(0.1)
        self._lines = self._socket.makefile("rb")
        self._lines.readline()
        self.execute("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        self._socket.close()

    def execute(self, command: str, **arguments: Any) -> Any:
        """Runs a command and returns its answer; events in between are left out.

        Raises:
            FleetError: QEMU refused the command, or ended.
        """
        request = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        for line in self._lines:
            answer = json.loads(line)
            if "error" in answer:
                raise FleetError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise FleetError(f"{command}: QEMU ended")
