"""The playbook as ansible-runner plays it: what it writes of the environment has no name."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from coldproof.live.player import Player, withhold

SECRET = "s3cret-of-the-environment"


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no memory files")
def test_what_is_withheld_is_in_no_file(tmp_path: Path) -> None:
    path = tmp_path / "artifacts/run/command"
    memory = withhold(path)
    assert memory is not None
    # As ansible-runner writes it.
    with codecs.open(str(path), "w", encoding="utf-8") as file:
        os.chmod(path, stat.S_IRUSR | stat.S_IWUSR)
        file.write(SECRET)
    assert os.pread(memory, 100, 0) == SECRET.encode()
    assert path.is_symlink()
    os.close(memory)
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no memory files")
def test_the_environment_is_in_no_file_when_ansible_runner_has_written_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "book.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - meta: noop\n", "utf-8"
    )
    monkeypatch.chdir(tmp_path)
    artifacts = tmp_path / "private"
    artifacts.mkdir()
    events: SimpleQueue[dict[str, Any]] = SimpleQueue()
    player = Player("book.yml", ["-i", "localhost,"], {"TEST_TOKEN": SECRET}, events, artifacts)
    seen: list[tuple[bool, bool]] = []
    forget = player._runner.status_handler

    def look(status: dict[str, Any], runner_config: Any) -> None:
        if status["status"] == "running":  # just written, and not yet forgotten
            command = artifacts / "artifacts/run/command"
            regular = [
                path
                for path in artifacts.rglob("*")
                if path.is_file() and not path.is_symlink() and SECRET in path.read_text("utf-8")
            ]
            seen.append((SECRET in command.read_text("utf-8"), regular == []))
        forget(status, runner_config)

    player._runner.status_handler = look
    player.start()
    assert player.wait() == 0
    assert seen == [(True, True)]
    assert not (artifacts / "artifacts/run/command").is_symlink()
