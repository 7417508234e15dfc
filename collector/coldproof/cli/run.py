"""`coldproof run`: its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "run",
        _run,
        "measure the fleet, with a live table of what each node does",
        "Runs the main job, probe.yml, and beside it streams each node's status by ssh. On a "
        "terminal it shows a table, elsewhere what Ansible prints. Ctrl-C leaves the nodes "
        "measuring. Exits as ansible-playbook does, or with 130 after Ctrl-C.",
    )
    add_arguments(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ansible-playbook is given, as it calls it itself."""
    parser.add_argument(
        "-i", "--inventory", action="append", default=[], metavar="INVENTORY", help="as Ansible's"
    )
    parser.add_argument("-l", "--limit", metavar="LIMIT", help="as Ansible's")
    add_variables(parser)
    parser.add_argument("-f", "--forks", type=int, metavar="N", help="as Ansible's")
    parser.add_argument(
        "--check", action="store_true", help="preflight and the plan; change nothing"
    )
    parser.add_argument(
        "--no-stream", action="store_true", help="let the playbook look at the nodes by itself"
    )


def add_campaign(parser: argparse.ArgumentParser) -> None:
    """Declare which campaign it is about."""
    parser.add_argument(
        "campaign",
        type=Path,
        nargs="?",
        metavar="CAMPAIGN",
        help="the campaign's folder (default: the newest in ./reports)",
    )


def add_variables(parser: argparse.ArgumentParser) -> None:
    """Declare -e, and what opens a vault that variables are in."""
    parser.add_argument(
        "-e",
        "--extra-vars",
        action="append",
        default=[],
        metavar="VAR=VALUE",
        help="as Ansible's; may be repeated",
    )
    for name, what in (("--vault-password-file", "FILE"), ("--vault-id", "LABEL@FILE")):
        parser.add_argument(name, action="append", default=[], metavar=what, help="as Ansible's")


def variables(options: argparse.Namespace) -> list[str]:
    """Return the words for ansible-playbook that `add_variables` declares."""
    given = {
        "-e": options.extra_vars,
        "--vault-password-file": options.vault_password_file,
        "--vault-id": options.vault_id,
    }
    return [word for option, values in given.items() for one in values for word in (option, one)]


def words(options: argparse.Namespace) -> list[str]:
    """Return the words for ansible-playbook."""
    given = [word for one in options.inventory for word in ("-i", one)]
    given += ["-l", options.limit] if options.limit else []
    given += variables(options)
    given += ["-f", str(options.forks)] if options.forks else []
    return given + (["--check"] if options.check else [])


def _run(options: argparse.Namespace) -> Answer:
    from coldproof.live.command_run import run  # ansible-runner, paramiko and rich

    return run(words(options), stream=not options.no_stream, silent=options.json)
