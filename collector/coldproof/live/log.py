"""What the playbook printed, kept beside the campaign, without the secrets that are known."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from coldproof.text import HIDDEN, SECRET_NAME

FILE = "playbook.log"
SHORTEST = 6


class Log:
    """The log. Until the campaign's folder is known, lines are kept."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({one for one in secrets if len(one) >= SHORTEST}, key=len)[::-1]
        self._kept: list[str] = []
        self._file: int | None = None

    def add(self, text: str) -> None:
        """Write some lines."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        if self._file is None:
            self._kept.append(text)
        else:
            os.write(self._file, f"{text}\n".encode("utf-8", "replace"))

    def open(self, directory: Path) -> None:
        """Append to the campaign's log from now on, if it can be written."""
        if self._file is None and directory.is_dir():
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(directory / FILE, flags, 0o600)
            for text in self._kept:
                self.add(text)
            self._kept.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def secrets_of(environment: Mapping[str, str], variables: Iterable[str]) -> list[str]:
    """Return the values of environment variables, and of NAME=VALUE words, that are secrets."""
    pairs = [word.partition("=")[::2] for word in variables]
    return [value for name, value in [*environment.items(), *pairs] if SECRET_NAME.search(name)]
