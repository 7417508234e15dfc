"""What is released agrees with itself: versions, requirements, and what the collection holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml

from tests.checkout import ROOT
from tests.package.tree import build_collection, export, files_of

TOP = {
    "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "SECURITY.md",
    "ansible.cfg", "changelogs", "collector", "docs", "inventory", "measure_model_load.sh", "meta",
    "monitoring", "playbooks", "plugins", "requirements.txt", "roles", "schemas",
}  # fmt: skip
# What a checkout that is used has beside what git tracks.
PLANTED = (
    ".venv/bin/python", ".demo/state/status.json", ".ansible/x.yml", ".mypy_cache/x.json",
    "reports/20260101T000000Z-0123456789ab/campaign.json", "tests/unit/x.py", "dist/x.whl",
    "plugins/action/__pycache__/x.pyc", "bench/x.py", "coldproof-fleet-0.0.1.tar.gz",
    "fleet/hosts.yml", "venv/bin/python", "env/bin/python", "policy.yml", "runs.parquet", "x.prom",
)  # fmt: skip
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def requirements() -> dict[str, str]:
    """Returns the package's dependencies, each with its bounds."""
    pairs = (re.fullmatch(r"([A-Za-z0-9-]+)(.*)", text) for text in PROJECT["dependencies"])
    return {pair[1]: pair[2] for pair in pairs if pair}


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in the built collection."""
    tree = export(tmp_path_factory.mktemp("tree"))
    for name in PLANTED:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("planted", "utf-8")
    return files_of(build_collection(tree, tmp_path_factory.mktemp("built")))


def test_the_collection_holds_what_it_needs_and_nothing_else(content: set[str]) -> None:
    assert {name.partition("/")[0] for name in content} == TOP
    assert not set(PLANTED) & content
    assert {name.rpartition(".")[2] for name in content} <= {
        "LICENSE", "cfg", "css", "js", "json", "md", "py", "typed", "sh", "txt", "yaml", "yml",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "pattern"),
    [
        ("collector", "coldproof/**/*.*"),
        ("roles", "**/*.*"),
        ("plugins", "**/*.py"),
        ("schemas", "*"),
        ("playbooks", "*"),
        ("inventory", "**/*.yml"),
    ],
)
def test_the_collection_is_whole(content: set[str], folder: str, pattern: str) -> None:
    found = (path for path in (ROOT / folder).glob(pattern) if path.is_file())
    wanted = {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}
    assert wanted
    assert wanted == {name for name in content if name.startswith(f"{folder}/")}


def test_the_collection_depends_on_no_other() -> None:
    assert load("galaxy.yml")["dependencies"] == {}
    text = "".join(path.read_text("utf-8") for path in ROOT.glob("roles/*/tasks/*.yml"))
    assert set(re.findall(r"\b([a-z]+\.[a-z]+)\.[a-z_]+:", text)) == {"ansible.builtin"}


def test_versions_agree() -> None:
    inside = r'^__version__ = "(.*)"$'
    sources = ("collector/coldproof", "roles/agent/files/coldproof_agent")
    texts = [(ROOT / source / "__init__.py").read_text("utf-8") for source in sources]
    found = {match for text in texts for match in re.findall(inside, text, re.M)}
    assert found == {PROJECT["version"]} == {load("galaxy.yml")["version"]}


def test_a_released_version_is_not_changed_any_more() -> None:
    def order(version: str) -> list[int]:
        return [int(part) for part in version.split(".")]

    released = sorted(load("changelogs/changelog.yaml")["releases"], key=order)
    pending = list((ROOT / "changelogs/fragments").glob("*.yml"))
    if released:
        assert order(released[-1]) <= order(PROJECT["version"])
        assert released[-1] != PROJECT["version"] or not pending, "raise the version"
    else:
        assert pending


def test_the_ansible_that_is_needed_is_said_once() -> None:
    needed = requirements()["ansible-core"]
    assert load("meta/runtime.yml")["requires_ansible"] == needed == ">=2.19.0"


def test_requirements_agree_and_each_has_a_lower_bound() -> None:
    assert all(re.match(r">=\d", bound) for bound in requirements().values()), requirements()
    text = re.sub(r"#.*", "", (ROOT / "requirements.txt").read_text("utf-8"))
    lines = set(text.split())
    assert lines < {name + bound for name, bound in requirements().items()}
    assert {re.split(">", line)[0] for line in lines} == {"pandas", "tabulate", "PyYAML"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("roles/*/")), ids=lambda path: path.name)
def test_a_role_has_a_page_in_ansible_doc(path: Path) -> None:
    specs = load(f"roles/{path.name}/meta/argument_specs.yml")["argument_specs"]
    for spec in specs.values():
        assert spec["short_description"]
        assert spec["description"]
