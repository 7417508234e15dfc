"""What the documents say: names, commands and settings in them are those of the code."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from coldproof.cli import parser
from coldproof.policy import load_policy
from coldproof.variables import rules

ROOT = Path(__file__).resolve().parents[3]
# Left out: what is generated from the command line itself.
PAGES = sorted({*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"} - {ROOT / "docs/command.md"})
# Its names are those of metrics.
METRICS = ROOT / "docs/monitoring.md"
SPECS = yaml.safe_load((ROOT / "roles/coldproof/meta/argument_specs.yml").read_text("utf-8"))[
    "argument_specs"
]["variables"]["options"]
DEFAULTS = yaml.safe_load((ROOT / "roles/coldproof/defaults/main.yml").read_text("utf-8"))
# Beginning like a variable: the agent's package, and the group of nodes.
OTHER = {"coldproof_agent", "coldproof_hosts"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, kind: str) -> list[str]:
    text = path.read_text("utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.M | re.S)


def commands() -> list[tuple[str, str]]:
    """Every command line of coldproof in a fenced block, with its page; continued ones joined."""
    found = []
    for path in PAGES:
        fences = re.findall(r"^```\w*\n(.*?)^```", path.read_text("utf-8"), re.M | re.S)
        for line in "\n".join(fences).replace("\\\n", " ").splitlines():
            if line.startswith("coldproof "):
                found.append((name(path), re.split(r" [|>#;&]| \[", line)[0]))
    return found


def settings() -> list[tuple[str, dict[str, Any]]]:
    """The variables of each YAML block that sets some, with the page."""
    found = []
    for path in PAGES:
        for text in blocks(path, "yaml"):
            content = yaml.safe_load(text)
            if isinstance(content, dict):
                inner = content.get("gpu-nodes", {}).get("vars", content)
                given = {key: value for key, value in inner.items() if key in SPECS}
                if given:
                    found.append((name(path), given))
    return found


@pytest.mark.parametrize("path", [page for page in PAGES if page != METRICS], ids=name)
def test_every_variable_exists(path: Path) -> None:
    named = set(re.findall(r"(?<![\w./-])coldproof_[a-z_]+[a-z]", path.read_text("utf-8")))
    assert named - SPECS.keys() - OTHER == set()


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_is_one(page: str, line: str) -> None:
    words = [re.sub(r"[<>]", "", word) for word in shlex.split(line)[1:]]
    if words != ["--version"]:
        assert parser().parse_args(words).run, page


@pytest.mark.parametrize(("page", "given"), settings())
def test_settings_are_not_refused(page: str, given: dict[str, Any]) -> None:
    model = {} if given.get("coldproof_tiers") else {"coldproof_model_path": "/srv/models/m"}
    values = DEFAULTS | model | given
    assert rules.mistyped(values, SPECS) == []
    checked = ArgumentSpecValidator(SPECS).validate(values)
    assert checked.error_messages == []
    assert rules.wrong(checked.validated_parameters, rules.Host("gpu-01", "ssh")) == [], page


def test_policies_are_policies(tmp_path: Path) -> None:
    found = [text for path in PAGES for text in blocks(path, "yaml") if "coldproof.policy/" in text]
    assert found
    for text in found:
        file = tmp_path / "policy.yml"
        file.write_text(text, encoding="utf-8")
        load_policy(file)


@pytest.mark.parametrize(
    ("budget", "tiers", "code", "said"),
    [
        (120, "[default]", 0, "every node keeps the promise"),
        (20, "[default]", 1, "a node is too slow"),
        (120, "[nvme]", 3, "not enough evidence"),
    ],
)
def test_the_gate_decides(tmp_path: Path, budget: int, tiers: str, code: int, said: str) -> None:
    page = ROOT / "docs/how-to/ci-gate.md"
    (gate,), (policy,) = blocks(page, "sh"), blocks(page, "yaml")
    measured, decided = gate.split("\n", 1)
    assert measured.startswith("ansible-playbook probe.yml")
    shutil.copytree(ROOT / "reports/example", tmp_path / "reports/latest")
    policy = policy.replace(": 120", f": {budget}").replace("[nvme]", tiers)
    (tmp_path / "policy.yml").write_text(policy, encoding="utf-8")
    done = subprocess.run(
        ["bash", "-c", decided],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout
