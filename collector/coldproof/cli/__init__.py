"""The command line: arguments in, one job called, its result printed.

A module declares a command's arguments; pandas is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from coldproof import __version__
from coldproof.cli import archive, campaign, compare, intake, report, review
from coldproof.cli.adding import EPILOG
from coldproof.errors import InputError

COMMANDS = (report, compare, review, campaign, intake, archive)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        return code
    except InputError as error:
        print(f"coldproof: {_line(str(error))}", file=sys.stderr)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"coldproof: {_line(f'{where}{error.strerror or error}')}", file=sys.stderr)
    return 2


def _line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="coldproof",
        description="Cold and warm starts of LLM servers over a fleet: campaigns, the intake of "
        "what nodes measured, and reports.",
        epilog=EPILOG,
    )
    whole.add_argument("--version", action="version", version=f"coldproof {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return whole
