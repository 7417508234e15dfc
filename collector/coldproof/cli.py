"""The command line: arguments in, one job called, its result printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from coldproof import __version__, archive
from coldproof.errors import InputError

EPILOG = "Exit codes: 0 done, 1 nodes are not complete (report --strict), 2 unusable input."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        return code
    except InputError as error:
        print(f"coldproof: {error}", file=sys.stderr)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"coldproof: {where}{error.strerror or error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coldproof",
        description="Campaigns of cold and warm LLM server starts: intake, merge, reports.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"coldproof {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_archive(commands)
    return parser


def _add_archive(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "agent-archive",
        help="build the agent's zipapp, byte-reproducible",
        description="Build the probe agent as one executable file. The same sources give the "
        "same bytes. Prints JSON: path, sha256, changed.",
        epilog=EPILOG,
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
    parser.set_defaults(run=_archive)


def _archive(options: argparse.Namespace) -> int:
    built = archive.build(options.source, options.schemas, options.out)
    print(json.dumps({"path": str(built.path), "sha256": built.sha256, "changed": built.changed}))
    return 0
