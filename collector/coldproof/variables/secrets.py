"""Secrets in variables that everybody reads: plan.json, campaign.json, /proc and -vvvv.

What counts as one is what the agent hides of a record (its redact.py), but for switches and sizes,
such as 8k tokens. A test holds the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

NAME = re.compile(
    r"TOKEN(?!IZ)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|AUTH|API[-_]?KEY|[-_]KEY$|COOKIE",
    re.IGNORECASE,
)
# Of a text that is to be shown; PWD and the like are no secrets where a server is given them.
ENDING = re.compile(r"PASS$|PWD$", re.IGNORECASE)
IN_ADDRESS = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
SWITCH = re.compile(r"|[01]|true|false|yes|no|on|off|none|auto", re.IGNORECASE)
SIZE = re.compile(r"[0-9]+([.][0-9]+)?[kmg]?", re.IGNORECASE)
LINE = ("coldproof_container_args", "coldproof_engine_command", "coldproof_engine_args")
VARIANTS = "coldproof_variants"
ENVIRONMENT = "coldproof_engine_env"


def find(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns where secrets stand, each once: the variable, and the option's or variable's name.

    `values` may be of any type: a text where a list belongs is refused elsewhere, and shall not be
    shown meanwhile.
    """
    found: dict[tuple[str, str], None] = {}
    for variable, name, value in _named(values):
        if IN_ADDRESS.search(f"{name}={value}"):
            found[variable, "a password in an address"] = None
        elif NAME.search(name) and not SWITCH.fullmatch(value) and not _size(name, value):
            found[variable, name] = None
    return list(found)


def telling(name: str) -> bool:
    """Whether what stands under this name in some text is hidden rather than shown."""
    return bool(NAME.search(name) or ENDING.search(name))


def _size(name: str, value: str) -> bool:
    return "TOKENS" in name.upper() and SIZE.fullmatch(value) is not None


def _named(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields variable, name and value of what has a name: an option, an environment variable."""
    variants = [one for one in _listed(values.get(VARIANTS)) if isinstance(one, Mapping)]
    for variant in variants:
        yield from _options(_words(values, variant))
    environments = [(ENVIRONMENT, values.get(ENVIRONMENT))]
    environments += [(VARIANTS, variant.get("env")) for variant in variants]
    for variable, environment in environments:
        for name, value in environment.items() if isinstance(environment, Mapping) else ():
            yield variable, str(name), str(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _words(values: Mapping[str, Any], variant: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the words of a variant's command line, with the variable that each stands in."""
    given = [(variable, values.get(variable)) for variable in LINE]
    for variable, words in [*given, (VARIANTS, variant.get("args"))]:
        split = words.split() if isinstance(words, str) else _listed(words)
        yield from ((variable, str(word)) for word in split)


def _options(words: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yields variable, option and value of a command line; an option's value may begin with -."""
    option, fresh = "", False
    for variable, word in words:
        if word.startswith("--") or (word.startswith("-") and not fresh):
            name, equals, value = word.partition("=")
            yield variable, name, value
            option, fresh = ("", False) if equals else (name, True)
        else:
            yield variable, option, word
            fresh = False
