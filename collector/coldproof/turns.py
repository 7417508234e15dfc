"""Who was given a turn on shared storage and is not known to have ended it, over invocations.

An empty file for each node in the campaign's folder: a node that is lost in its turn measures on,
and whoever is given the next turn is not alone. Variables of Ansible cannot tell it: by the time a
turn is free, the task that takes it was templated before.
"""

from __future__ import annotations

from pathlib import Path

from coldproof.names import check_node

FOLDER = ".turns"


def hold(campaign: Path, node: str) -> int:
    """Note that a node is given a turn, and return how many hold one now, this one among them.

    Raises InputError on a name that may be no node's, OSError if the folder cannot be written.
    """
    folder = campaign / FOLDER
    folder.mkdir(exist_ok=True)
    (folder / check_node(node, "inventory")).touch()
    return sum(1 for _ in folder.iterdir())


def release(campaign: Path, node: str) -> None:
    """Note that a node measures no longer; nothing if it held no turn."""
    (campaign / FOLDER / check_node(node, "inventory")).unlink(missing_ok=True)
