"""The command line: arguments in, one job called, its result printed.

A module declares a command's arguments; pandas is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence

from coldproof import __version__
from coldproof.answer import Answer
from coldproof.cli import (
    archive,
    bundle,
    campaign,
    compare,
    completion,
    demo,
    export,
    intake,
    report,
    resume,
    review,
    run,
    schema,
    status,
    stop,
)
from coldproof.cli.adding import EPILOG, JSON, Parser, add_json
from coldproof.cli.ending import ended

COMMANDS = (
    run, status, stop, resume, demo,
    report, compare, review, export, schema, bundle, completion, campaign, intake, archive,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)

    def job() -> Answer | int:
        options = parser().parse_args(given)
        answer: Answer | int = options.run(options)
        return answer

    # Asked of the words, not of the parser: what it refuses is answered in JSON too.
    return ended(job, JSON in itertools.takewhile(lambda word: word != "--", given))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    whole = Parser(
        prog="coldproof",
        description="Cold and warm starts of LLM servers over a fleet: campaigns, the intake of "
        "what nodes measured, and reports.",
        epilog=EPILOG,
    )
    whole.add_argument("--version", action="version", version=f"coldproof {__version__}")
    whole.set_defaults(json=False, whole=whole)  # for the command that looks at all of it
    add_json(whole)
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return whole
