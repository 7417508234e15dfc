"""The notes column: `key=value` pairs separated by `;`, then free text, percent-encoded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

KEY = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True)
class Notes:
    """The pairs of a row's notes, and its free text."""

    pairs: dict[str, str]
    text: str

    def get(self, key: str) -> str | None:
        """Return the value of `key`; None if it is absent, empty or the word `none`."""
        value = self.pairs.get(key)
        return None if value is None or value.lower() in ("", "none") else value


def parse_notes(cell: str) -> Notes:
    """Return the parts of a notes cell; whatever is no pair is free text. Never fails."""
    pairs: dict[str, str] = {}
    words: list[str] = []
    for part in cell.split(";"):
        key, separator, value = part.strip().partition("=")
        if separator and not words and KEY.fullmatch(key) and key not in pairs:
            pairs[key] = unquote(value, errors="replace")
        elif part.strip():
            words.append(unquote(part.strip(), errors="replace"))
    return Notes(pairs, "; ".join(words))
