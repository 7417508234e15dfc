"""Deletes every trace of coldproof from a node, and says what it found."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import re
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import container, launcher, locks, procfs, reboot, runtime
from coldproof_agent.errors import Refusal
from coldproof_agent.procfs import Process

# What this or an older agent wrote into a state folder; what else lies there is not ours, and the
# folder may be somebody's home.
OURS = (
    "coldproof-agent.pyz",
    "coldproof-results.tar",
    "engine-version.json",
    "launched.json",
    "lock",
    "plan.json",
    "secrets.json",
    "status.json",
    "stop.json",
    ".stop.new",
    "turn.json",
    ".turn.new",
)
# The same of its folders.
INSIDE = {
    "campaigns": re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}"),
    "compile-caches": re.compile(r".+"),  # servers in containers write there, and nobody else
    "containers": re.compile(r"docker|podman"),
    "engine": re.compile(r"__pycache__|reference_server\.py|\.reference_server\.py\.[0-9]+\.new"),
}
# What is left where it is killed in the middle of a write: by the Ansible module, by the probe for
# space, and beside a file that is replaced.
BESIDE = re.compile(
    r"\.coldproof\.\w{8}|\.space\.[0-9]+|\.status\.json\.new"
    rf"|\.(?:{'|'.join(map(re.escape, OURS))})\.[0-9]+(?:\.new)?"
)
END_S = 30.0


def clean(state: Path) -> dict[str, Any]:
    """Ends the agent and its servers, removes the unit, the locks and the state folder.

    A model that was written on first use stays: it lies in a tier's path, not here.

    Returns:
        ``ended`` (processes), ``removed`` (paths), ``unit`` (whether one was armed), ``left``
        (what in the state folder is not coldproof's, and was not touched) and ``held`` (locks of
        GPUs that an agent with another state folder holds).

    Raises:
        Refusal: the agent would not end, or it cannot be told which process it is.
    """
    ended: list[dict[str, Any]] = []
    held = locks.holder(state)
    if held is not None:
        agent = _agent(state, *held)
        ended.append({"pid": agent.pid, "command": f"agent of campaign {held[1]}"})
        _end(state, agent)
    ended += launcher.end_leftovers(state / "launched.json")
    for name in runtime.NAMES:
        if (state / container.RUNTIMES / name).exists() and shutil.which(name):
            gone = container.remove_all(runtime.Runtime(name), state)
            ended += [{"pid": 0, "command": f"container {one}"} for one in gone]
    unit = reboot.disarm() if os.geteuid() == 0 else False
    removed = _remove(state) if state.is_dir() else []
    left = sorted(os.listdir(state)) if state.is_dir() else []
    gpus = _gpu_locks()
    removed += [lock for lock, gone in gpus.items() if gone]
    held_gpus = [lock for lock, gone in gpus.items() if not gone]
    return {
        "ok": not left,
        "ended": ended,
        "removed": removed,
        "unit": unit,
        "left": left,
        "held": held_gpus,
    }


def _remove(state: Path) -> list[str]:
    """Deletes what is ours of a state folder, and the folder if that was all. Returns the paths."""
    removed = []
    for folder, ours in INSIDE.items():
        removed += _remove_inside(state / folder, ours)
    for name in sorted(os.listdir(state)):
        one = state / name
        if (name in OURS or BESIDE.fullmatch(name)) and (one.is_symlink() or not one.is_dir()):
            one.unlink()
            removed.append(str(one))
    return removed + _remove_empty(state)


def _remove_inside(folder: Path, ours: re.Pattern[str]) -> list[str]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    found = [folder / name for name in sorted(os.listdir(folder)) if ours.fullmatch(name)]
    for one in found:
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()
    return [*map(str, found), *_remove_empty(folder)]


def _remove_empty(folder: Path) -> list[str]:
    if folder.is_symlink() or os.listdir(folder):
        return []
    folder.rmdir()
    return [str(folder)]


def _gpu_locks() -> dict[str, bool]:
    """Deletes the locks of GPUs that nobody holds. Returns all, with whether it is gone."""
    folders = {"/run/lock", "/tmp", tempfile.gettempdir()}
    found = sorted(one for folder in folders for one in glob.glob(f"{folder}/coldproof-*.lock"))
    return {lock: gone for lock in found if (gone := _delete_lock(lock)) is not None}


def _delete_lock(path: str) -> Optional[bool]:
    """Returns whether a lock was deleted: not if it is held; None if one may not even look."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)  # while it is held, so that nobody takes what is deleted next
    except BlockingIOError:
        return False
    except OSError:
        return None
    finally:
        os.close(fd)
    return True


def _agent(state: Path, pid: int, campaign: str) -> Process:
    """Returns the process that holds the state folder's lock, as the lock names it.

    Raises:
        Refusal: the process of that id has not opened the lock: its id may have been given out
            anew, or was one of another container, and it is not ours to end.
    """
    one = procfs.process(pid)
    if one is None or not _has_open(pid, os.stat(state / "lock")):
        raise Refusal(
            "not_the_agent",
            f"{state}/lock is held, and names process {pid} of campaign {campaign}, which has not "
            f"opened it as far as this user can see: end by hand whoever has "
            f"(fuser -v {state}/lock), or clean as the user who runs the agent",
            "coldproof_state_dir",
        )
    return one


def _has_open(pid: int, file: os.stat_result) -> bool:
    """Says whether a process has a file open, as far as one may look."""
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                if os.path.samestat(entry.stat(), file):
                    return True
            except OSError:
                continue
    except OSError:
        pass
    return False


def _lives(one: Process) -> bool:
    """Says whether a process is there, has not ended yet, and is no later one of its id."""
    now = procfs.process(one.pid)
    return now is not None and now.starttime == one.starttime and now.state != "Z"


def _end(state: Path, agent: Process) -> None:
    """Ends the agent; its supervisor then ends the server."""
    begun = time.monotonic()
    number = signal.SIGTERM
    while locks.holder(state) is not None or _lives(agent):
        if time.monotonic() - begun > END_S:
            raise Refusal("agent_stuck", f"the agent (pid {agent.pid}) does not end", None)
        if time.monotonic() - begun > END_S / 3:
            number = signal.SIGKILL
        if _lives(agent):
            with contextlib.suppress(ProcessLookupError):
                os.kill(agent.pid, number)
        time.sleep(0.2)
