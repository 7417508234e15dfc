"""`coldproof campaign open` and `conclude`: JSON in, JSON out."""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path

from coldproof import campaign, conclude
from coldproof.answer import Answer
from coldproof.cli.adding import EPILOG, Commands, add_command, stdin


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the two commands."""
    group = commands.add_parser(
        "campaign", help="open a campaign, or conclude what became of its nodes", epilog=EPILOG
    ).add_subparsers(required=True, metavar="ACTION")
    parser = add_command(
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
    parser = add_command(
        group,
        "conclude",
        _conclude,
        "take in what was fetched, and note what became of nodes",
        'Reads JSON on stdin: {"nodes": {"gpu-01": {"status": "refused", "code": "...", '
        '"message": "...", "variable": "..."}}, "fetched": {"gpu-02": {"archive": "FILE.tar", '
        '"otherwise": null}}}, each part optional. Status is '
        f"one of {', '.join(campaign.STATUSES)}. Prints JSON: what became of each of these nodes.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="the campaign's folder")


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days") from error
    if not 0 <= days <= 36500:
        raise argparse.ArgumentTypeError(f"{text!r} is not within 0 and 36500 days")
    return days


def _open(options: argparse.Namespace) -> Answer:
    opened = campaign.open_campaign(
        options.reports,
        campaign.request_from(stdin()),
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
    return Answer(0, answer)


def _conclude(options: argparse.Namespace) -> Answer:
    return Answer(0, conclude.conclude(options.directory, stdin()))
