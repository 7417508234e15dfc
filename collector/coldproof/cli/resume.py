"""`coldproof resume`: its arguments."""

from __future__ import annotations

import argparse

from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command
from coldproof.cli.run import add_arguments, add_campaign, words


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "resume",
        _run,
        "go on with a campaign, as it was begun",
        "Like run, with the inventory of the campaign's own command, on all its nodes. Variables "
        "that were given with -e have to be given again: nothing keeps them, they may be secrets.",
    )
    add_campaign(parser)
    add_arguments(parser)


def _run(options: argparse.Namespace) -> Answer:
    from coldproof.live import last
    from coldproof.live.command_run import run

    folder = last.newest(options.campaign)
    return run(
        [*last.arguments(folder, options.inventory, options.limit), *words(options)],
        stream=not options.no_stream,
        silent=options.json,
    )
