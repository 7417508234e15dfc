"""`coldproof agent-archive`: its arguments, and its answer as JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

from coldproof import archive
from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "agent-archive",
        _run,
        "build the agent's zipapp, byte-reproducible",
        "The same sources give the same bytes. Prints JSON: path, sha256, changed.",
    )
    parser.add_argument(
        "--source", type=Path, required=True, metavar="DIR", help="the folder coldproof_agent"
    )
    parser.add_argument(
        "--schemas", type=Path, required=True, metavar="DIR", help="the folder of *.schema.json"
    )
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, metavar="FILE", help="write it here")
    target.add_argument(
        "--cache",
        action="store_true",
        help="write it to ${XDG_CACHE_HOME:-~/.cache}/coldproof, named by its hash",
    )


def _run(options: argparse.Namespace) -> Answer:
    built = archive.build(options.source, options.schemas, options.out)
    return Answer(0, {"path": str(built.path), "sha256": built.sha256, "changed": built.changed})
