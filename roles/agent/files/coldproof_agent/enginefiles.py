"""The engine files: what a start brings of the engine's installation into the page cache.

Found without tracing: evict the whole installation, start once, and look what is resident then.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from coldproof_agent import apart, cooling, durable, installation, residency
from coldproof_agent.files import FileRef, below, device_bytes, unique


class EngineFiles(NamedTuple):
    """The set, or why it is not known, and what is known of the installation (installation.py).

    ``files`` have the resident bytes as ``expected``.
    """

    files: list[FileRef]
    reason: Optional[str]
    about: Optional[dict[str, Any]] = None

    @property
    def known(self) -> bool:
        """Whether the set was found."""
        return self.reason is None

    def as_dict(self) -> dict[str, Any]:
        """Returns the form of runs.jsonl."""
        return {
            "known": self.known,
            "files": len(self.files),
            "bytes": device_bytes(self.files),
            "reason": self.reason,
            **(self.about or {}),
        }


class Ground(NamedTuple):
    """What the witnesses are worth on an installation; ``reason``: why it cannot be looked at."""

    roots: list[str]
    verdicts: dict[str, str]
    reason: Optional[str]


def prepare(roots: Sequence[str], scratch: Sequence[Path]) -> Ground:
    """Evicts a whole installation, so that what is resident later was brought by a start."""
    if not roots:
        return Ground([], {}, "the engine's installation is not known: set coldproof_engine_files")

    def survey() -> Ground:
        files = _installed(roots)
        if not files:
            return Ground([], {}, f"no files below {', '.join(roots)}")
        verdicts = residency.trusted(files, scratch, may_evict=True)
        if residency.best(verdicts) is None:
            return Ground(list(roots), verdicts, f"no witness: {next(iter(verdicts.values()))}")
        cooling.evict(files, verdicts)
        return Ground(list(roots), verdicts, None)

    ground: Ground = apart.run(survey)
    return ground


def _installed(roots: Sequence[str]) -> list[FileRef]:
    return [one for one in unique(f for root in roots for f in below(root)) if one.size]


def found_after(ground: Ground) -> EngineFiles:
    """Returns the files that are resident now, each with its resident bytes as expected."""
    name = residency.best(ground.verdicts)
    if ground.reason is not None or name is None:
        return EngineFiles([], ground.reason or "no witness")

    def search() -> EngineFiles:
        try:
            seen = residency.resident(_installed(ground.roots), str(name))
        except OSError as error:
            return EngineFiles([], f"{error.filename}: {error.strerror}")
        used = [one._replace(expected=count) for one, count in seen if count]
        reason = None if used else "the start left nothing of it resident"
        return EngineFiles(used, reason, installation.describe(used))

    files: EngineFiles = apart.run(search)
    return files


def save(path: Path, files: EngineFiles) -> None:
    """Keeps the set for the runs after a resume."""
    data = {**files._asdict(), "files": [list(one) for one in files.files]}
    durable.replace(path, json.dumps(data).encode())


def restore(path: Path) -> EngineFiles:
    """Returns the set that was kept; unknown if none was."""
    try:
        data = json.loads(path.read_bytes())
        files = [FileRef(*row) for row in data["files"]]
        return EngineFiles(files, data["reason"], data.get("about"))
    except (OSError, ValueError, KeyError, TypeError):
        return EngineFiles([], "no prime run has found them yet")
