"""The completion of the command line, in a real bash."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from coldproof.cli import main


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "coldproof.bash"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["rev"], {"review"}),
        (["c"], {"compare", "completion", "campaign"}),
        (["campaign", ""], {"open", "conclude"}),
        (["export", "--format", "p"], {"parquet"}),
        (["review", "--p"], {"--policy"}),
        (["schema", "st"], {"status"}),
        (["bundle", "a-c"], {"a-campaign"}),
        (["review", "x", "--policy", "a-p"], {"a-policy.yml"}),
    ],
)
def test_bash_offers(script: Path, words: list[str], offered: set[str]) -> None:
    (script.parent / "a-campaign").mkdir()
    (script.parent / "a-policy.yml").touch()
    quoted = " ".join(f"'{word}'" for word in words)
    asked = (
        f"source {script}; COMP_WORDS=(coldproof {quoted}); COMP_CWORD={len(words)}; "
        "function=$(complete -p coldproof | sed 's/.*-F //; s/ .*//'); $function; "
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", asked + 'printf "%s\\n" "${COMPREPLY[@]}"'],
        cwd=script.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == offered, done.stderr


def test_a_tab_in_an_interactive_bash(script: Path) -> None:
    bash = pexpect.spawn("bash --norc --noprofile -i", encoding="utf-8", timeout=20)
    bash.sendline("bind 'set enable-bracketed-paste off'; PS1='ready> '")
    bash.expect("ready> $")
    bash.sendline(f'source {script}; coldproof() {{ echo "called: $*"; }}')
    bash.expect("ready> $")
    bash.send("coldproof rep\t--stri\t\n")
    bash.expect("called: report --strict")
    bash.close(force=True)


def test_zsh_can_read_its_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("#compdef coldproof\n")
    if shutil.which("zsh"):
        path = tmp_path / "_coldproof"
        path.write_text(text)
        subprocess.run(["zsh", "-n", str(path)], check=True)


def test_without_shtab_it_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install shtab" in capsys.readouterr().err
