"""Keeps secrets out of logs and records."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from coldproof_agent.errors import Refusal

HIDDEN = "***"
MIN_LINE = 8
MIN_FOUND = 6
_NAME = re.compile(
    r"TOKEN(?!IZ)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|AUTH|API[-_]?KEY|[-_]KEY$|COOKIE",
    re.IGNORECASE,
)
_COUNT = re.compile(r"TOKENS", re.IGNORECASE)  # --max-num-batched-tokens 8192 is no secret
_IN_URL = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")  # http_proxy=http://user:password@host


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


def forms(values: Iterable[str]) -> list[str]:
    """Returns the forms in which secrets show in lines of text, the longest first.

    A secret of several lines shows line by line; in JSON and in Python's own notation some
    characters are escaped; one that begins like another must be replaced before it.
    """
    found = set()
    for value in values:
        for part in {value, *(line for line in value.splitlines() if len(line) >= MIN_LINE)}:
            found |= {part, json.dumps(part)[1:-1], repr(part)[1:-1]}
    return sorted(found - {""}, key=lambda one: (-len(one), one))


def found_in(argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Returns the values that a command line and an environment hold under a secret's name.

    Without very short ones, which are parts of ordinary words.
    """
    words = [word for word, secret in _argv(argv)[0] if secret]
    words += [value for name, value in env.items() if _is_secret(name, value)]
    return [word for word in words if len(word) >= MIN_FOUND]


def hide_env(env: Mapping[str, str], secret: Sequence[str]) -> dict[str, str]:
    """Returns an environment fit to be recorded; ``secret`` names what is hidden in any case."""
    values = forms(env[name] for name in secret if name in env)
    return {
        name: HIDDEN if name in secret or _is_secret(name, value) else _hide(value, values)
        for name, value in sorted(env.items())
    }


def hide_argv(argv: Sequence[str], values: Sequence[str]) -> list[str]:
    """Returns a command line fit to be recorded: values of options such as --api-key hidden."""
    every = forms(values)
    _, hidden = _argv(argv)
    return [_hide(word, every) for word in hidden]


def _argv(argv: Sequence[str]) -> tuple[list[tuple[str, bool]], list[str]]:
    """Returns each value of an option with whether it is secret, and the words to be shown."""
    values = []
    shown = []
    of = ""
    first = False
    for word in argv:
        option, found, value = word.partition("=")
        if word.startswith("--") or (word.startswith("-") and not first):
            secret = bool(found) and _is_secret(option, value)
            values.append((value, secret))
            shown.append(f"{option}={HIDDEN}" if secret else word)
            of, first = "" if found else option, not found
            continue
        secret = bool(of) and _is_secret(of, word)  # --api-key takes several values
        values.append((word, secret))
        shown.append(HIDDEN if secret else word)
        first = False
    return values, shown


def _is_secret(name: str, value: str) -> bool:
    if value.isdigit() and _COUNT.search(name):
        return False
    return bool(_NAME.search(name))


def _hide(text: str, values: Iterable[str]) -> str:
    for value in values:
        text = text.replace(value, HIDDEN)
    return _IN_URL.sub(rf"\1:{HIDDEN}@", text)
