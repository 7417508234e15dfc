"""`coldproof export`: its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "export",
        _run,
        "give a campaign to other tools",
        "Writes metrics for node_exporter's textfile collector (OpenMetrics), or one row a run "
        "as Parquet for pandas and its like. The file is replaced as a whole.",
    )
    parser.add_argument("campaign", type=Path, metavar="CAMPAIGN", help="the campaign's folder")
    parser.add_argument(
        "--format",
        choices=("openmetrics", "parquet"),
        default="openmetrics",
        help="what to write (default: openmetrics); parquet needs coldproof[parquet]",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where to write, such as coldproof.prom (default: metrics go to stdout)",
    )


def _run(options: argparse.Namespace) -> Answer:
    from coldproof.command_export import run

    return run(options.campaign, options.format, options.out, as_json=options.json)
