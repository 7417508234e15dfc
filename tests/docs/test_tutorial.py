"""docs/tutorial/first-fleet.md, command by command, on three real sshd nodes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checkout import ROOT, copy_tree
from tests.fleet.nodes import Fleet, Node

# Seven starts on each of three nodes, of which a loaded machine makes minutes.
pytestmark = pytest.mark.timeout(600)
LIMIT_S = 540
PAGE = ROOT / "docs/tutorial/first-fleet.md"
NODES = ("gpu-01", "gpu-02", "gpu-03")
MODELS = Path("/var/tmp/coldproof-tutorial")
VENV = Path(sys.executable).parents[1]


def blocks(kind: str) -> list[str]:
    """Returns the fenced blocks of the page that are marked so, in order."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def shape(line: str) -> str:
    """Returns a line without what differs from run to run: numbers and spaces."""
    return re.sub(r"[\d.]+", "0", " ".join(re.sub(r"\x1b\[[0-9;]*m", "", line).split()))


@dataclass(frozen=True)
class Tutorial:
    """The page as it was followed.

    Attributes:
        said: the output of each block of commands.
        checkout: where it was followed.
    """

    code: int
    said: list[str]
    checkout: Path
    nodes: list[Node]


def start(fleet: Fleet, name: str) -> Node:
    """Starts a node whose user has a home of its own, as on a machine of its own."""
    node = fleet.add(name, up=False)
    home = node.folder / "home"
    home.mkdir()
    with (node.folder / "sshd_config").open("a", encoding="utf-8") as config:
        config.write(f"SetEnv HOME={home}\n")
    node.start()
    return node


def configure(folder: Path, fleet: Fleet, nodes: list[Node]) -> None:
    """Writes the user's ssh configuration, and an ssh that reads it, wherever HOME is."""
    fleet.inventory(*NODES)
    lines = [
        f"Host {node.name}\n  HostName 127.0.0.1\n  Port {node.port}\n"
        f"  IdentityFile {fleet.client_key}\n  UserKnownHostsFile {fleet.known_hosts}\n"
        "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
        for node in nodes
    ]
    (folder / "ssh_config").write_text("".join(lines), encoding="utf-8")
    program = folder / "bin/ssh"
    program.parent.mkdir(parents=True)
    real = shutil.which("ssh")
    program.write_text(f'#!/bin/sh\nexec {real} -F {folder}/ssh_config "$@"\n', encoding="utf-8")
    program.chmod(0o755)


def check_out(target: Path) -> None:
    """Makes a checkout whose .venv is set up: with this one's parts, and a stamp of its own."""
    copy_tree(target)
    (target / ".venv").mkdir()
    for part in VENV.iterdir():
        if part.name != ".stamp":
            (target / ".venv" / part.name).symlink_to(part)
    (target / ".venv/.stamp").touch()


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    """The page, followed in one shell that stops at the first command that fails."""
    folder = tmp_path_factory.mktemp("tutorial")
    fleet, checkout = Fleet(folder / "machines"), folder / "coldproof"
    shutil.rmtree(MODELS, ignore_errors=True)
    try:
        nodes = [start(fleet, name) for name in NODES]
        configure(folder, fleet, nodes)
        check_out(checkout)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "VIRTUAL_"))}
        commands = "\n".join(f"{block}\nprintf '\\n----\\n'" for block in blocks("sh"))
        done = subprocess.run(
            ["bash", "-e", "-c", commands],
            cwd=checkout,
            env=kept
            | {
                "PATH": f"{folder}/bin:{os.environ['PATH']}",
                "HOME": str(folder),
                "PWD": str(checkout),
                "PYTHONPATH": str(checkout / "collector"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        yield Tutorial(done.returncode, done.stdout.split("\n----\n"), checkout, nodes)
    finally:
        fleet.stop()
        shutil.rmtree(MODELS, ignore_errors=True)


def test_every_command_works(tutorial: Tutorial) -> None:
    assert tutorial.code == 0, "\n".join(tutorial.said)
    assert len(tutorial.said) >= len(blocks("sh"))


def test_it_says_what_the_page_shows(tutorial: Tutorial) -> None:
    said = {shape(line) for text in tutorial.said for line in text.splitlines()}
    shown = [shape(text.splitlines()[0]) for text in blocks("text")]
    assert shown
    missing = [line for line in shown if not any(line in other for other in said)]
    assert missing == [], "\n".join(tutorial.said)


def test_the_exit_codes_are_those_of_the_page(tutorial: Tutorial) -> None:
    found = [re.findall(r"^exit code (\d+)$", text, re.M) for text in tutorial.said]
    assert [codes for codes in found if codes] == [["2"], ["2"], ["3"]]


def test_it_leaves_nothing_on_the_nodes(tutorial: Tutorial) -> None:
    assert [path for node in tutorial.nodes for path in node.folder.rglob("coldproof*")] == []
    assert not any((MODELS / name).exists() for name in NODES)
    assert (tutorial.checkout / "reports/latest/report.html").is_file()
