"""The cold method reboot: a systemd unit that goes on after the boot, and the boot that settles.

The agent never reboots by itself: it arms the unit, says ``needs: reboot`` and ends. The unit is
disarmed by the agent that it starts, so one arming resumes once.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coldproof_agent import bounded, durable, storage
from coldproof_agent.errors import Refusal

NAME = "coldproof-agent.service"
UNIT = Path("/etc/systemd/system") / NAME
WANTS = Path("/etc/systemd/system/multi-user.target.wants") / NAME
SETTLE_S = 180.0
QUIET_S = 3.0
QUIET_BYTES_PER_S = 2 << 20


def possible() -> bool:
    """Says whether systemd is this machine's init."""
    return Path("/run/systemd/system").is_dir()


def _quoted(words: Sequence[str]) -> str:
    """Returns words as systemd.service(5) reads them: quoted, with % and $ doubled."""
    text = []
    for word in words:
        safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
        text.append('"' + safe.replace("$", "$$") + '"')
    return " ".join(text)


def arm(command: Sequence[str], paths: Sequence[str], log: str) -> None:
    """Writes and enables the unit, durably: the machine goes down next.

    Args:
        command: what it executes.
        paths: folders whose mounts it waits for (RequiresMountsFor).
        log: the file its output is appended to.

    Raises:
        Refusal: there is no systemd, or its folder cannot be written.
    """
    if not possible():
        raise Refusal(
            "no_systemd", "method reboot needs systemd on the node", "coldproof_cold_method"
        )
    escaped = [_quoted([one]) for one in paths]
    text = f"""\
[Unit]
Description=coldproof: go on with a campaign after its reboot
RequiresMountsFor={" ".join(escaped)}
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart={_quoted(command)}
StandardOutput=append:{log.replace("%", "%%")}
StandardError=inherit
Restart=no
TimeoutStopSec=90

[Install]
WantedBy=multi-user.target
"""
    try:
        durable.replace(UNIT, text.encode())
        WANTS.parent.mkdir(exist_ok=True)
        if not WANTS.is_symlink():
            WANTS.symlink_to(UNIT)
        durable.sync_folder(WANTS.parent)
    except OSError as error:
        raise Refusal(
            "rights",
            f"{UNIT}: {error.strerror}: root is needed to resume after a reboot",
            "coldproof_cold_method",
        ) from error
    _reload()


def disarm() -> bool:
    """Removes the unit. Returns whether there was one."""
    there = UNIT.exists() or WANTS.is_symlink()
    WANTS.unlink(missing_ok=True)
    UNIT.unlink(missing_ok=True)
    if there:
        _reload()
    return there


def _reload() -> None:
    if possible() and shutil.which("systemctl"):
        try:
            bounded.run(["systemctl", "daemon-reload"], 60)
        except (OSError, bounded.TookTooLongError):
            return


def settle(paths: Sequence[str]) -> dict[str, Any]:
    """Waits, at most three minutes, until the boot has settled.

    Settled: the paths are there, systemd has started what it starts, and the disks have read less
    than 2 MiB/s for three seconds: what a boot reads would else be taken for the server's.

    Returns:
        ``seconds`` waited and ``settled``.
    """
    begun = time.monotonic()
    quiet_since = begun
    last, last_at = _disk_bytes(), begun
    while time.monotonic() - begun < SETTLE_S:
        time.sleep(1.0)
        now, now_at = _disk_bytes(), time.monotonic()
        busy = (now - last) / (now_at - last_at) > QUIET_BYTES_PER_S
        missing = [one for one in paths if not os.path.exists(one)]
        if busy or missing or not _started():
            quiet_since = now_at
        last, last_at = now, now_at
        if now_at - quiet_since >= QUIET_S:
            return {"seconds": round(now_at - begun, 1), "settled": True}
    return {"seconds": round(time.monotonic() - begun, 1), "settled": False}


def _started() -> bool:
    """Says whether systemd has nothing more to start (Type=exec: this unit counts as started)."""
    if not possible() or not shutil.which("systemctl"):
        return True
    try:
        _, text = bounded.run(["systemctl", "is-system-running"], 10)
    except (OSError, bounded.TookTooLongError):
        return False
    return text.strip() in ("running", "degraded")


def _disk_bytes() -> int:
    return sum(storage.read_bytes(one) or 0 for one in os.listdir("/sys/class/block"))
