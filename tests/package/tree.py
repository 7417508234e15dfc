"""Exports the tree as a clone would have it, and builds what is released from it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.checkout import copy_tree

# Where ansible-test wants a collection to lie.
PLACE = Path("ansible_collections/coldproof/fleet")


def export(folder: Path) -> Path:
    """Copies what git tracks, and what it would, to where a collection lies below `folder`."""
    return copy_tree(folder / PLACE)


def build_collection(tree: Path, out: Path) -> Path:
    """Builds the collection's archive from an exported tree."""
    run(tree, "ansible-galaxy", "collection", "build", "--output-path", str(out))
    (archive,) = out.glob("coldproof-fleet-*.tar.gz")
    return archive


def files_of(archive: Path) -> set[str]:
    """Returns the names of the files in a tar archive."""
    with tarfile.open(archive) as tar:
        return {member.name for member in tar if member.isfile()}


def run(
    folder: Path,
    *words: str,
    programs: Path = Path(sys.executable).parent,
    home: Path | None = None,
    limit_s: float = 280,
    code: int = 0,
    **variables: str,
) -> str:
    """Runs a program in `folder` with almost no environment. Returns all that it printed.

    Args:
        programs: the folder `bin` of the environment whose program it is.
        home: its home (default: `folder`).
        code: the exit code that it has to end with.
    """
    kept = {name: text for name, text in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    done = subprocess.run(
        [str(programs / words[0]), *words[1:]],
        cwd=folder,
        env={
            **kept,
            "HOME": str(home or folder),
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            **variables,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=limit_s,
        check=False,
    )
    assert done.returncode == code, f"{words} ended with {done.returncode}\n{done.stdout}"
    return done.stdout
