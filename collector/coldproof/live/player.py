"""ansible-playbook, run by ansible-runner in a thread, with its events in a queue.

ansible-runner writes the command with the whole environment into its artifacts, and every event:
here the first goes into memory that has no name in any folder (where the system has none such, it
is deleted before the playbook begins), the others are not written, and the private folder goes in
the end.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ansible_runner import Runner, RunnerConfig

# A process says its id, then is the playbook: ansible-runner can only kill it.
WRAPPER = 'echo $$ >"$0" && exec "$@"'
GRACE_S = 20.0
LOOK_S = 1


class Player:
    """One playbook. Its events are put into `events`, as ansible-runner makes them."""

    def __init__(
        self,
        playbook: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        events: SimpleQueue[dict[str, Any]],
        folder: Path,
    ) -> None:
        """Prepare it. `folder` is private and empty, and the caller deletes it in the end."""
        self._events = events
        self._pid_file = folder / "pid"
        config = RunnerConfig(
            private_data_dir=str(folder),
            project_dir=str(Path.cwd()),
            playbook=playbook,
            cmdline=shlex.join(arguments),
            envvars=dict(environment),
            ident="run",
            quiet=True,
        )
        config.prepare()
        config.suppress_output_file = True
        self._command = withhold(Path(config.artifact_dir) / "command")
        config.pexpect_timeout = LOOK_S
        # Of this very Python, which need not be in PATH.
        words = [sys.executable, "-m", "ansible", "playbook", *config.command[1:]]
        config.command = ["/bin/sh", "-c", WRAPPER, str(self._pid_file), *words]
        self._kill = threading.Event()
        self._runner = Runner(
            config,
            event_handler=self._event,
            status_handler=self._status,
            cancel_callback=self._kill.is_set,
        )
        self._thread = threading.Thread(target=self._runner.run, name="ansible-runner")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def playing(self) -> bool:
        """Say whether it has not ended yet."""
        return self._thread.is_alive()

    def interrupt(self) -> None:
        """End it as Ctrl-C ends ansible-playbook: with its workers."""
        try:
            os.kill(int(self._pid_file.read_text("ascii")), signal.SIGINT)
        except (OSError, ValueError):  # it has not begun, or has ended
            self.kill()

    def kill(self) -> None:
        """End it at once, and its workers, which would outlive it: each has a session of its own.

        Only Linux tells which they are.
        """
        if not self._kill.is_set() and self.playing():
            with contextlib.suppress(OSError, ValueError):
                pid = int(self._pid_file.read_text("ascii"))
                os.kill(pid, signal.SIGSTOP)  # it begins no other
                for one in [*descendants(pid), pid]:
                    with contextlib.suppress(OSError):  # it has ended, or is another user's
                        os.kill(one, signal.SIGKILL)
        self._kill.set()

    def wait(self) -> int:
        """Return its exit code, when it has ended."""
        self._thread.join()
        code = self._runner.rc
        return 254 if code is None else int(code)

    def _event(self, event: dict[str, Any]) -> bool:
        """Enqueue only: ansible-runner loses its way where a handler is slow."""
        self._events.put(event)
        return False

    def _status(self, status: Mapping[str, Any], runner_config: Any) -> None:
        """Forget what was written of the environment, before anything runs."""
        if status["status"] == "running":
            (Path(runner_config.artifact_dir) / "command").unlink(missing_ok=True)
            if self._command is not None:
                os.close(self._command)


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has begun, and theirs, as /proc has them now."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # pid (name) state ppid: proc_pid_stat(5). The name may hold anything.
            parent = int(path.read_text("utf-8", "replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = list(children.get(pid, ()))
    for one in found:
        found += children.get(one, ())
    return found


def withhold(path: Path) -> int | None:
    """Let what this process writes to a path go into memory that only it holds.

    Returns the descriptor of that memory: closed, it is gone. None where the system has no such
    memory (anything but Linux): then a file is written.
    """
    if not hasattr(os, "memfd_create"):
        return None
    memory = os.memfd_create(path.name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.symlink_to(f"/proc/self/fd/{memory}")
    return memory


def private_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that this user alone may enter, in memory where the system has it.

    A file that is replaced there costs a tenth of what it does on a disk.
    """
    places = (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm")
    usable = (one for one in places if one and os.access(one, os.W_OK | os.X_OK))
    return tempfile.TemporaryDirectory(prefix="coldproof-", dir=next(usable, None))
