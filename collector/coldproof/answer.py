"""What a command answers: an exit code, and the same facts for a script and for a reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A command's answer; the command line prints one of its two forms.

    Attributes:
        code: the exit code.
        document: the answer as JSON, printed with --json, and always where there is no text.
        text: the answer for a reader; empty: nothing is printed without --json.
    """

    code: int
    document: Mapping[str, Any]
    text: str | None = None
