"""What every command's declaration uses: how it is added, and what its exit codes mean."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from coldproof.errors import InputError

EPILOG = (
    "Exit codes: 0 done; 1 nodes are not complete (report --strict), a row is slower (compare) or "
    "a budget is not met (review); 2 unusable input, said on stderr; 3 evidence is missing "
    "(compare, review)."
)

Commands = argparse._SubParsersAction  # the type argparse returns, which has no public name


def add_command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    description: str,
) -> argparse.ArgumentParser:
    """Declare one command: `run` is called with its options and returns the exit code."""
    parser = commands.add_parser(
        name, help=summary, description=f"{summary.capitalize()}. {description}", epilog=EPILOG
    )
    parser.set_defaults(run=run)
    return parser


def stdin() -> Any:
    """Return the JSON on standard input. Raises InputError."""
    try:
        return json.loads(sys.stdin.buffer.read().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"stdin: not JSON ({error})") from error
