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
        for name in _options(word):
            if name in _OURS:
                raise Refusal("container_args", f"{word}: the launcher says that itself", VARIABLE)
            if name in _ELSEWHERE:
                raise Refusal("container_args", f"{word}: use {_ELSEWHERE[name]}", VARIABLE)


def _options(word: str) -> list[str]:
    """Returns the long names of the options in a word.

    Letters without a value may stand together; the first other one takes the rest as its value.
    """
    found = re.match("-([ditPq]*[a-zA-Z]?)", word)
    if word.startswith("--") or not found:
        return [word.partition("=")[0]]
    return [_SHORT[letter] for letter in found[1] if letter in _SHORT]
