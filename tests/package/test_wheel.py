"""The wheel alone, in an empty folder with an empty home: command and collection."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest

from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet
from tests.fleet.terminals import Terminal
from tests.package.conftest import Make
from tests.package.tree import PLACE, files_of, run

# Of the collection; the package itself is the wheel's other half.
PACKAGE = "collector/coldproof/"
# What nobody needs at run time, or what pip knows already.
READ_ONLY = (
    "docs/", "changelogs/", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md",
)  # fmt: skip
OF_GALAXY = ("FILES.json", "MANIFEST.json", "requirements.txt")


def test_it_holds_the_collection_and_the_package_once(wheel: Path, archive: Path) -> None:
    needed = {name for name in files_of(archive) if not name.startswith((*READ_ONLY, *OF_GALAXY))}
    package = {name.removeprefix("collector/") for name in needed if name.startswith(PACKAGE)}
    collection = {f"{PLACE}/{name}" for name in needed if not name.startswith(PACKAGE)}
    names = zipfile.ZipFile(wheel).namelist()
    held = [name for name in names if ".dist-info/" not in name]
    assert set(held) - {f"{PLACE}/galaxy.yml"} == package | collection
    assert len(held) == len(set(held))


def test_the_demonstration_runs_and_is_reported_again(installed: Path, empty: Path) -> None:
    home = empty.parent / "home"
    said = run(empty, "coldproof", "demo", programs=installed, home=home)
    assert "DEMO on this machine" in said
    assert "FAILED - RETRYING" not in said
    assert {path.name for path in empty.iterdir()} == {".demo", "reports"}
    assert {path.name for path in (empty / ".demo").iterdir()} == {"random-1g", "state"}
    campaign = json.loads((empty / "reports/latest/campaign.json").read_text("utf-8"))
    assert campaign["nodes"]["this-machine"]["status"] == "complete"
    report = empty / "reports/latest/storage_load_bench.md"
    before = report.read_bytes()
    report.unlink()
    run(empty, "coldproof", "report", "reports/latest", programs=installed, home=home)
    assert report.read_bytes() == before


def test_the_exit_code_of_the_demonstration_is_ansible_s(installed: Path, empty: Path) -> None:
    (empty / ".demo").write_text("in its way", "utf-8")
    home = empty.parent / "home"
    said = run(empty, "coldproof", "demo", programs=installed, home=home, code=2)
    assert "failed=1" in said
    said = run(empty, "coldproof", "demo", "--json", programs=installed, home=home, code=2)
    assert json.loads(said.splitlines()[-1])["code"] == 2


def test_the_playbook_is_found_by_its_full_name(
    installed: Path, empty: Path, inventory: Path
) -> None:
    words = ("coldproof.fleet.probe", "-l", "gpu-nodes", "-i", str(inventory))
    live = "coldproof.fleet.live"
    said = run(empty, "ansible-playbook", *words, programs=installed, ANSIBLE_STDOUT_CALLBACK=live)
    assert "coldproof.fleet.measure" in said
    assert "FAILED - RETRYING" not in said
    assert (empty / "reports/latest/storage_load_bench.md").is_file()


def test_the_live_table_of_three_nodes_by_ssh(
    installed: Path, empty: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    fleet.variables = {
        "coldproof_engine": "reference", "coldproof_model": "random-32m", "coldproof_repeats": 8,
        "coldproof_max_model_len": 2048, "coldproof_node_drained": True,
    }  # fmt: skip
    names = ("gpu-01", "gpu-02", "gpu-03")
    environment = {
        "HOME": str(empty.parent / "home"), "PATH": f"{installed}:/usr/bin:/bin", "TERM": "xterm",
        "LANG": "C.UTF-8",
    }  # fmt: skip
    try:
        for name in names:
            node = fleet.add(name)
            node.variables["coldproof_model_path"] = str(write_model(node.folder / "models/m"))
        words = ("run", "-i", str(fleet.inventory()), "-l", "gpu-nodes")
        command = [str(installed / "coldproof")]
        with Terminal(empty, *words, command=command, env=environment) as terminal:
            assert terminal.end() == 0, terminal.raw[-4000:]
        for name in names:
            row = re.compile(rf"^{name} +\d+/\d+ .*stream$", re.MULTILINE)
            assert any(row.search(shot) for shot in terminal.shots), terminal.shots
        print(max(terminal.shots, key=lambda shot: shot.count("stream")))
        assert "3 of 3 nodes done" in terminal.raw
        said = run(empty, "coldproof", "status", programs=installed, home=empty.parent / "home")
        assert all(re.search(rf"^{name} .*done$", said, re.MULTILINE) for name in names)
    finally:
        fleet.stop()


def test_an_editable_installation_uses_the_checkout(make: Make, tree: Path, empty: Path) -> None:
    programs = make("--editable", str(tree))
    words = "from coldproof import collection; print(collection.root())"
    assert run(empty, "python", "-c", words, programs=programs) == f"{tree}\n"
    assert not list(programs.parent.glob("lib/*/site-packages/ansible_collections"))
    assert "coldproof 0." in run(empty, "coldproof", "--version", programs=programs)
