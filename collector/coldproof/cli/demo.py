"""`coldproof demo`: the main job on this machine."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from coldproof import collection
from coldproof.answer import Answer
from coldproof.cli.adding import Commands, add_command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    add_command(
        commands,
        "demo",
        _run,
        "run the main job on this machine: no GPU, no root",
        "Writes a model of 1 GiB of random weights into .demo/ of the working directory, runs "
        "the built-in reference server on it, cold and warm, and reports into reports/. Takes a "
        "minute or two. The exit code is ansible-playbook's; with --json its output is on stderr.",
    )


def _run(options: argparse.Namespace) -> Answer:
    root = collection.root()
    argv = [sys.executable, "-m", "ansible", "playbook", str(root / "playbooks/probe.yml")]
    argv += ["-i", str(root / "inventory/local.yml"), "-l", "gpu-nodes"]
    variables = {**os.environ, "ANSIBLE_CONFIG": str(root / "ansible.cfg")}
    if not options.json:
        sys.stdout.flush()
        # In place of this process, so that signals and the exit code are Ansible's own.
        os.execve(sys.executable, argv, variables)
    code = subprocess.run(argv, env=variables, stdout=sys.stderr, check=False).returncode
    latest = os.path.realpath("reports/latest") if os.path.exists("reports/latest") else None
    return Answer(code, {"code": code, "latest": latest}, "")
