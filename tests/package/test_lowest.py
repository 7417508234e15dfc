"""The lower bounds in pyproject.toml are those with which it works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.package.conftest import Make
from tests.package.tree import run

# What the tests need beside it.
TOOLS = ("pytest", "pytest-timeout", "hypothesis", "jsonschema", "pexpect", "prometheus-client",
         "ansible-builder")  # fmt: skip
TESTS = ("tests/unit/collector", "tests/unit/plugins")


@pytest.fixture(scope="module")
def programs(make: Make, wheel: Path, lowest: list[str]) -> Path:
    """`bin` of an environment with the lowest versions of all that is required."""
    return make(str(wheel), *lowest, *TOOLS)


def test_the_main_job_runs(programs: Path, empty: Path, inventory: Path) -> None:
    words = ("coldproof.fleet.probe", "-l", "gpu-nodes", "-i", str(inventory))
    run(empty, "ansible-playbook", *words, programs=programs)
    assert (empty / "reports/latest/storage_load_bench.md").is_file()


def test_the_unit_tests_pass(programs: Path, tree: Path, lowest: list[str]) -> None:
    frozen = run(tree, "python", "-m", "pip", "list", "--format", "freeze", programs=programs)
    assert {line.lower().replace("_", "-") for line in lowest} <= {
        line.lower().replace("_", "-") for line in frozen.split()
    }
    run(tree, "python", "-m", "pytest", "-q", *TESTS, programs=programs, limit_s=900)
