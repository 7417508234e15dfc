"""`coldproof schema`: its arguments, and a JSON Schema as its answer."""

from __future__ import annotations

import argparse
import json

from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command
from coldproof.known_schemas import NAMES, schema_text


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "schema",
        _run,
        "print the JSON Schema of a file",
        "run is one line of runs.jsonl; the others are plan.json, status.json and campaign.json.",
    )
    parser.add_argument("name", choices=NAMES, help="which")


def _run(options: argparse.Namespace) -> Answer:
    text = schema_text(options.name)
    return Answer(0, json.loads(text), text.rstrip("\n"))
