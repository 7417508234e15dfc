"""Fixtures: what is released, built from an export of the tree, and environments that are new."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tomllib
import yaml

from tests.checkout import ROOT
from tests.package.tree import build_collection, export

Make = Callable[..., Path]
LIMIT_S = 900


def pip(python: Path | str, *words: str) -> None:
    """Runs pip as the user would, with the cache and the index that are set up here."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ANSIBLE_"))}
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    done = subprocess.run(
        command, env=kept, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Builds a new virtual environment with these requirements, and returns its folder `bin`."""

    def environment(*requirements: str) -> Path:
        folder = tmp_path_factory.mktemp("venv") / "v"
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=LIMIT_S)
        # Dependency groups need pip 25.1.
        pip(folder / "bin/python", "install", "pip>=25.1")
        pip(folder / "bin/python", "install", *requirements)
        return folder / "bin"

    return environment


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean tree, where ansible-test wants a collection to lie."""
    return export(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="session")
def archive(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built collection."""
    return build_collection(tree, tmp_path_factory.mktemp("collection"))


@pytest.fixture(scope="session")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built package."""
    out = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(out), str(tree))
    (built,) = out.glob("coldproof-*.whl")
    return built


@pytest.fixture(scope="session")
def installed(make: Make, wheel: Path) -> Path:
    """`bin` of an environment into which nothing but the wheel was installed."""
    return make(str(wheel))


@pytest.fixture(scope="session")
def lowest() -> list[str]:
    """The dependencies in the lowest versions that pyproject.toml allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(one for extra in extras for one in extra)]
    return [re.sub(">=", "==", text) for text in wanted]


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty working directory; its sibling `home` is an empty home."""
    (tmp_path / "home").mkdir()
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """This machine as the only node, with a model of 32 MiB."""
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    variables = {
        "coldproof_engine": "reference",
        "coldproof_demo": True,
        "coldproof_model": "random-32m",
        "coldproof_make_model_mib": 32,
        "coldproof_model_path": str(tmp_path / "models/m"),
        "coldproof_state_dir": str(tmp_path / "state"),
        "coldproof_repeats": 1,
    }
    path = tmp_path / "inventory.yml"
    path.write_text(yaml.safe_dump({"gpu-nodes": {"hosts": {"here": host}, "vars": variables}}))
    return path
