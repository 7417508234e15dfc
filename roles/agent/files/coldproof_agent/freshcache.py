"""An empty, private folder for compile caches at each start: the first start on a new node."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from coldproof_agent.errors import Refusal

FOLDER = "compile-cache"
VARIABLE = "coldproof_compile_cache"


def environment(data: Mapping[str, Any], root: Path) -> dict[str, str]:
    """Returns the variables that put an engine's compile caches below a folder."""
    return {str(one["env"]): str(root / str(one["env"]).lower()) for one in data["compile_caches"]}


def check(data: Mapping[str, Any], root: Path, uid: int) -> None:
    """Refuses an engine whose caches cannot be put elsewhere, or a folder it cannot reach.

    Args:
        data: the engine's profile.
        root: where the caches are going to be.
        uid: whom the server runs as.

    Raises:
        Refusal: code ``compile_cache``.
    """
    if not data["compile_caches"] and data["compile"]["default"] == "unknown":
        raise Refusal(
            "compile_cache",
            f"fresh: engine {data['name']} has compile caches that nobody knows how to put "
            "elsewhere. Use keep, or an engine whose profile knows them",
            VARIABLE,
        )
    if uid in (0, os.geteuid()):
        return
    for folder in reversed(root.parents):
        if folder.exists() and not folder.stat().st_mode & 0o001:
            raise Refusal(
                "compile_cache",
                f"fresh: the server's user cannot reach {folder}, where its compile caches would "
                "be: give a state folder that it can, such as /var/lib/coldproof",
                "coldproof_state_dir",
            )


def empty(root: Path, folders: Sequence[str], uid: Optional[int], gid: Optional[int]) -> None:
    """Makes the folder new and empty, and the caches' own in it, for the user of the server."""
    remove(root)
    root.mkdir(parents=True, mode=0o700)
    inside = [Path(one) for one in folders if root in Path(one).parents]
    for one in inside:
        one.mkdir(parents=True, exist_ok=True)
    if uid is not None:
        for base, names, _ in os.walk(root):
            for path in (base, *(os.path.join(base, name) for name in names)):
                os.chown(path, uid, -1 if gid is None else gid, follow_symlinks=False)


def remove(root: Path) -> None:
    """Removes the folder; nothing that a link in it points to."""
    if os.path.lexists(root):
        shutil.rmtree(root)
