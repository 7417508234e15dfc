"""`coldproof status`: its arguments."""

from __future__ import annotations

import argparse

from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command
from coldproof.cli.run import add_campaign, add_variables, variables


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "status",
        _run,
        "say what each node of a campaign does now",
        "Has each node's shell print its agent's status, by a playbook: a row a node. Exits with 1 "
        "if a node of the campaign does not answer.",
    )
    add_arguments(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which campaign, and how its nodes are reached."""
    add_campaign(parser)
    parser.add_argument(
        "-i",
        "--inventory",
        action="append",
        default=[],
        metavar="INVENTORY",
        help="as Ansible's (default: that of the campaign's command)",
    )
    parser.add_argument(
        "-l", "--limit", metavar="LIMIT", help="as Ansible's (default: the campaign's nodes)"
    )
    add_variables(parser)


def _run(options: argparse.Namespace) -> Answer:
    from coldproof.live.command_ask import status  # ansible-runner

    return status(options.campaign, options.inventory, options.limit, variables(options))
