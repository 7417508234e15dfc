"""The agent's archive: reproducible, executable, and nothing in it but what belongs there."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from coldproof.archive import archive_bytes
from coldproof.cli import main


def write_agent(root: Path) -> tuple[Path, Path]:
    source = root / "coldproof_agent"
    (source / "engines" / "__pycache__").mkdir(parents=True)
    (source / "__init__.py").write_text("")
    (source / "engines" / "__init__.py").write_text("")
    (source / "engines" / "vllm.json").write_text('{"name": "vllm"}')
    (source / "engines" / "__pycache__" / "x.py").write_text("never")
    (source / "notes.txt").write_text("never")
    (source / "cli.py").write_text(
        "import json, pkgutil\n"
        "def main():\n"
        "    text = pkgutil.get_data('coldproof_agent', 'schemas/run.schema.json')\n"
        "    print('agent', json.loads(text)['title'])\n"
        "    return 7\n"
    )
    schemas = root / "schemas"
    schemas.mkdir()
    (schemas / "run.schema.json").write_text('{"title": "run"}')
    (schemas / "README.md").write_text("never")
    return source, schemas


def test_equal_sources_give_equal_bytes_whatever_their_dates_and_modes(tmp_path: Path) -> None:
    first = archive_bytes(*write_agent(tmp_path / "a"))
    source, schemas = write_agent(tmp_path / "b")
    for path in source.rglob("*.py"):
        os.utime(path, (1, 2_000_000_000))
        path.chmod(0o700)
    assert archive_bytes(source, schemas) == first
    (source / "cli.py").write_text("changed = 1\n")
    assert archive_bytes(source, schemas) != first


def test_archive_holds_exactly_the_package_and_the_schemas(tmp_path: Path) -> None:
    source, schemas = write_agent(tmp_path)
    out = tmp_path / "agent.pyz"
    out.write_bytes(archive_bytes(source, schemas))
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [
            "__main__.py",
            "coldproof_agent/__init__.py",
            "coldproof_agent/cli.py",
            "coldproof_agent/engines/__init__.py",
            "coldproof_agent/engines/vllm.json",
            "coldproof_agent/schemas/run.schema.json",
        ]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert out.read_bytes().startswith(b"#!/usr/bin/env python3\n")


def test_command_writes_an_executable_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, schemas = write_agent(tmp_path)
    out = tmp_path / "deep" / "agent.pyz"
    command = ["agent-archive", "--source", str(source), "--schemas", str(schemas)]
    assert main([*command, "--out", str(out)]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["changed"] is True
    inode = out.stat().st_ino
    assert main([*command, "--out", str(out)]) == 0
    assert json.loads(capsys.readouterr().out) == {**first, "changed": False}
    assert out.stat().st_ino == inode
    done = subprocess.run([str(out)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "agent run\n")


def test_cache_is_named_by_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, schemas = write_agent(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command = ["agent-archive", "--source", str(source), "--schemas", str(schemas), "--cache"]
    assert main(command) == 0
    answer = json.loads(capsys.readouterr().out)
    name = f"coldproof-agent-{answer['sha256'][:16]}.pyz"
    assert answer["path"] == str(tmp_path / "cache" / "coldproof" / name)
    data = archive_bytes(source, schemas)
    assert Path(answer["path"]).read_bytes() == data
    packed = Path(answer["path"] + ".z64").read_bytes()
    assert zlib.decompress(base64.b64decode(packed)) == data


@pytest.mark.parametrize("missing", ["source", "schemas"])
def test_wrong_folder_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    source, schemas = write_agent(tmp_path)
    folders = {"source": source, "schemas": schemas, missing: tmp_path / "nothing"}
    out = tmp_path / "agent.pyz"
    command = ["agent-archive", "--out", str(out)]
    for name, folder in folders.items():
        command += [f"--{name}", str(folder)]
    assert main(command) == 2
    assert f"--{missing} {tmp_path / 'nothing'}" in capsys.readouterr().err
    assert not out.exists()
