"""Deletes every trace of coldproof from a node, and says what it found."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from coldproof_agent import container, launcher, locks, procfs, reboot, runtime
from coldproof_agent.errors import Refusal

# What this or an older agent wrote into a state folder; what else lies there is not ours.
OURS = (
    "coldproof-agent.pyz",
    "coldproof-results.tar",
    "campaigns",
    "compile-caches",
    "container-docker.id",
    "container-podman.id",
    "engine",
    "launched.json",
    "lock",
    "plan.json",
    "secrets.json",
    "status.json",
)
END_S = 30.0


def clean(state: Path) -> dict[str, Any]:
    """Ends the agent and its servers, removes the unit, the locks and the state folder.

    A model that was written on first use stays: it lies in a tier's path, not here.

    Returns:
        ``ended`` (processes), ``removed`` (paths), ``unit`` (whether one was armed) and ``left``
        (what in the state folder is not coldproof's, and was not touched).

    Raises:
        Refusal: the agent would not end.
    """
    ended: list[dict[str, Any]] = []
    held = locks.holder(state)
    if held is not None and held[0] > 0:
        ended.append({"pid": held[0], "command": f"agent of campaign {held[1]}"})
        _end(state, held[0])
    ended += launcher.end_leftovers(state / "launched.json")
    for name in runtime.NAMES:
        if (state / f"container-{name}.id").exists() and shutil.which(name):
            gone = container.remove_all(runtime.Runtime(name), state)
            ended += [{"pid": 0, "command": f"container {one}"} for one in gone]
    unit = reboot.disarm() if os.geteuid() == 0 else False
    removed = []
    for one in (*(state / name for name in OURS), *map(Path, glob.glob(f"{state}/.*"))):
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        elif one.exists() or one.is_symlink():
            one.unlink()
        else:
            continue
        removed.append(str(one))
    left = sorted(os.listdir(state)) if state.is_dir() else []
    if state.is_dir() and not left:
        state.rmdir()
        removed.append(str(state))
    for lock in glob.glob("/run/lock/coldproof-*.lock") + glob.glob("/tmp/coldproof-*.lock"):
        if os.access(lock, os.W_OK):
            os.unlink(lock)
            removed.append(lock)
    return {"ok": not left, "ended": ended, "removed": removed, "unit": unit, "left": left}


def _lives(pid: int) -> bool:
    """Says whether a process is there and has not ended yet."""
    one = procfs.process(pid)
    return one is not None and one.state != "Z"


def _end(state: Path, pid: int) -> None:
    """Ends the agent; its supervisor then ends the server."""
    begun = time.monotonic()
    number = signal.SIGTERM
    while locks.holder(state) is not None or _lives(pid):
        if time.monotonic() - begun > END_S:
            raise Refusal("agent_stuck", f"the agent (pid {pid}) does not end", None)
        if time.monotonic() - begun > END_S / 3:
            number = signal.SIGKILL
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        time.sleep(0.2)
