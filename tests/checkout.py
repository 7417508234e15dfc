"""The tree as a clone would have it, for tests that need one of their own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def copy_tree(target: Path, *left_out: str) -> Path:
    """Copies what git tracks, and what it would, but for what lies below `left_out`.

    Returns `target`.
    """
    words = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        source, copy = ROOT / name, target / name
        # A link to a folder is somebody's .venv; a file may be deleted and not yet committed.
        if source.is_file() and not source.is_symlink() and not name.startswith(left_out):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    return target
