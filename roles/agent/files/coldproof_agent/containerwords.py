"""Which further words for ``run`` of docker or podman leave a container to be watched."""

from __future__ import annotations

import re
from collections.abc import Iterable

from coldproof_agent import mounts
from coldproof_agent.errors import Refusal

VARIABLE = "coldproof_container_args"
# What the launcher says itself, or what would hide from it what it has to see.
_OURS = frozenset(
    [
        "--name",
        "--cidfile",
        "--rm",
        "--detach",
        "--restart",
        "--pull",
        "--network",
        "--net",
        "--cgroups",
        "--entrypoint",
        "--log-driver",
        "--interactive",
        "--tty",
        "--sig-proxy",
        "--pod",
        "--attach",
        "--replace",
    ]
)
_ELSEWHERE = {
    "--volume": mounts.VARIABLE,
    "--mount": mounts.VARIABLE,
    "--env": "coldproof_engine_env or coldproof_engine_secrets",
    "--env-file": "coldproof_engine_env or coldproof_engine_secrets",
    "--gpus": "coldproof_container_gpus and coldproof_gpus",
}
_SHORT = {
    "d": "--detach",
    "i": "--interactive",
    "t": "--tty",
    "a": "--attach",
    "v": "--volume",
    "e": "--env",
}


def check(words: Iterable[str]) -> None:
    """Checks the words.

    Raises:
        Refusal: code ``container_args``: one is the launcher's own, or has a variable.
    """
    for word in words:
        name = word.partition("=")[0]
        names = {name}
        if re.match("-[a-zA-Z]", name):
            names = {_SHORT.get(letter, "") for letter in name[1:]}
        for one in names & (_OURS | set(_ELSEWHERE)):
            way = f"use {_ELSEWHERE[one]}" if one in _ELSEWHERE else "the launcher says that itself"
            raise Refusal("container_args", f"{word}: {way}", VARIABLE)
