"""The line that the callback and the plain view print for what a node's status says."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest

from coldproof.live.lines import Lines, status_in

ROOT = Path(__file__).parents[3]
STATUS = {
    "schema": "coldproof.status/1",
    "phase": "starting",
    "run": "nvme/default cold 2/3",
    "server_phase": None,
    "elapsed_s": None,
    "last_s": None,
}


def line(lines: Lines, now: float, **fields: Any) -> str | None:
    said: str | None = lines.line("gpu-03", {**STATUS, **fields}, now)
    return said


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "gpu-03  nvme/default cold 2/3  starting"),
        (
            {"server_phase": "weights", "elapsed_s": 12.44, "last_s": 11.9},
            "gpu-03  nvme/default cold 2/3  weights  12.4 s  (last 11.9 s)",
        ),
        ({"run": None, "phase": "preparing"}, "gpu-03  preparing"),
        (
            {"run": "a\x1b[31m\nb", "server_phase": "x" * 99, "elapsed_s": 1e999, "last_s": "11"},
            f"gpu-03  a?[31m?b  {'x' * 60}",
        ),
    ],
    ids=["starts", "in a phase", "no run", "hostile"],
)
def test_a_status_is_one_line(fields: dict[str, Any], shown: str) -> None:
    assert line(Lines(), 100.0, **fields) == shown


def test_what_has_not_changed_is_said_once_a_minute() -> None:
    lines = Lines()
    assert line(lines, 100.0) is not None
    assert line(lines, 130.0) is None
    assert line(lines, 161.0) == "gpu-03  nvme/default cold 2/3  starting  61.0 s"
    assert line(lines, 162.0, server_phase="weights", elapsed_s=70) is not None


@pytest.mark.parametrize(
    "answer", ["", "cat: no such file", '{"schema": "coldproof.status/1"', "[" * 9999]
)
def test_an_answer_without_a_status_is_none(answer: str) -> None:
    assert status_in(answer) is None


def test_a_status_is_found_behind_what_else_was_printed() -> None:
    assert status_in(f"boot\n1 (python3) S\n{json.dumps(STATUS)}\n") == STATUS


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_on_a_terminal_no_color_is_honoured(no_color: str, coloured: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if "COLOR" not in name}
    environment |= {"TERM": "xterm", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    environment |= {"NO_COLOR": no_color} if no_color else {}
    program = Path(sys.executable).with_name("ansible-playbook")
    said = pexpect.run(
        f"{program} probe.yml -i localhost,", cwd=str(ROOT), env=environment, timeout=60
    )
    assert b"There is no node to work on" in said.replace(b"\r\n", b" ")
    assert (b"\x1b[" in said) == coloured
