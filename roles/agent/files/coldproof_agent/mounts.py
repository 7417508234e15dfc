"""What a container sees of the node's files: bind mounts, never with a relabel."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

from coldproof_agent.errors import Refusal

VARIABLE = "coldproof_container_mounts"


class Mount(NamedTuple):
    """A bind mount: a path of the node, where it is in the container, and whether read-only."""

    source: str
    target: str
    read_only: bool

    def word(self) -> str:
        """Returns it as the value of ``--mount`` (docker-run(1), podman-run(1))."""
        text = f"type=bind,source={self.source},target={self.target}"
        return f"{text},readonly" if self.read_only else text


def parse(texts: Iterable[str]) -> list[Mount]:
    """Reads mounts of the form ``host:container[:ro]``.

    Raises:
        Refusal: code ``mount``: another form, or an option such as ``z``, which would change the
            label or the owner of the node's files.
    """
    found = []
    for text in texts:
        source, _, rest = text.partition(":")
        target, _, option = rest.partition(":")
        if option in ("z", "Z", "U") or {"z", "Z", "U"} & set(option.split(",")):
            raise _wrong(text, f"{option} changes files of the node, which coldproof never does")
        if option not in ("", "ro", "rw"):
            raise _wrong(text, f"{option!r} is neither ro nor rw")
        if not (os.path.isabs(source) and os.path.isabs(target)) or "," in text:
            raise _wrong(text, "it has to be host:container or host:container:ro, absolute paths")
        found.append(Mount(os.path.normpath(source), os.path.normpath(target), option == "ro"))
    return found


def _wrong(text: str, why: str) -> Refusal:
    return Refusal("mount", f"mount {text!r}: {why}", VARIABLE)


def of_model(path: str, files: Iterable[str], given: Sequence[Mount]) -> list[Mount]:
    """Returns the read-only mounts that show a model at its own path, links resolved.

    Args:
        path: the model's folder by its real path.
        files: the real paths of its weights: a Hugging Face cache keeps them elsewhere.
        given: other mounts; what they show already at its own path is left out.

    Raises:
        Refusal: code ``mount``: a path that ``--mount`` cannot hold.
    """
    shown = [one.target for one in given if one.source == one.target]
    found: list[Mount] = []
    for folder in [path, *sorted({os.path.dirname(one) for one in files})]:
        if "," in folder:
            raise Refusal("mount", f"{folder}: a path with a comma cannot be mounted", VARIABLE)
        if not any(_within(folder, other) for other in shown):
            found.append(Mount(folder, folder, True))
            shown.append(folder)
    return found


def on_node(path: str, given: Iterable[Mount]) -> Optional[str]:
    """Returns where a path of the container lies on the node; None if in the container alone."""
    above = [one for one in given if os.path.isabs(path) and _within(path, one.target)]
    if not above:
        return None
    nearest = max(above, key=lambda one: len(one.target))
    return os.path.normpath(os.path.join(nearest.source, os.path.relpath(path, nearest.target)))


def _within(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder
