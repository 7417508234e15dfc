"""Keeps secrets out of logs and records."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from coldproof_agent.errors import Refusal

HIDDEN = "***"
_NAME = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API[-_]?KEY|AUTH)", re.IGNORECASE)


def read(path: Path) -> dict[str, str]:
    """Returns the engine's secrets; none if there is no file.

    Raises:
        Refusal: the file may be read by others, or is no object of strings.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return {}
    with os.fdopen(fd) as opened:
        if os.fstat(opened.fileno()).st_mode & 0o077:
            raise Refusal(
                "secrets", f"{path} may be read by others: make it 0600", "coldproof_engine_secrets"
            )
        try:
            value = json.load(opened)
        except ValueError as error:
            raise Refusal("secrets", f"{path}: not JSON", "coldproof_engine_secrets") from error
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise Refusal("secrets", f"{path}: not an object of strings", "coldproof_engine_secrets")
    return {str(name): text for name, text in value.items()}


def hide_env(env: Mapping[str, str], secret: Sequence[str]) -> dict[str, str]:
    """Returns an environment fit to be recorded."""
    return {
        name: HIDDEN if name in secret or _NAME.search(name) else value
        for name, value in sorted(env.items())
    }


def hide_argv(argv: Sequence[str], values: Sequence[str]) -> list[str]:
    """Returns a command line fit to be recorded: values of options such as --api-key hidden."""
    hidden = []
    next_hidden = False
    for word in argv:
        option, found, _ = word.partition("=")
        shown = word
        if next_hidden and not word.startswith("--"):
            shown = HIDDEN
        next_hidden = word.startswith("-") and bool(_NAME.search(option)) and not found
        if word.startswith("-") and found and _NAME.search(option):
            shown = f"{option}={HIDDEN}"
        for value in values:
            if value:
                shown = shown.replace(value, HIDDEN)
        hidden.append(shown)
    return hidden
