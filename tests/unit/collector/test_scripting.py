"""What scripts rely on: one JSON document on stdout, errors too, and the exit codes."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from coldproof import cli
from coldproof.cli import main
from coldproof.errors import InputError

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "reports/example"


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "coldproof", *words]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "collector"), **more}


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Run one command; stdout must be one JSON document."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("before", [True, False])
def test_report_answers_in_json(lab: Any, capsys: pytest.CaptureFixture[str], before: bool) -> None:
    lab.campaign(gpu_01="complete", gpu_02={"status": "refused", "code": "gpu_busy"})
    lab.fetch(lab.series())
    words = ["report", str(lab.folder), "--strict", "--print"]
    code, said = answer(capsys, *(["--json", *words] if before else [*words, "--json"]))
    assert (code, said["exit_code"], said["incomplete"]) == (1, 1, ["gpu-02"])
    assert said["nodes"]["gpu-02"]["code"] == "gpu_busy"
    assert Path(said["files"]["markdown"]).is_file()
    [row] = said["rows"]
    assert row["cold_s"] == {"n": 3, "median": 10.1, "low": 10.0, "high": 10.2}
    assert (row["node"], row["tier"], row["pairs"], row["failed"]) == ("gpu-01", "nvme", 3, 0)
    assert row["effect_s"]["median"] == 6.0


def test_compare_and_review_answer_with_what_they_write(
    lab: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    for words, name in (
        (["compare", lab.folder, lab.folder], "comparison"),
        (["review", lab.folder], "capacity_review"),
    ):
        code, said = answer(capsys, *words, "--json")
        files = said.pop("files")
        assert said == json.loads((lab.folder / f"{name}.json").read_text("utf-8"))
        assert (code, files["markdown"]) == (said["exit_code"], str(lab.folder / f"{name}.md"))
    code, said = answer(capsys, "review", "--show-policy", "--json")
    assert code == 0
    assert said["service_classes"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "--json"], "the following arguments are required: DIR|FILE.csv"),
        (["--json", "nonsense"], "invalid choice"),
        (["report", "/nonexistent", "--json"], "/nonexistent: not there"),
        (["review", "--json", "/nonexistent", "--pol", "x"], "--pol"),
    ],
)
def test_an_error_is_a_document_and_a_line(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    shown = capsys.readouterr()
    error = json.loads(shown.out)["error"]
    assert error["code"] == 2
    assert message in error["message"]
    assert f"coldproof: {error['message']}\n" in shown.err


def test_without_json_an_error_leaves_stdout_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "/nonexistent"]) == 2
    assert capsys.readouterr().out == ""


class _Broken:
    """A command in which something happens that nobody foresaw."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def add(self, commands: Any) -> None:
        cli.adding.add_command(commands, "broken", self.run, "break", "It breaks.")

    def run(self, options: Any) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ZeroDivisionError("by\nzero"), 70, "ZeroDivisionError: by zero (this is a fault"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (InputError("x: y"), 2, "x: y"),
    ],
)
@pytest.mark.parametrize("told", [True, False])
def test_what_ends_a_command_is_one_line_and_one_code(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    message: str,
    told: bool,
) -> None:
    monkeypatch.setattr(cli, "COMMANDS", (_Broken(error),))
    monkeypatch.setenv("COLDPROOF_TRACEBACK", "1" if told else "")
    assert main(["broken", "--json"]) == code
    shown = capsys.readouterr()
    assert json.loads(shown.out)["error"]["message"].startswith(message)
    assert ("Traceback" in shown.err) == (told and code == 70)
    if not told:
        assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["review", "--show-policy"], b""),
        (["schema", "nonsense", "--json"], b"coldproof: argument name: invalid choice"),
    ],
)
def test_a_reader_that_goes_away_is_no_error(words: list[str], said: bytes) -> None:
    with subprocess.Popen(
        command(*words),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()
        _, shown = process.communicate()
    assert process.returncode == 141
    assert said in shown
    assert b"Broken" not in shown


def test_a_full_disk_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("review", "--show-policy"), stdout=full, stderr=subprocess.PIPE,
            env=environment(), check=False, text=True,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "coldproof: stdout: No space left on device\n"


def test_ctrl_c_ends_with_130() -> None:
    with subprocess.Popen(
        command("campaign", "open", "--reports", str(EXAMPLE)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
        # A test run that a shell put into the background has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(b"{")
        process.stdin.flush()
        while unread(process.stdin.fileno()):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate()
    assert (process.returncode, out, said) == (130, b"", b"coldproof: interrupted\n")


def unread(pipe: int) -> int:
    """Return how many bytes the other side has not read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def test_a_command_that_needs_nothing_waits_for_nothing() -> None:
    heavy = ["pandas", "numpy", "pyarrow", "shtab", "rich", "paramiko", "ansible"]
    code = f"import sys, coldproof.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stdout == "[]\n"


def test_nothing_is_coloured(lab: Any) -> None:
    lab.campaign()
    lab.fetch(lab.series())
    done = subprocess.run(
        command("report", str(lab.folder), "--print"),
        capture_output=True, check=True, env=environment(FORCE_COLOR="1", CLICOLOR_FORCE="1"),
    )  # fmt: skip
    assert b"\x1b" not in done.stdout + done.stderr


def leaves(parser: Any, name: str = "coldproof") -> list[tuple[str, Any]]:
    """The commands that can be run, by name."""
    found = []
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for word, sub in action.choices.items():
                found += leaves(sub, f"{name} {word}")
    return found or [(name, parser)]


def test_the_list_of_commands_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "docs/command.py"), "--check"], check=False)
    assert done.returncode == 0, "run docs/command.py"


def test_every_command_knows_json_and_has_its_exit_codes_documented() -> None:
    page = (ROOT / "docs/scripting.md").read_text("utf-8")
    for name, parser in leaves(cli.parser()):
        assert "--json" in parser._option_string_actions, name
        assert f"`{name.removeprefix('coldproof ')}`" in page, name
    rows = set(re.findall(r"^\| (\d+) \|", page, re.MULTILINE))
    assert {"0", "1", "2", "3", "70", "130", "141"} <= rows
