"""What is known of an installation: sources that no start can find compiled, and where it lies."""

from __future__ import annotations

import compileall
from pathlib import Path

from coldproof_agent import installation, storage
from coldproof_agent.files import below


def test_sources_without_compiled_files_are_counted(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "data.txt", "deep/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n", "utf-8")
    files = list(below(str(tmp_path)))
    told = installation.describe([one._replace(expected=one.size) for one in files])
    assert told["uncompiled"] == 3
    assert told["filesystem"] == storage.mount_of(str(tmp_path)).filesystem
    assert told["network"] is False
    compileall.compile_dir(tmp_path, maxlevels=0, quiet=2)
    assert installation.uncompiled([one.path for one in files]) == 1


def test_nothing_is_said_of_no_files() -> None:
    assert installation.describe([]) == {}
