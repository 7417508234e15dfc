"""Take in what a node holds: unpack its archive without trusting it, and lose nothing.

The node decides every byte of the archive. Accepted are regular members of known names and
bounded sizes; all else is counted and listed. A file is replaced atomically, and only by one
that contains it; a later fetch that contradicts is kept beside as `<name>.conflict-<sha8>`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from coldproof.errors import InputError
from coldproof.files import locked, write_atomic
from coldproof.names import check_node
from coldproof.tarstream import Member, TornArchiveError, members
from coldproof.union import Joined, join_growing, join_lines

MIB = 1 << 20
FILE_LIMIT = 64 * MIB
TOTAL_LIMIT = 256 * MIB
MEMBER_LIMIT = 5000
LISTED = 50
RECORDS = ("runs.jsonl", "storage_load_bench.csv")
REPLACED = ("status.json",)
GROWING = ("plan.json", "journal.jsonl", "agent.log")
LOG = re.compile(r"logs/(?!\.)[A-Za-z0-9_.-]{1,120}\.log")


@dataclass
class Intake:
    """What was taken from one archive: by file what was done, and what was rejected and why."""

    node: str
    directory: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    rejected: list[dict[str, str]] = field(default_factory=list)
    rejected_count: int = 0
    truncated: bool = False

    def reject(self, name: str, reason: str) -> None:
        """Count a member that is not taken, and list the first ones."""
        self.rejected_count += 1
        if len(self.rejected) < LISTED:
            self.rejected.append({"name": name[:200], "reason": reason})

    def as_json(self) -> dict[str, Any]:
        """Return the answer of `coldproof intake`."""
        return {
            "node": self.node,
            "directory": str(self.directory),
            "files": self.files,
            "rejected": self.rejected,
            "rejected_count": self.rejected_count,
            "truncated": self.truncated,
        }


def take(campaign: Path, node: str, archive: Path) -> Intake:
    """Unpack `archive`, fetched from `node`, into the folder of `campaign`.

    Raises InputError if there is no such campaign folder, the node's name is unusable, or the
    archive is no tar at all. A torn archive is taken as far as it goes (`truncated`).
    """
    check_node(node, "--node")
    if not campaign.is_dir():
        raise InputError(f"{campaign}: no such folder; open the campaign first")
    target = campaign.absolute() / "nodes" / node
    for folder in (target.parent, target, target / "logs"):
        if folder.is_symlink():
            raise InputError(f"{folder}: is a link; remove it, results are stored in real folders")
        folder.mkdir(exist_ok=True)
    intake = Intake(node, target)
    with locked(target.parent / f".{node}.lock"), archive.open("rb") as stream:
        _unpack(stream, archive, intake)
    return intake


def _unpack(stream: BinaryIO, archive: Path, intake: Intake) -> None:
    total = seen = 0
    try:
        for member in members(stream):
            seen += 1
            if seen > MEMBER_LIMIT:
                intake.reject("*", f"more than {MEMBER_LIMIT} members: the rest was not read")
                return
            reason = _refusal(member, intake, total)
            if reason:
                intake.reject(member.name, reason)
                continue
            total += member.size
            _store(member, stream, intake)
    except TornArchiveError as error:
        if not seen:
            raise InputError(
                f"{archive}: not an uncompressed tar ({error}); fetch it again"
            ) from error
        intake.truncated = True
        intake.reject("*", f"{error}: fetch it again")


def _refusal(member: Member, intake: Intake, total: int) -> str | None:
    known = member.name in (*RECORDS, *REPLACED, *GROWING) or LOG.fullmatch(member.name)
    if not known:
        return "not a file that an agent packs"
    if not member.regular:
        return f"not a regular file but a {member.kind}"
    if member.name in intake.files:
        return "second member of this name"
    if member.size > FILE_LIMIT:
        return f"{member.size} bytes, over the limit of {FILE_LIMIT}"
    if total + member.size > TOTAL_LIMIT:
        return f"over the limit of {TOTAL_LIMIT} bytes in all"
    if (intake.directory / member.name).is_symlink():
        return "a link of this name lies in the campaign's folder"
    return None


def _store(member: Member, stream: BinaryIO, intake: Intake) -> None:
    stream.seek(member.offset)
    data = stream.read(member.size)
    if len(data) < member.size:
        raise TornArchiveError(f"the archive ends inside {member.name}")
    path = intake.directory / member.name
    result: dict[str, Any] = {"action": "new", "bytes": len(data)}
    intake.files[member.name] = result
    if not path.exists():
        write_atomic(path, data)
        return
    old = path.read_bytes()
    if old == data:
        result["action"] = "same"
        return
    joined = _join(member.name, old, data)
    result["action"] = "kept" if joined.content == old else "replaced"
    if joined.beside:
        beside = path.with_name(f"{path.name}.conflict-{hashlib.sha256(data).hexdigest()[:8]}")
        write_atomic(beside, data)
        result.update(conflict=beside.name, kept_lines=joined.kept, reason=joined.reason)
        if joined.content != old:
            result["action"] = "merged"
    if joined.content != old:
        write_atomic(path, joined.content)


def _join(name: str, old: bytes, new: bytes) -> Joined:
    if name in REPLACED:
        return Joined(new, 0, False)
    if name in RECORDS:
        return join_lines(old, new, header=name.endswith(".csv"))
    return join_growing(old, new)
