"""The collection, built and installed where there is nothing but ansible-core."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.package.conftest import Make, pip
from tests.package.tree import run

MODULES = sorted(path.stem for path in ROOT.glob("plugins/modules/*.py"))
ROLES = sorted(path.name for path in ROOT.glob("roles/*/"))
WHERE = ".ansible/collections/ansible_collections/coldproof/fleet"
PROBE = ("ansible-playbook", "coldproof.fleet.probe", "-l", "gpu-nodes", "-i")


@pytest.fixture(scope="module")
def bare(make: Make) -> Path:
    """`bin` of an environment with ansible-core alone."""
    return make("ansible-core>=2.19.0")


@pytest.fixture(scope="module")
def home(bare: Path, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home into which the collection was installed, and which held nothing before."""
    folder = tmp_path_factory.mktemp("home")
    run(folder, "ansible-galaxy", "collection", "install", str(archive), programs=bare)
    assert (folder / WHERE / "playbooks/probe.yml").is_file()
    return folder


def test_its_version_is_known(bare: Path, home: Path) -> None:
    text = run(home, "ansible-galaxy", "collection", "list", "--format", "json", programs=bare)
    found = json.loads(text[text.index("{") :])
    (version,) = (one["coldproof.fleet"] for one in found.values() if "coldproof.fleet" in one)
    assert version == {"version": "0.1.0"}


@pytest.mark.parametrize(
    ("kind", "names"), [("module", MODULES), ("role", ROLES), ("callback", ["live"])]
)
def test_ansible_doc_knows_it(bare: Path, home: Path, kind: str, names: list[str]) -> None:
    full = [f"coldproof.fleet.{name}" for name in names]
    text = run(home, "ansible-doc", "--json", "-t", kind, *full, programs=bare)
    assert set(json.loads(text)) == set(full)


def test_what_is_missing_is_said_first_and_its_installation_is_enough(
    bare: Path, home: Path, empty: Path, inventory: Path
) -> None:
    said = run(empty, *PROBE, str(inventory), programs=bare, home=home, code=2)
    requirements = home / WHERE / "requirements.txt"
    assert "has no pandas and no tabulate" in said
    assert f"-m pip install -r {requirements}" in " ".join(said.split())
    assert not (inventory.parent / "state").exists()
    assert not (empty / "reports").exists()

    pip(bare / "python", "install", "-r", str(requirements))
    said = run(empty, *PROBE, str(inventory), programs=bare, home=home)
    assert "coldproof.fleet.preflight" in said
    latest = empty / "reports/latest"
    assert (
        json.loads((latest / "campaign.json").read_text())["nodes"]["here"]["status"] == "complete"
    )
    repeat = f"ansible-playbook coldproof.fleet.probe -i ../{inventory.name} -l gpu-nodes"
    assert repeat in (latest / "storage_load_bench.md").read_text("utf-8")
    assert (latest / "report.html").is_file()
