"""What a controller (AWX) is given: the survey, and the definition of its execution environment."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from awx import generate
from coldproof.variables import rules

ROOT = Path(__file__).resolve().parents[3]
SPECS = yaml.safe_load((ROOT / "roles/coldproof/meta/argument_specs.yml").read_text("utf-8"))[
    "argument_specs"
]["variables"]["options"]
DEFAULTS = yaml.safe_load((ROOT / "roles/coldproof/defaults/main.yml").read_text("utf-8"))
SURVEY = json.loads((ROOT / "awx/survey.json").read_text("utf-8"))
QUESTIONS = {question["variable"]: question for question in SURVEY["spec"]}
DEFINITION = yaml.safe_load((ROOT / "execution-environment.yml").read_text("utf-8"))
# The type of an answer, by the type of the question: what the controller itself insists on.
ANSWERS: dict[str, type] = {"text": str, "multiplechoice": str, "integer": int}


def validated(answers: dict[str, Any]) -> dict[str, Any]:
    checked = ArgumentSpecValidator(SPECS).validate({**DEFAULTS, **answers})
    assert checked.error_messages == []
    values: dict[str, Any] = checked.validated_parameters
    return values


def builder(*words: str) -> str:
    program = str(Path(sys.executable).parent / "ansible-builder")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_generated_is_up_to_date() -> None:
    advice = "run awx/generate.py"
    assert (ROOT / "awx/survey.json").read_text("utf-8") == generate.survey(), advice
    assert generate.REQUIREMENTS.read_text("utf-8") == generate.requirements(), advice


@pytest.mark.parametrize("variable", QUESTIONS)
def test_a_question_asks_for_a_variable_in_its_own_type(variable: str) -> None:
    question, spec = QUESTIONS[variable], SPECS[variable]
    answer = question["default"]
    assert type(answer) is ANSWERS[question["type"]]
    if question["type"] == "multiplechoice":
        assert answer in question["choices"]
        given = [validated({variable: choice})[variable] for choice in question["choices"]]
        assert given == spec.get("choices", [False, True])
    if variable in rules.RANGES:
        assert (question["min"], question["max"]) == rules.RANGES[variable]


def test_a_survey_that_nobody_answers_changes_nothing() -> None:
    untouched = {name: question["default"] for name, question in QUESTIONS.items()}
    assert validated(untouched) == validated({})


def test_a_list_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(generate.QUESTIONS, "coldproof_tiers", "Tiers")
    with pytest.raises(ValueError, match="coldproof_tiers: list: an answer is text"):
        generate.survey()


def test_the_environment_has_what_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = generate.REQUIREMENTS.read_text("utf-8").splitlines()
    dependencies = DEFINITION["dependencies"]
    named = [dependencies[name]["package_pip"] for name in ("ansible_core", "ansible_runner")]
    advice = "name both in execution-environment.yml as pyproject.toml does"
    assert sorted([*named, *lines[1:]]) == sorted(project["dependencies"]), advice
    python = re.fullmatch(r"python3\.(\d+)", dependencies["python_interpreter"]["package_system"])
    least = re.fullmatch(r">=3\.(\d+)", project["requires-python"])
    assert python is not None
    assert least is not None
    assert int(python[1]) >= int(least[1])


def test_the_builder_makes_the_context(tmp_path: Path) -> None:
    builder(
        *("create", "-f", str(ROOT / "execution-environment.yml"), "-c", str(tmp_path)),
        *("--output-filename", "Containerfile"),
    )
    made = (tmp_path / "Containerfile").read_text("utf-8")
    assert DEFINITION["images"]["base_image"]["name"] in made
    assert DEFINITION["dependencies"]["ansible_core"]["package_pip"] in made
    copied = (tmp_path / "_build/requirements.txt").read_text("utf-8")
    assert copied == generate.REQUIREMENTS.read_text("utf-8")
    system = (tmp_path / "_build/bindep.txt").read_text("utf-8")
    assert "openssh-clients" in system


def test_the_builder_finds_what_the_collection_needs(tmp_path: Path) -> None:
    collection = tmp_path / "ansible_collections/coldproof/fleet"
    shutil.copytree(ROOT / "meta", collection / "meta")
    shutil.copy(ROOT / "galaxy.yml", collection)
    found = yaml.safe_load(builder("introspect", str(tmp_path)))
    names = {re.split(r"[<>=~! #]", line)[0] for line in found["python"]}
    assert {"pandas", "tabulate"} <= names
