"""`coldproof review`: its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "review",
        _run,
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


def _run(options: argparse.Namespace) -> Answer:
    from coldproof.command_review import run
    from coldproof.policy import default_document, default_text

    if options.show_policy:
        return Answer(0, default_document(), default_text().rstrip("\n"))
    return run(options.campaign, options.policy, options.out)
