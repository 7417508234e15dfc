"""`coldproof stop`: its arguments."""

from __future__ import annotations

import argparse

from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command
from coldproof.cli.run import variables
from coldproof.cli.status import add_arguments


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "stop",
        _run,
        "ask the agents of a campaign to stop between two runs",
        "An agent ends before its next prime run or pair of starts; nothing is lost, and resume "
        "goes on from there. Exits with 1 if a node of the campaign does not answer.",
    )
    add_arguments(parser)


def _run(options: argparse.Namespace) -> Answer:
    from coldproof.live.command_ask import stop  # ansible-runner

    return stop(options.campaign, options.inventory, options.limit, variables(options))
