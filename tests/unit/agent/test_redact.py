"""Secrets are hidden; what is none stays, because it is evidence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from coldproof_agent import redact
from coldproof_agent.errors import Refusal

KEY = "sk-canary-5f2c9d71"


@pytest.mark.parametrize(
    "argv",
    [
        ["vllm", "serve", "--api-key", KEY, "--port", "8000"],
        ["vllm", "serve", f"--api-key={KEY}"],
        ["vllm", "serve", "--api_key", KEY],
        ["vllm", "serve", "--api-key", "-" + KEY],
        ["vllm", "serve", "--api-key", "first-key", KEY, "--port", "8000"],
        ["server", "--token", KEY],
        ["server", "--hf-token=" + KEY],
        ["server", "--ssl-key-password", KEY],
        ["server", "--proxy", f"http://user:{KEY}@proxy:3128"],
    ],
)
def test_a_secret_of_the_command_line_is_hidden(argv: list[str]) -> None:
    shown = redact.hide_argv(argv, [])
    assert KEY not in " ".join(shown)
    assert len(shown) == len(argv)
    assert redact.HIDDEN in " ".join(shown)


def test_what_is_no_secret_is_shown() -> None:
    argv = ["vllm", "serve", "/models/m", "--max-num-batched-tokens", "8192", "--tokenizer", "/m",
            "--max-num-batched-tokens=8192", "--tokenizer-mode=auto", "-tp", "2",
            "--trust-remote-code", "--model", "m"]  # fmt: skip
    assert redact.hide_argv(argv, []) == argv
    env = {"TOKENIZERS_PARALLELISM": "false", "PATH": "/bin", "VLLM_MAX_TOKENS": "12"}
    assert redact.hide_env(env, []) == env


def test_the_environment_is_hidden_by_name_and_by_value() -> None:
    env = {
        "HF_TOKEN": KEY,
        "WANDB_API_KEY": KEY,
        "MY_CHOICE": KEY,
        "INDEX_URL": f"https://index/{KEY}/simple",
        "http_proxy": "http://me:hunter22@proxy:3128",
        "HOME": "/root",
    }
    shown = redact.hide_env(env, ["MY_CHOICE"])
    assert shown.keys() == env.keys()
    assert KEY not in json.dumps(shown)
    assert "hunter22" not in json.dumps(shown)
    assert shown["HOME"] == "/root"
    assert shown["http_proxy"] == "http://me:***@proxy:3128"


def test_values_are_found_where_they_stand() -> None:
    found = redact.found_in(
        ["serve", "--api-key", KEY, "k2-longer", "--port", "80"], {"HF_TOKEN": "hf_123456"}
    )
    assert found == [KEY, "k2-longer", "hf_123456"]
    assert redact.found_in(["--token", "1"], {"A_KEY": ""}) == [], "'1' is in every line"


def test_secrets_have_forms() -> None:
    forms = redact.forms(['quo"te\\back', "line one 1\nline two 2", "abc", "abcdef", ""])
    assert {'quo\\"te\\\\back', "line one 1", "line two 2", "abc"} <= set(forms)
    assert forms.index("abcdef") < forms.index("abc"), "else 'def' would stay"
    assert "" not in forms


def test_the_file_of_secrets_is_private_json(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    assert redact.read(path) == {}
    path.write_text(json.dumps({"HF_TOKEN": KEY}))
    path.chmod(0o640)
    with pytest.raises(Refusal, match="0600") as refused:
        redact.read(path)
    assert KEY not in json.dumps(refused.value.as_dict())
    path.chmod(0o600)
    assert redact.read(path) == {"HF_TOKEN": KEY}


@pytest.mark.parametrize("text", [KEY, "[1]", '{"HF_TOKEN": 1}', "", '"' + KEY])
def test_a_damaged_file_of_secrets_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.json"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(Refusal) as refused:
        redact.read(path)
    assert KEY not in json.dumps(refused.value.as_dict())


def test_a_link_to_secrets_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("{}")
    os.symlink(target, tmp_path / "secrets.json")
    with pytest.raises(OSError, match="symbolic link"):
        redact.read(tmp_path / "secrets.json")
