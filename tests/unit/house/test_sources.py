"""The house rules of Python sources."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
AGENT = ROOT / "roles/agent/files/coldproof_agent"
AGENT_SOURCES = sorted(AGENT.rglob("*.py"))
MOST_LINES = 300


def tracked(*patterns: str) -> list[Path]:
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--", *patterns],
        capture_output=True,
        check=True,
        text=True,
    )
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", AGENT_SOURCES, ids=lambda path: str(path.relative_to(AGENT)))
def test_the_agent_is_python_3_9_and_standard_library_only(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), str(path), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            top = module.partition(".")[0]
            assert top == "coldproof_agent" or top in sys.stdlib_module_names, module


def test_the_collector_never_imports_the_agent() -> None:
    for path in (ROOT / "collector").rglob("*.py"):
        assert "coldproof_agent" not in {
            name.partition(".")[0]
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }, path


def test_no_file_is_long() -> None:
    sources = tracked("*.py", "*.yml", "*.yaml", "*.sh", "Makefile")
    lengths = {
        str(path.relative_to(ROOT)): path.read_text("utf-8").count("\n")
        for path in sources
        if path.relative_to(ROOT).parts[0] != "tests"
    }
    assert {name: count for name, count in lengths.items() if count > MOST_LINES} == {}


def test_whoever_uses_underscore_alone_is_among_the_ignores_of_ansible_test() -> None:
    """It takes minutes to say so, and also that an ignore is there for nothing."""
    used = {
        str(path.relative_to(ROOT))
        for path in tracked("collector/**/*.py", "plugins/**/*.py", "roles/**/*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store)
    }
    ignores = (ROOT / "tests/sanity/ignore-2.19.txt").read_text("utf-8").splitlines()
    assert used == {line.split(" ")[0] for line in ignores if "disallowed-name" in line}
