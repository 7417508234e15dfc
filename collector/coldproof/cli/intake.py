"""`coldproof intake`: its arguments, and its answer as JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

from coldproof import intake
from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "intake",
        _run,
        "take in the archive that was fetched from a node",
        "Unpacks known files of an uncompressed tar into DIR/nodes/NAME, merged with what was "
        "fetched before; nothing is lost or overwritten. Prints JSON: what was done with each "
        "file, and what was rejected and why.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="the campaign's folder")
    parser.add_argument("--node", required=True, metavar="NAME", help="the node's inventory name")
    parser.add_argument("archive", type=Path, metavar="ARCHIVE.tar", help="the fetched archive")


def _run(options: argparse.Namespace) -> Answer:
    taken = intake.take(options.directory, options.node, options.archive)
    return Answer(0, taken.as_json())
