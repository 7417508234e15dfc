"""`coldproof compare`: its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "compare",
        _run,
        "hold two campaigns against each other",
        "Says of each node, tier and variant whether its starts are faster, slower, the same or "
        "not comparable, and why. Writes comparison.md and comparison.json.",
    )
    parser.add_argument("base", type=Path, metavar="BASE", help="the earlier campaign's folder")
    parser.add_argument("new", type=Path, metavar="NEW", help="the later campaign's folder")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: NEW)")
    parser.add_argument(
        "--across",
        action="append",
        default=[],
        metavar="FACT",
        help="compare although this differs, such as engine_version or kernel; may be repeated",
    )


def _run(options: argparse.Namespace) -> Answer:
    from coldproof.command_compare import run

    return run(options.base, options.new, options.out, frozenset(options.across))
