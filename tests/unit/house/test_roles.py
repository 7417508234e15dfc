"""The house rules of the roles: one interface, documented, and nothing configurable twice."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.parent.parent for path in ROOT.glob("roles/*/meta/main.yml"))
INTERFACE = ROOT / "roles/coldproof"
# The group of nodes belongs to the playbooks, the other one is the agent's package.
NO_VARIABLES = {"coldproof_hosts", "coldproof_agent"}
ROLE_NAMES = {role.name for role in ROLES}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def specs() -> dict[str, Any]:
    document = load(INTERFACE / "meta/argument_specs.yml")["argument_specs"]
    options: dict[str, Any] = document["variables"]["options"]
    return options


def test_defaults_equal_the_argument_specs() -> None:
    documented = {name: spec.get("default") for name, spec in specs().items()}
    assert documented == load(INTERFACE / "defaults/main.yml")


def test_every_argument_is_described() -> None:
    for name, spec in specs().items():
        assert name.startswith("coldproof_")
        assert spec["description"], name
        assert spec["type"], name
        if spec["type"] == "list":
            assert spec["elements"], name


def test_the_interface_is_nothing_else() -> None:
    files = {str(p.relative_to(INTERFACE)) for p in INTERFACE.rglob("*") if p.is_file()}
    assert files == {"defaults/main.yml", "meta/main.yml", "meta/argument_specs.yml"}


def test_the_reference_of_the_variables_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "docs/variables.py"), "--check"], check=False)
    assert done.returncode == 0, "run docs/variables.py"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_says_what_it_is(role: Path) -> None:
    info = load(role / "meta/main.yml")["galaxy_info"]
    assert info["role_name"] == role.name
    assert len(info["description"]) > 20
    assert info["license"] == "GPL-3.0-or-later"
    assert info["min_ansible_version"] == "2.19"


@pytest.mark.parametrize("role", [r for r in ROLES if r != INTERFACE], ids=lambda role: role.name)
def test_other_roles_have_no_defaults_and_read_only_known_names(role: Path) -> None:
    assert not (role / "defaults").exists()
    known = set(specs())
    for path in [*role.glob("tasks/*.yml"), *role.glob("vars/**/*.yml")]:
        text = path.read_text("utf-8")
        used = set(re.findall(r"\bcoldproof_[a-z_]+\b", text)) - NO_VARIABLES
        assert used - known - {"coldproof_"} == set(), path
        internals = re.findall(r"\b__([a-z]+)_", text)
        assert set(internals) <= ROLE_NAMES, path


@pytest.mark.parametrize("role", [r for r in ROLES if r != INTERFACE], ids=lambda role: role.name)
def test_a_main_file_is_a_table_of_contents(role: Path) -> None:
    for task in load(role / "tasks/main.yml"):
        assert set(task) - {"name", "when", "run_once"} == {"ansible.builtin.import_tasks"}


def test_nothing_takes_rights_by_itself() -> None:
    for path in [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]:
        assert not re.search(r"^\s*become:", path.read_text("utf-8"), re.M), path


def test_roles_name_no_group() -> None:
    for path in ROOT.glob("roles/*/*/**/*.yml"):
        assert "gpu-nodes" not in path.read_text("utf-8"), path
