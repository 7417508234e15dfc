"""`coldproof report`: its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "report",
        _run,
        "write the comparison of a campaign's starts",
        "Reads what was fetched and writes storage_load_bench.csv (the merge) and "
        "storage_load_bench.md into the campaign's folder, then lets the link `latest` beside "
        "it name it. With CSV files, written by hand or by measure_model_load.sh, it writes "
        "into --out; the node is the file's name without .csv, unless the run_ids name it.",
    )
    parser.add_argument(
        "source", type=Path, nargs="+", metavar="DIR|FILE.csv", help="a campaign's folder, or CSVs"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write; only with CSVs")
    parser.add_argument(
        "--print", action="store_true", help="print a short table and the report's path"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 if a node is not complete"
    )


def _run(options: argparse.Namespace) -> Answer:
    from coldproof.command_report import run  # pandas: only this command waits for it

    return run(
        options.source,
        options.out,
        show=options.print,
        strict=options.strict,
        in_full=options.json,
    )
