"""Names that become folders: nodes and campaigns. Everything else is refused."""

from __future__ import annotations

import re

from coldproof.errors import InputError

NODE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
# A folder of a node, as a node names it: sftp's commands are lines with quotes of their own kind.
FOLDER = re.compile(r"/[^\x00-\x1f\x7f'\"\\]{0,4095}")
CAMPAIGN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")
RUN_ID = re.compile(rf"({CAMPAIGN.pattern})\.({NODE.pattern})\.([0-9]{{4}})")


def is_node(name: str) -> bool:
    """Say whether `name` may be a node's name, and so a folder's."""
    return NODE.fullmatch(name) is not None


def check_node(name: object, where: str) -> str:
    """Return `name` if it may be a node's name; InputError naming it and `where` otherwise."""
    if isinstance(name, str) and is_node(name):
        return name
    raise InputError(
        f"{where}: {name!r} is no usable node name; use letters, digits, '_', '.' and '-', "
        "at most 128, not beginning with '.' or '-'"
    )


def split_run_id(run_id: str) -> tuple[str, str, int] | None:
    """Return (campaign, node, seq) of a run_id made by the agent, None for any other."""
    found = RUN_ID.fullmatch(run_id)
    return (found[1], found[2], int(found[3])) if found else None
