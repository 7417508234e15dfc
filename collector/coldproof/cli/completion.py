"""`coldproof completion`: prints what a shell needs to complete the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command
from coldproof.errors import InputError

SHELLS = ("bash", "zsh")
FOLDERS = ("CAMPAIGN", "BASE", "NEW", "DIR")


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "completion",
        _run,
        "print the completion for a shell",
        'For bash: eval "$(coldproof completion bash)" in ~/.bashrc. For zsh: the output as a '
        "file _coldproof in a folder of fpath.",
    )
    parser.add_argument("shell", choices=SHELLS, help="which")


def _run(options: argparse.Namespace) -> Answer:
    try:
        import shtab
    except ImportError as error:
        raise InputError("completion: needs shtab; install it with pip install shtab") from error
    for action in _actions(options.whole):
        if action.type is Path:
            kind = shtab.DIRECTORY if action.metavar in FOLDERS else shtab.FILE
            action.complete = kind  # type: ignore[attr-defined]
    script = shtab.complete(options.whole, shell=options.shell)
    return Answer(0, {"shell": options.shell, "script": script}, script.rstrip("\n"))


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments of a parser and of the commands below it."""
    found = list(parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [one for sub in action.choices.values() for one in _actions(sub)]
    return found
