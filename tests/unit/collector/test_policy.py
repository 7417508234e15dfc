"""Policies: what is shipped, and that a bad one is named by file, field and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldproof.cli import main
from coldproof.errors import InputError
from coldproof.policy import default_policy, default_text, load_policy
from coldproof.report.judge import BUDGETS

HEAD = "schema: coldproof.policy/1\n"
ONE = HEAD + "service_classes: [{name: demo, cold_start_s: 300}]\n"


def load(tmp_path: Path, text: str | bytes) -> object:
    path = tmp_path / "policy.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_policy(path)


def test_default_is_commented_complete_and_the_reports_limits() -> None:
    policy = default_policy()
    assert [one.name for one in policy.classes] == ["demo", "internal", "latency-sensitive"]
    assert [one.required for one in policy.classes] == [True, True, False]
    assert [budget.seconds for budget in BUDGETS] == [300.0, 120.0, 30.0]
    assert (policy.margin, policy.period_s, policy.max_missing_nodes) == (1.5, 10, 0)
    assert default_text().count("#") > 15


def test_the_shown_policy_is_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", "--show-policy"]) == 0
    shown = capsys.readouterr().out
    assert shown == default_text()
    assert load(tmp_path, shown).classes == default_policy().classes  # type: ignore[attr-defined]


def test_what_is_left_out_is_the_defaults(tmp_path: Path) -> None:
    policy = load(tmp_path, ONE + "startup: {margin: 2}\n")
    assert (policy.margin, policy.period_s, policy.replicas) == (2.0, 10, 4)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "field", "advice"),
    [
        ("", "the whole file: not a mapping", "it holds schema, service_classes"),
        ("- a", "the whole file: not a mapping", "it holds"),
        ("a: [", "not YAML", "compare it with --show-policy"),
        (b"\xff\xfe", "not UTF-8", "save it as UTF-8"),
        ("!!python/object/apply:os.system [id]", "not YAML", "compare"),
        ("service_classes: []", "schema: missing", "coldproof.policy/1"),
        ("schema: coldproof.policy/2", "schema: 'coldproof.policy/2' is not", "write e.g."),
        (HEAD, "service_classes: missing", "write e.g. - {name: demo"),
        (HEAD + "service_classes: []", "service_classes: '[]' is not a list", "write e.g."),
        (HEAD + "service_classes: [5]", "service_classes[0]: not a mapping", "it holds name"),
        (HEAD + "service_classes: [{cold_start_s: 1}]", "service_classes[0].name: missing",
         "write e.g. internal"),
        (HEAD + "service_classes: [{name: a}]", "service_classes[0].cold_start_s: missing",
         "give the class a budget in seconds"),
        (HEAD + "service_classes: [{name: a, cold_start_s: fast}]",
         "service_classes[0].cold_start_s: 'fast' is not a number", "write e.g. 120"),
        (HEAD + "service_classes: [{name: a, cold_start_s: -1}]", "cold_start_s: '-1'", "e.g."),
        (HEAD + "service_classes: [{name: a, cold_start_s: .nan}]", "cold_start_s: 'nan'", "e.g."),
        (HEAD + "service_classes: [{name: a, cold_start_s: .inf}]", "cold_start_s: 'inf'", "e.g."),
        (HEAD + "service_classes: [{name: a, cold_start_s: 1e999}]", "cold_start_s", "e.g."),
        (HEAD + "service_classes: [{name: a, cold_start_s: true}]", "cold_start_s: 'True'", "e.g."),
        (HEAD + "service_classes: [{name: a, cold_start_s: 1, colour: red}]",
         "service_classes[0].colour: unknown field", "known are name"),
        (HEAD + "service_classes: [{name: a, cold_start_s: 1, required: 'yes'}]",
         "service_classes[0].required", "true or false"),
        (HEAD + "service_classes: [{name: a, cold_start_s: 1, tiers: nvme}]",
         "service_classes[0].tiers", '["nvme*"]'),
        (HEAD + "service_classes: [{name: a, cold_start_s: 1}, {name: a, cold_start_s: 2}]",
         "service_classes[1].name: 'a' stands twice", "its own name"),
        (HEAD + "schema: coldproof.policy/1\n", "'schema' stands twice (line 2)", "keep one"),
        (ONE + "budget: 3\n", "budget: unknown field", "known are schema"),
        (ONE + "startup: 3\n", "startup: not a mapping", "--show-policy"),
        (ONE + "startup: {margin: 0.5}\n", "startup.margin: '0.5'", "write e.g. 1.5"),
        (ONE + "startup: {period_s: 1.5}\n", "startup.period_s: '1.5'", "a whole number"),
        (ONE + "replicas: {count: 0}\n", "replicas.count: '0'", "a whole number"),
        (ONE + "replicas: {number: 1}\n", "replicas.number: unknown field", "count, per_node"),
        (ONE + "rollout: {batch: null}\n", "rollout.batch: missing", "write e.g. 1"),
        (ONE + "max_missing_nodes: -1\n", "max_missing_nodes: '-1'", "a whole number from 0"),
        (ONE + "{[a]: b}: c\n", "not YAML", "compare"),
    ],
)  # fmt: skip
def test_bad_policy_names_file_field_and_what_to_do(
    tmp_path: Path, text: str | bytes, field: str, advice: str
) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'policy.yml'}: ")
    assert field in message
    assert advice in message


def test_policy_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["review", str(tmp_path), "--policy", str(tmp_path / "none.yml")]) == 2
    assert "none.yml: No such file" in capsys.readouterr().err


def test_patterns_choose_tiers_and_variants(tmp_path: Path) -> None:
    text = HEAD + "service_classes: [{name: a, cold_start_s: 1, tiers: ['nv*'], variants: [x]}]"
    (one,) = load(tmp_path, text).classes  # type: ignore[attr-defined]
    assert [one.applies("nvme", "x"), one.applies("nvme", "y"), one.applies("nfs", "x")] == [
        True, False, False,
    ]  # fmt: skip
