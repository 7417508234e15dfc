"""How a server reads its weights, where that decides what cold and warm mean for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from coldproof_agent import cmdline

BYPASSES, MAY_BYPASS, DROPS, ELSEWHERE = "bypasses", "may_bypass", "drops", "elsewhere"


class Loading(NamedTuple):
    """A loader that does not read through the page cache as others do.

    Attributes:
        name: as the engine calls it.
        kind: ``bypasses`` the page cache; ``may_bypass`` it, by its storage or settings; ``drops``
            what it read; or the weights come from ``elsewhere`` than their files.
        why: a sentence for people.
        counted: whether the kernel accounts what it reads to the server's processes.
    """

    name: str
    kind: str
    why: str
    counted: bool


def recognise(
    data: Mapping[str, Any], argv: Sequence[str], env: Mapping[str, str]
) -> Optional[Loading]:
    """Returns the loader that a command line chooses; None where it reads through the cache.

    Args:
        data: the engine's profile.
        argv, env: of the server.
    """
    for one in data.get("loaders", ()):
        if any(cmdline.holds(when, argv, env) for when in one["when"]):
            return Loading(
                str(one["name"]), str(one["kind"]), str(one["why"]), bool(one.get("counted", True))
            )
    return None


def ranks(data: Mapping[str, Any], argv: Sequence[str]) -> int:
    """Returns how many processes each read the weights; 1 if the command line does not say.

    Through the page cache the files are read from storage once all the same.
    """
    total = 1
    for names in data.get("ranks", ()):
        given = cmdline.value(argv, names)
        total *= int(given) if given and given.isdigit() and 0 < int(given) <= 1024 else 1
    return total
