"""The rule that keeps secrets out of the plan counts as one what the agent hides of a record."""

from __future__ import annotations

import random
from typing import Any

import pytest

from coldproof.variables import secrets
from coldproof_agent import redact

KEY = "sk-canary-5f2c9d71"
ONE: dict[str, Any] = {"coldproof_variants": [{"name": "default"}]}


def found(**variables: Any) -> list[tuple[str, str]]:
    """Returns where the rule finds secrets: variable and name."""
    return secrets.find({**ONE, **variables})


def args(*words: str) -> list[tuple[str, str]]:
    return found(coldproof_engine_args=list(words))


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--port", "80", "--api-key", KEY], "--api-key"),
        ([f"--api-key={KEY}"], "--api-key"),
        (["--api_key", "-" + KEY], "--api_key"),
        (["--hf-token=" + KEY], "--hf-token"),
        (["--token", "1234"], "--token"),
        (["--ssl-key-password", KEY], "--ssl-key-password"),
        (["--proxy", f"http://user:{KEY}@proxy:3128"], "a password in an address"),
        ([f"http://user:{KEY}@proxy:3128"], "a password in an address"),
        ([f"-xhttp://user:{KEY}@proxy:3128"], "a password in an address"),
    ],
)
def test_a_secret_of_the_command_line_is_found(words: list[str], name: str) -> None:
    assert args(*words) == [("coldproof_engine_args", name)]
    assert found(coldproof_engine_command=words) == [("coldproof_engine_command", name)]
    assert found(coldproof_container_args=words) == [("coldproof_container_args", name)]
    variants = [{"name": "a"}, {"name": "b", "args": words}]
    assert found(coldproof_variants=variants) == [("coldproof_variants", name)]
    assert found(coldproof_engine_args=" ".join(words)) == [("coldproof_engine_args", name)]


def test_a_value_is_found_in_the_variable_that_goes_on() -> None:
    variants = [{"name": "a", "args": [KEY]}]
    assert found(coldproof_engine_args=["--api-key"], coldproof_variants=variants) == [
        ("coldproof_variants", "--api-key")
    ]


@pytest.mark.parametrize("name", ["HF_TOKEN", "WANDB_API_KEY", "A_KEY", "my_password", "X_SECRET"])
def test_a_secret_of_the_environment_is_found(name: str) -> None:
    assert found(coldproof_engine_env={"HOME": "/", name: KEY}) == [("coldproof_engine_env", name)]
    assert found(coldproof_engine_env={name: 12345678}) == [("coldproof_engine_env", name)]
    variants = [{"name": "a", "env": {name: KEY}}]
    assert found(coldproof_variants=variants) == [("coldproof_variants", name)]


def test_what_is_no_secret_is_let_through() -> None:
    assert args(
        "--max-num-batched-tokens", "8192", "--tokenizer", "/m", "--max-num-batched-tokens=8k",
        "--tokenizer-mode=auto", "-tp", "2", "--trust-remote-code", "--model", "m", "--no-auth",
        "--port", "80", "--proxy", "http://proxy:3128/a@b",
    ) == []  # fmt: skip
    env = {"TOKENIZERS_PARALLELISM": False, "PATH": "/bin", "VLLM_MAX_TOKENS": 12}
    assert found(coldproof_engine_env=env) == []
    switches = {"HF_HUB_DISABLE_IMPLICIT_TOKEN": 1, "USE_AUTH": False, "HF_TOKEN": ""}
    assert found(coldproof_engine_env=switches) == []
    assert found(coldproof_engine_env="HF_TOKEN=x", coldproof_variants="text") == []


NAMES = ("--api-key", "--token", "--tokenizer", "--max-tokens", "-k", "--auth", "--port", "-TOKEN")
VALUES = (KEY, "8192", "-" + KEY, "/models/m", "http://u:pass12@h", "a=b", "--")


def test_the_rule_finds_what_the_agent_would_hide() -> None:
    for seed in range(100):
        draw = random.Random(seed)
        words = []
        for _ in range(draw.randint(1, 7)):
            option, value = draw.choice(NAMES), draw.choice(VALUES)
            words += draw.choice([[option], [value], [option, value], [f"{option}={value}"]])
        hidden = redact.hide_argv(words, [])
        assert bool(args(*words)) == (hidden != words), (seed, words, hidden)
