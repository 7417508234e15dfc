"""Compile caches: what is in their folders, whether a start changed them, and hit or miss."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from coldproof_agent.cmdline import plain


class Snapshot(NamedTuple):
    """State of the folders. ``digest`` covers names and sizes: a mere rewrite is no change."""

    files: int
    bytes: int
    newest: float
    digest: str

    def as_dict(self) -> dict[str, Any]:
        """Returns the form of runs.jsonl; ``newest`` is wall clock, information only."""
        return {"files": self.files, "bytes": self.bytes, "newest": round(self.newest, 3)}


def look(folders: Iterable[str]) -> Snapshot:
    """Looks at all files below the folders; those that are not there are empty."""
    rows = []
    newest = 0.0
    total = 0
    for folder in folders:
        for base, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(base, name)
                try:
                    info = os.lstat(path)
                except OSError:
                    continue
                rows.append(f"{path}\0{info.st_size}")
                newest = max(newest, info.st_mtime)
                total += info.st_size
    digest = hashlib.sha256("\n".join(sorted(rows)).encode("utf-8", "surrogateescape")).hexdigest()
    return Snapshot(len(rows), total, newest, digest)


class Watch:
    """Looks for an engine's own words about its caches in its log."""

    def __init__(self, rules: Mapping[str, Any]) -> None:
        self._rules = rules
        self._hit = re.compile(rules["hit"]) if "hit" in rules else None
        self._miss = re.compile(rules["miss"]) if "miss" in rules else None
        self._disabled = re.compile(rules["disabled"]) if "disabled" in rules else None
        self.disabled = False
        self.hits = 0
        self.misses = 0

    def line(self, text: str) -> None:
        """Takes one log line."""
        if self._hit and self._hit.search(text):
            self.hits += 1
        elif self._miss and self._miss.search(text):
            self.misses += 1
        elif self._disabled and self._disabled.search(text):
            self.disabled = True

    def verdict(self, argv: Sequence[str], before: Snapshot, after: Snapshot, known: bool) -> str:
        """Returns ``hit``, ``miss``, ``disabled`` or ``unknown``.

        Args:
            argv: the command line.
            before, after: the folders around the start.
            known: whether the engine's folders are known at all.

        ``disabled`` is what the engine or its arguments say. A start that changed the folders
        missed. One that changed nothing hit if it said so or if there was something to hit; if
        there was nothing, before or after, it uses no such cache.
        """
        if self.disabled or any(
            plain(word) in self._rules.get("disabled_args", ()) for word in argv
        ):
            return "disabled"
        if not known:
            return str(self._rules["default"])
        if self.misses or before.digest != after.digest:
            return "miss"
        return "hit" if self.hits or before.files else "disabled"
