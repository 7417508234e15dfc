"""Starts the agent so that it outlives the connection that started it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from coldproof_agent import campaign, durable, leftovers, locks, oomscore, preflight, stops
from coldproof_agent import plan as plans
from coldproof_agent.errors import Refusal
from coldproof_agent.journal import Journal

# An interpreter that starts from a cold, busy disk takes tens of seconds.
READY_S = 120.0
DYING_S = 5.0
OTHER_START_S = 300.0


def myself() -> list[str]:
    """Returns the words that start this very agent: an archive, or a package folder."""
    here = Path(__file__).resolve().parent
    for archive in here.parents:
        if archive.is_file():
            return [sys.executable, str(archive)]
    return [sys.executable, str(here.parent / "coldproof_agent")]


def _scope(name: str) -> list[str]:
    """Returns the words that put a command in a systemd scope of its own, where there is one.

    logind ends a user's processes at logout where KillUserProcesses is on; a scope under
    system.slice is not the user's.
    """
    if os.geteuid() == 0 and Path("/run/systemd/system").is_dir():
        return ["systemd-run", "--quiet", "--scope", "--collect", f"--unit={name}", "--"]
    return []


def start(state: Path) -> dict[str, Any]:
    """Starts the plan in ``state``/plan.json, or joins the agent that already carries it out.

    Returns:
        ``ok`` with ``campaign``, ``pid`` and ``joined``, or ``refusals``.
    """
    lock = None
    try:
        plan = plans.read(state / "plan.json")
        # Two controllers at one instant: the second waits for what came of the first.
        lock = locks.start_lock(state, OTHER_START_S)
        stops.take_back(state, plan.campaign)
        held = locks.holder(state)
        if held and held[1] == plan.campaign:
            return _joined(state, plan.campaign, held[0])
        ended = leftovers.end_of(state, plan.campaign)
        found = preflight.examine(plan, state)
        if not found["ok"]:
            return {"ok": False, "refusals": found["refusals"]}
        journal = Journal(campaign.open_folder(state, plan))
        for one in ended:
            journal.note("leftover_ended", **one)
        pid = _spawn(state, plan.campaign)
    except Refusal as refusal:
        held = locks.holder(state) if refusal.code == "locked" else None
        if held and held[1] == plan.campaign:  # begun by hand meanwhile, or at boot
            return _joined(state, plan.campaign, held[0])
        return {"ok": False, "refusals": [refusal.as_dict()]}
    finally:
        if lock is not None:
            locks.release(lock)
    return {"ok": True, "campaign": plan.campaign, "pid": pid, "joined": False}


def _joined(state: Path, name: str, pid: int) -> dict[str, Any]:
    """Returns the answer to a second controller; the running agent has its secrets already."""
    (state / "secrets.json").unlink(missing_ok=True)
    return {"ok": True, "campaign": name, "pid": pid, "joined": True}


def _spawn(state: Path, name: str) -> int:
    """Starts the agent detached. Returns its pid once it holds the lock."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    words = [
        *_scope(f"coldproof-{name}-{os.getpid()}"),
        *myself(),
        "run",
        "--state",
        str(state),
        "--report-fd",
        str(writer),
    ]
    path = campaign.folder_of(state, name) / "agent.log"
    with open(path, "ab") as log:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            pass_fds=(writer,),
        )
    os.close(writer)
    data = _said(reader)
    if not data:
        raise _silent(child, path)
    answer = json.loads(data)
    if "pid" not in answer:
        raise Refusal(**answer)
    return int(answer["pid"])


def _said(reader: int) -> bytes:
    """Returns the line that the agent says when it begins; nothing if it says none in time."""
    data = b""
    end = time.monotonic() + READY_S
    while not data.endswith(b"\n"):
        left = end - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            break
        part = os.read(reader, 4096)
        if not part:
            break
        data += part
    os.close(reader)
    return data


def _silent(child: subprocess.Popen[bytes], log: Path) -> Refusal:
    """Returns why an agent did not say that it begins; one that may do so yet is ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        status = child.wait(timeout=DYING_S)
        return Refusal(
            "agent_died", f"the agent ended at once (exit status {status}): see {log} on the node"
        )
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    return Refusal(
        "agent_slow",
        f"the agent did not begin within {READY_S:.0f} s, and was ended: the node is too busy to "
        f"be measured now; see {log} there",
    )


def carry_out(state: Path, report_fd: int) -> int:
    """Runs in the detached agent: takes the lock, says so, carries the plan out.

    Returns:
        the exit status.
    """
    plan = plans.read(state / "plan.json")
    lock = locks.state_lock(state, plan.campaign)
    if lock is None:
        held = locks.holder(state) or (0, "?")
        answer: dict[str, Any] = {
            "code": "locked",
            "message": f"campaign {held[1]} runs here (pid {held[0]})",
            "variable": "coldproof_campaign",
        }
        _report(report_fd, answer)
        return 1
    oomscore.shield()
    try:
        work = campaign.Campaign(state, plan, myself())
        # Before anybody looks: the status that an earlier agent left is not this one's.
        work.status.set(phase="preparing")
        _report(report_fd, {"pid": os.getpid()})
        return 0 if work.carry_out() else 1
    finally:
        locks.release(lock)


def _report(report_fd: int, answer: dict[str, Any]) -> None:
    """Tells whoever started this agent what came of it; nobody waits if there is no descriptor."""
    if report_fd >= 0:
        os.set_inheritable(report_fd, False)
        os.write(report_fd, json.dumps(answer).encode() + b"\n")
        os.close(report_fd)


def prepare_by_hand(state: Path, plan_file: Path) -> None:
    """Puts a plan where ``run`` finds it: for a node without Ansible."""
    state.mkdir(parents=True, exist_ok=True, mode=0o755)
    durable.replace(state / "plan.json", plan_file.read_bytes())
