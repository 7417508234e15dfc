"""The command line: arguments in, one job called, its result printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from coldproof import __version__, archive, campaign, intake
from coldproof.errors import InputError

EPILOG = (
    "Exit codes: 0 done; 1 nodes are not complete (report --strict), a row is slower (compare) or "
    "a budget is not met (review); 2 unusable input, said on stderr; 3 evidence is missing "
    "(compare, review)."
)

Commands = argparse._SubParsersAction  # the type argparse returns, which has no public name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coldproof",
        description="Cold and warm starts of LLM servers over a fleet: campaigns, the intake of "
        "what nodes measured, and reports.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"coldproof {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_report(commands)
    _add_compare(commands)
    _add_review(commands)
    _add_campaign(commands)
    _add_intake(commands)
    _add_archive(commands)
    return parser


def _add(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    description: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=summary, description=f"{summary.capitalize()}. {description}", epilog=EPILOG
    )
    parser.set_defaults(run=run)
    return parser


def _add_report(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _add(
        commands,
        "report",
        _report,
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


def _add_compare(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _add(
        commands,
        "compare",
        _compare,
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


def _add_review(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _add(
        commands,
        "review",
        _review,
        "hold a campaign against a policy of budgets",
        "Says of each hardware class, tier and variant which service classes it serves, how long "
        "restoring and rolling take at least, how long a startup probe must wait, and what to "
        "change first. Writes capacity_review.md and capacity_review.json.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "campaign", type=Path, nargs="?", metavar="CAMPAIGN", help="the campaign's folder"
    )
    source.add_argument(
        "--show-policy", action="store_true", help="print the policy that is the default"
    )
    parser.add_argument("--policy", type=Path, metavar="FILE.yml", help="the budgets")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write (default: CAMPAIGN)"
    )


def _add_campaign(commands: Commands[argparse.ArgumentParser]) -> None:
    group = commands.add_parser(
        "campaign", help="open a campaign, or note what became of its nodes", epilog=EPILOG
    ).add_subparsers(required=True, metavar="ACTION")
    parser = _add(
        group,
        "open",
        _open,
        "resume the unfinished campaign of a plan, or start one",
        'Reads JSON on stdin: {"settings": {...}, "demo": false, "nodes": ["gpu-01"], "command": '
        "null}. Prints one line of JSON: campaign, digest, directory, resumed.",
    )
    parser.add_argument(
        "--reports", type=Path, required=True, metavar="DIR", help="the folder of all campaigns"
    )
    parser.add_argument(
        "--max-age-days",
        type=_days,
        default=30.0,
        metavar="N",
        help="an unfinished campaign older than this is not resumed (default: 30)",
    )
    parser.add_argument("--campaign", metavar="ID", help="resume this one; refused if it differs")
    parser.add_argument("--check", action="store_true", help="say what would be; write nothing")
    parser = _add(
        group,
        "note",
        _note,
        "note what became of nodes",
        'Reads JSON on stdin: {"nodes": {"gpu-01": {"status": "refused", "code": "...", '
        '"message": "...", "variable": "..."}}}. Status is one of '
        f"{', '.join(campaign.STATUSES)}.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="the campaign's folder")


def _add_intake(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _add(
        commands,
        "intake",
        _intake,
        "take in the archive that was fetched from a node",
        "Unpacks known files of an uncompressed tar into DIR/nodes/NAME, merged with what was "
        "fetched before; nothing is lost or overwritten. Prints JSON: what was done with each "
        "file, and what was rejected and why.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="the campaign's folder")
    parser.add_argument("--node", required=True, metavar="NAME", help="the node's inventory name")
    parser.add_argument("archive", type=Path, metavar="ARCHIVE.tar", help="the fetched archive")


def _add_archive(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _add(
        commands,
        "agent-archive",
        _archive,
        "build the agent's zipapp, byte-reproducible",
        "The same sources give the same bytes. Prints JSON: path, sha256, changed.",
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


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days") from error
    if not 0 <= days <= 36500:
        raise argparse.ArgumentTypeError(f"{text!r} is not within 0 and 36500 days")
    return days


def _stdin() -> Any:
    try:
        return json.loads(sys.stdin.buffer.read().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"stdin: not JSON ({error})") from error


def _report(options: argparse.Namespace) -> int:
    from coldproof.command_report import run  # pandas: only this command waits for it

    return run(options.source, options.out, show=options.print, strict=options.strict)


def _compare(options: argparse.Namespace) -> int:
    from coldproof.command_compare import run

    return run(options.base, options.new, options.out, frozenset(options.across))


def _review(options: argparse.Namespace) -> int:
    from coldproof.command_review import run
    from coldproof.policy import default_text

    if options.show_policy:
        print(default_text(), end="")
        return 0
    return run(options.campaign, options.policy, options.out)


def _open(options: argparse.Namespace) -> int:
    opened = campaign.open_campaign(
        options.reports,
        campaign.request_from(_stdin()),
        now=campaign.utc_now(),
        max_age=timedelta(days=options.max_age_days),
        named=options.campaign,
        check=options.check,
    )
    answer = {
        "campaign": opened.campaign,
        "digest": opened.digest,
        "directory": str(opened.directory),
        "resumed": opened.resumed,
    }
    print(json.dumps(answer))
    return 0


def _note(options: argparse.Namespace) -> int:
    campaign.note(options.directory, _stdin())
    return 0


def _intake(options: argparse.Namespace) -> int:
    taken = intake.take(options.directory, options.node, options.archive)
    print(json.dumps(taken.as_json()))
    return 0


def _archive(options: argparse.Namespace) -> int:
    built = archive.build(options.source, options.schemas, options.out)
    print(json.dumps({"path": str(built.path), "sha256": built.sha256, "changed": built.changed}))
    return 0
