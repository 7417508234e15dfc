"""Options in an engine's command line, as its own parser would take them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional


def value(argv: Sequence[str], names: Collection[str]) -> Optional[str]:
    """Returns the value of an option, the last one where it is given twice; None without one.

    ``--name value`` and ``--name=value`` are understood, and ``--a_b`` for ``--a-b``.
    """
    found = None
    for number, word in enumerate(argv):
        name, given, rest = word.partition("=")
        if plain(name) not in names:
            continue
        if given:
            found = rest
        elif number + 1 < len(argv):
            found = argv[number + 1]
    return found


def holds(when: Mapping[str, Any], argv: Sequence[str], env: Mapping[str, str]) -> bool:
    """Says whether a profile's condition holds.

    Args:
        when: ``option`` (its names) or ``env`` (a variable's name) with ``is`` (values, compared
            without regard to case); or ``flag`` (names), which the names in ``unless`` take back
            when they come later.
    """
    if "flag" in when:
        turns = [
            plain(word) in when["flag"]
            for word in argv
            if plain(word) in (*when["flag"], *when.get("unless", ()))
        ]
        return bool(turns) and turns[-1]
    given = value(argv, when["option"]) if "option" in when else env.get(str(when["env"]))
    return given is not None and given.lower() in when["is"]


def plain(word: str) -> str:
    """Returns an option's name with hyphens, as engines take both spellings."""
    return word.replace("_", "-") if word.startswith("--") else word
