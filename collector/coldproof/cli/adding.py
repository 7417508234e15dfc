"""What every command's declaration uses: how it is added, and what its exit codes mean."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from coldproof.answer import Answer
from coldproof.cli.ending import UsageError
from coldproof.errors import InputError

JSON = "--json"
EPILOG = (
    "Exit codes: 0 done; 1 nodes are not complete (report --strict), a row is slower (compare) or "
    "a budget is not met (review); 2 unusable input, said on stderr; 3 evidence is missing "
    "(compare, review); 70 a fault of coldproof; 130 interrupted. docs/scripting.md has them all."
)

Commands = argparse._SubParsersAction  # the type argparse returns, which has no public name


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of ending the process, so that all errors end alike.

    Options are not abbreviated: a script's `--pri` would change its meaning with a new option.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message, self.format_usage())


def add_command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], Answer | int],
    summary: str,
    description: str,
) -> argparse.ArgumentParser:
    """Declare one command: `run` is called with its options and returns its answer.

    A command that prints for itself returns its exit code, and looks at `json` of its options.
    """
    said = f"{summary[0].upper()}{summary[1:]}. {description}"
    parser = commands.add_parser(name, help=summary, description=said, epilog=EPILOG)
    parser.set_defaults(run=run)
    add_json(parser)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare --json, which may stand before the command or after it."""
    parser.add_argument(
        JSON,
        action="store_true",
        default=argparse.SUPPRESS,  # a command's own default would undo what stood before it
        help="answer with one JSON document on stdout, errors too",
    )


def stdin() -> Any:
    """Return the JSON on standard input. Raises InputError."""
    try:
        return json.loads(sys.stdin.buffer.read().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"stdin: not JSON ({error})") from error
