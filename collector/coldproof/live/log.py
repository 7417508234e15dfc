"""What the playbook printed, kept beside the campaign, without the secrets that are known."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from coldproof.text import HIDDEN, SECRET_NAME
from coldproof.variables.secrets import telling

FILE = "playbook.log"
SHORTEST = 6


class Log:
    """The log. Until the campaign's folder is known, lines are kept.

    Attributes:
        failed: why it could not be written to its end; empty: it was.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = [one for one in secrets if len(one) >= SHORTEST]
        escaped = [
            json.dumps(one, ensure_ascii=way)[1:-1] for one in known for way in (True, False)
        ]
        self._secrets = sorted({*known, *escaped}, key=len)[::-1]
        self._kept: list[str] = []
        self._file: int | None = None
        self.failed = ""

    def add(self, text: str) -> None:
        """Write some lines."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        if self.failed:
            return
        if self._file is None:
            self._kept.append(text)
            return
        try:
            os.write(self._file, f"{text}\n".encode("utf-8", "replace"))
        except OSError as error:  # it is information only: what is measured goes on
            self.failed = f"{FILE}: {error.strerror}"

    def open(self, directory: Path) -> None:
        """Append to the campaign's log from now on, if it can be written."""
        if self._file is None and not self.failed and directory.is_dir():
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            try:
                self._file = os.open(directory / FILE, flags, 0o600)
            except OSError as error:
                self.failed = f"{directory / FILE}: {error.strerror}"
            for text in self._kept:
                self.add(text)
            self._kept.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def secrets_of(environment: Mapping[str, str], variables: Iterable[str]) -> list[str]:
    """Return the values under a secret's name.

    Args:
        environment: variables of the environment.
        variables: words as -e takes them: name=value pairs, JSON or YAML. What @FILE holds is not
            read: a vault's, say.
    """
    pairs = list(environment.items())
    for word in variables:
        pairs += _pairs(word)
    return [value for name, value in pairs if _secret(name)]


def _pairs(word: str) -> Iterator[tuple[str, str]]:
    if word.lstrip().startswith(("{", "[")):
        with contextlib.suppress(yaml.YAMLError):
            yield from _texts(yaml.safe_load(word), "")
        return
    try:
        words = shlex.split(word)
    except ValueError:
        words = word.split()
    for one in words:
        name, given, value = one.partition("=")
        if given:
            yield name, value


def _texts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield each text with its name; below a secret's name all are its."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _texts(one, name if _secret(name) else str(key))
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, name)
    elif isinstance(value, str | int | float):
        yield name, str(value)


def _secret(name: str) -> bool:
    return bool(SECRET_NAME.search(name) or telling(name))
