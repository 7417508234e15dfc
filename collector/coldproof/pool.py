"""Equal things kept once: ten thousand nodes tell the same of their kernel, disk and engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from coldproof.files import canonical_json

TEXT_LIMIT = 512
# Alike in all starts of a node, and mostly in all nodes of a class.
SHARED = frozenset(["host", "storage", "gpu", "weights", "engine_files", "told", "loader",
                    "residency", "env", "versions", "argv"])  # fmt: skip
# What a Run holds itself, and what no report reads; the fetched file keeps everything.
UNREAD = frozenset(["schema", "run_id", "campaign", "seq", "checksum", "phases", "edges", "stop",
                    "holders", "uid", "agent", "boot_id", "reboot", "started_at"])  # fmt: skip


class Pool:
    """Keeps one copy of equal texts and of equal parts of records.

    Parts are equal if their canonical JSON is: 1, 1.0 and true are told apart, so that nothing
    one node writes can stand in another's record.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._parts: dict[bytes, Any] = {}

    def record(self, document: Mapping[str, Any], *, ready: bool) -> dict[str, Any]:
        """Return what reports need of a record: without `UNREAD`, if ready without its log."""
        kept = {name: value for name, value in document.items() if name not in UNREAD}
        log = kept.get("log")
        if ready and isinstance(log, Mapping):
            kept["log"] = {name: value for name, value in log.items() if name != "tail"}
        return {self.text(name): self._value(name, value) for name, value in kept.items()}

    def text(self, value: str) -> str:
        """Return the one copy of a text; long ones are not kept for others."""
        return self._texts.setdefault(value, value) if len(value) <= TEXT_LIMIT else value

    def optional(self, value: str | None) -> str | None:
        """Return the one copy of a text, None for None."""
        return None if value is None else self.text(value)

    def _value(self, name: str, value: Any) -> Any:
        if name not in SHARED or not isinstance(value, dict | list):
            return self._walked(value)
        key = hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).digest()
        if key not in self._parts:
            self._parts[key] = self._walked(value)
        return self._parts[key]

    def _walked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self._value(name, one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._walked(one) for one in value]
        return value
