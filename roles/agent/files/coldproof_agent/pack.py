"""Packs what a node holds of a campaign into one uncompressed archive to be fetched."""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path
from typing import Any

from coldproof_agent import campaign
from coldproof_agent.errors import Refusal

NAME = "coldproof-results.tar"
FILES = ("plan.json", "journal.jsonl", "runs.jsonl", "storage_load_bench.csv", "agent.log")
LOG_BYTES = 1 << 20
FILE_BYTES = 60 << 20


def pack(state: Path, name: str) -> dict[str, Any]:
    """Writes ``state``/coldproof-results.tar from what there is, with the agent running or not.

    A server's log is packed by its first MiB, every other file by its first 60 MiB (the controller
    takes 64); they stay whole on the node.

    Raises:
        Refusal: the campaign is not known here.
    """
    folder = campaign.folder_of(state, name)
    if not folder.is_dir():
        raise Refusal("no_campaign", f"{folder} is not there: nothing was measured here for {name}")
    beside = state / f".{NAME}.{os.getpid()}"
    with tarfile.open(beside, "w", format=tarfile.PAX_FORMAT) as archive:
        for one in FILES:
            _add(archive, folder / one, one)
        _add(archive, state / "status.json", "status.json")
        for log in sorted((folder / "logs").glob("*.log")):
            _add(archive, log, f"logs/{log.name}", LOG_BYTES)
    digest = hashlib.sha256(beside.read_bytes()).hexdigest()
    beside.chmod(0o600)
    beside.rename(state / NAME)
    size = (state / NAME).stat().st_size
    return {"ok": True, "path": str(state / NAME), "bytes": size, "sha256": digest}


def _add(archive: tarfile.TarFile, path: Path, name: str, limit: int = FILE_BYTES) -> None:
    """Adds what a file holds now; it may grow meanwhile."""
    try:
        with open(path, "rb") as opened:
            member = tarfile.TarInfo(name)
            member.size = min(os.fstat(opened.fileno()).st_size, limit)
            member.mode = 0o644
            archive.addfile(member, opened)
    except FileNotFoundError:
        return
