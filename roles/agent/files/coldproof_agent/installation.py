"""What is known of an engine's installation: where it lies, and whether it is compiled."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from coldproof_agent import storage
from coldproof_agent.files import FileRef

SOURCE = ".py"
# PEP 3147: what is compiled of a module lies there, as NAME.TAG.pyc.
COMPILED = "__pycache__"


def describe(files: Sequence[FileRef]) -> dict[str, Any]:
    """Returns ``filesystem`` and ``network`` of most of the bytes, and ``uncompiled``.

    ``uncompiled`` are the Python sources that a start read and that have no .pyc file: with one,
    Python does not read the source.
    """
    by_device: dict[int, int] = {}
    for one in files:
        by_device[one.dev] = by_device.get(one.dev, 0) + one.expected
    if not by_device:
        return {}
    most = max(by_device, key=lambda dev: by_device[dev])
    told: dict[str, Any] = {"uncompiled": uncompiled([one.path for one in files])}
    try:
        kind = storage.mount_of(next(one.path for one in files if one.dev == most)).filesystem
    except OSError:
        return told
    return {**told, "filesystem": kind, "network": kind in storage.NETWORK}


def uncompiled(paths: Sequence[str]) -> int:
    """Returns how many of these files are Python sources without a .pyc file."""
    folders: dict[str, set[str]] = {}
    count = 0
    for path in paths:
        pure = PurePath(path)
        if pure.suffix != SOURCE:
            continue
        folder = str(pure.parent)
        if folder not in folders:
            folders[folder] = _compiled(folder)
        count += pure.stem not in folders[folder]
    return count


def _compiled(folder: str) -> set[str]:
    """Returns the modules of a folder that have a .pyc file of any interpreter."""
    try:
        names = os.listdir(os.path.join(folder, COMPILED))
    except OSError:
        return set()
    return {name.split(".", 1)[0] for name in names if name.endswith(".pyc")}
