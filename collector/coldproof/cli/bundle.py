"""`coldproof bundle`: its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "bundle",
        _run,
        "make an archive of a campaign for a bug report",
        "Nodes, hosts, users, models, addresses, identifiers and paths are replaced by pseudonyms, "
        "what looks like a secret is hidden, long logs are shortened. `coldproof report` reads the "
        "unpacked folder. Prints what is inside and what was left out: look before you send it.",
    )
    parser.add_argument("campaign", type=Path, metavar="CAMPAIGN", help="the campaign's folder")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.tar.gz",
        help="where to write (default: coldproof-bundle-<campaign>.tar.gz here)",
    )
    parser.add_argument(
        "--keep-names",
        action="store_true",
        help="replace no names; secrets are hidden all the same",
    )


def _run(options: argparse.Namespace) -> Answer:
    from coldproof.command_bundle import run

    return run(options.campaign, options.out, keep_names=options.keep_names)
