"""Intake: a node decides every byte of its archive, and may neither escape nor destroy."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from coldproof import intake
from coldproof.cli import main
from coldproof.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "campaign"
    path.mkdir()
    return path


def tree(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_everything_an_agent_packs_is_taken(folder: Path, lab: Any, form: int) -> None:
    files = {
        name: f"{name}\n".encode()
        for name in (
            "plan.json", "status.json", "journal.jsonl", "runs.jsonl",
            "storage_load_bench.csv", "agent.log", "logs/0001-prime.log",
        )
    }  # fmt: skip
    taken = intake.take(folder, "gpu-01", lab.tar(files, format=form))
    assert taken.rejected_count == 0
    assert not taken.truncated
    for name, content in files.items():
        assert (folder / "nodes" / "gpu-01" / name).read_bytes() == content


def hostile(path: Path, secret: Path) -> int:
    """Write an archive of members that must all be rejected; return their number."""
    members: list[tuple[str, bytes, dict[str, Any]]] = [
        ("../escape", b"x", {}),
        ("/tmp/coldproof-escape", b"x", {}),
        ("logs/../../escape.log", b"x", {}),
        ("logs/.hidden.log", b"x", {}),
        ("logs/a/b.log", b"x", {}),
        ("./runs.jsonl", b"x", {}),
        ("runs.jsonl\n", b"x", {}),
        ("logs/a\u202eb.log", b"x", {}),
        ("storage_load_bench.md", b"x", {}),
        ("runs.jsonl", b"", {"type": tarfile.SYMTYPE, "linkname": str(secret)}),
        ("agent.log", b"", {"type": tarfile.LNKTYPE, "linkname": str(secret)}),
        ("journal.jsonl", b"", {"type": tarfile.FIFOTYPE}),
        ("plan.json", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
        ("logs", b"", {"type": tarfile.DIRTYPE}),
    ]
    with tarfile.open(path, "w") as archive:
        for name, content, attributes in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return len(members)


def test_traversal_links_and_devices_are_rejected_and_counted(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    count = hostile(tmp_path / "evil.tar", secret)
    before = set(tmp_path.iterdir())
    taken = intake.take(folder, "gpu-01", tmp_path / "evil.tar")
    assert taken.rejected_count == count
    assert len(taken.rejected) == count
    assert tree(folder) == set()
    assert set(tmp_path.iterdir()) == before
    assert not Path("/tmp/coldproof-escape").exists()
    assert secret.read_text() == "secret"


def test_link_planted_in_the_campaign_is_not_followed(
    folder: Path, tmp_path: Path, lab: Any
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("keep")
    (folder / "nodes" / "gpu-01").mkdir(parents=True)
    (folder / "nodes" / "gpu-01" / "runs.jsonl").symlink_to(victim)
    taken = intake.take(folder, "gpu-01", lab.tar({"runs.jsonl": b"new\n"}))
    assert victim.read_text() == "keep"
    assert taken.rejected[0]["name"] == "runs.jsonl"
    (folder / "nodes" / "gpu-02").symlink_to(tmp_path)
    with pytest.raises(InputError, match="is a link"):
        intake.take(folder, "gpu-02", lab.tar({"runs.jsonl": b"new\n"}))


@pytest.mark.parametrize("name", ["..", "a/b", "-n", ""])
def test_unusable_node_name_is_refused(folder: Path, lab: Any, name: str) -> None:
    with pytest.raises(InputError, match="--node"):
        intake.take(folder, name, lab.tar({"runs.jsonl": b"x\n"}))
    assert list(folder.iterdir()) == []


def test_sizes_and_number_of_members_are_limited(
    folder: Path, lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "FILE_LIMIT", 1000)
    monkeypatch.setattr(intake, "TOTAL_LIMIT", 1500)
    monkeypatch.setattr(intake, "MEMBER_LIMIT", 5)
    files = {f"logs/{number}.log": b"y" * 10 for number in range(9)}
    sizes = {"agent.log": 1001, "plan.json": 1000, "runs.jsonl": 501}
    archive = lab.tar({name: b"x" * size for name, size in sizes.items()} | files)
    taken = intake.take(folder, "gpu-01", archive)
    assert set(taken.files) == {"plan.json", "logs/0.log", "logs/1.log"}
    reasons = {item["name"]: item["reason"] for item in taken.rejected}
    assert reasons["agent.log"] == "1001 bytes, over the limit of 1000"
    assert reasons["runs.jsonl"] == "over the limit of 1500 bytes in all"
    assert "more than 5 members" in reasons["*"]


def test_member_that_claims_to_be_huge_costs_nothing(folder: Path, lab: Any) -> None:
    data = bytearray(lab.tar({"runs.jsonl": b"x\n"}).read_bytes())
    start = data.index(b"runs.jsonl")
    data[start + 124 : start + 136] = b"77777777777\0"
    data[start + 148 : start + 156] = b" " * 8
    checksum = sum(data[start : start + 512])
    data[start + 148 : start + 156] = b"%06o\0 " % checksum
    archive = lab.root / "huge.tar"
    archive.write_bytes(data)
    taken = intake.take(folder, "gpu-01", archive)
    assert "over the limit" in taken.rejected[0]["reason"]
    assert tree(folder) == set()


def test_torn_archive_is_taken_as_far_as_it_goes_and_completed_later(
    folder: Path, lab: Any
) -> None:
    files = {"runs.jsonl": b"one\n" * 400, "agent.log": b"log\n" * 400}
    data = lab.tar(files, format=tarfile.USTAR_FORMAT).read_bytes()
    torn = lab.root / "torn.tar"
    torn.write_bytes(data[: 512 + 2048 + 512 + 700])
    taken = intake.take(folder, "gpu-01", torn)
    assert taken.truncated
    assert set(taken.files) == {"runs.jsonl"}
    taken = intake.take(folder, "gpu-01", lab.tar(files))
    assert not taken.truncated
    assert taken.files["runs.jsonl"]["action"] == "same"
    assert (folder / "nodes/gpu-01/agent.log").read_bytes() == files["agent.log"]


def test_what_is_no_tar_is_an_error(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "noise.tar"
    archive.write_bytes(b"\x1f\x8b" + b"noise" * 1000)
    assert main(["intake", str(folder), "--node", "gpu-01", str(archive)]) == 2
    assert "noise.tar: not an uncompressed tar" in capsys.readouterr().err


def fetch(folder: Path, lab: Any, name: str, content: bytes) -> dict[str, Any]:
    result: dict[str, Any] = intake.take(folder, "gpu-01", lab.tar({name: content})).files[name]
    return result


def test_growing_records_replace_and_equal_ones_change_nothing(folder: Path, lab: Any) -> None:
    path = folder / "nodes/gpu-01/runs.jsonl"
    assert fetch(folder, lab, "runs.jsonl", b"a\nb\n")["action"] == "new"
    assert fetch(folder, lab, "runs.jsonl", b"a\nb\n")["action"] == "same"
    assert fetch(folder, lab, "runs.jsonl", b"b\na\nc\n")["action"] == "replaced"
    assert path.read_bytes() == b"b\na\nc\n"
    assert tree(folder) == {"nodes/gpu-01/runs.jsonl"}


def test_torn_tail_of_an_earlier_fetch_is_completed(folder: Path, lab: Any) -> None:
    fetch(folder, lab, "runs.jsonl", b"a\nb\nhal")
    assert fetch(folder, lab, "runs.jsonl", b"b\na\nhalf\n")["action"] == "replaced"
    assert (folder / "nodes/gpu-01/runs.jsonl").read_bytes() == b"b\na\nhalf\n"


def test_lines_that_a_later_fetch_lacks_are_kept_and_reported(folder: Path, lab: Any) -> None:
    fetch(folder, lab, "runs.jsonl", b"a\nb\n")
    new = b"b\nc\n"
    result = fetch(folder, lab, "runs.jsonl", new)
    digest = hashlib.sha256(new).hexdigest()[:8]
    assert result["kept_lines"] == 1
    assert result["conflict"] == f"runs.jsonl.conflict-{digest}"
    assert result["action"] == "merged"
    assert (folder / "nodes/gpu-01/runs.jsonl").read_bytes() == b"a\nb\nc\n"
    assert (folder / "nodes/gpu-01" / result["conflict"]).read_bytes() == new


def test_csv_with_another_header_does_not_touch_the_old(folder: Path, lab: Any) -> None:
    old = f"{lab.header}\nr1,cold\n".encode()
    fetch(folder, lab, "storage_load_bench.csv", old)
    result = fetch(folder, lab, "storage_load_bench.csv", b"other\nr2,cold\n")
    assert result["action"] == "kept"
    assert (folder / "nodes/gpu-01/storage_load_bench.csv").read_bytes() == old
    assert (folder / "nodes/gpu-01" / result["conflict"]).read_bytes() == b"other\nr2,cold\n"


def test_logs_grow_or_are_kept_beside_and_status_is_replaced(folder: Path, lab: Any) -> None:
    fetch(folder, lab, "logs/1.log", b"one")
    assert fetch(folder, lab, "logs/1.log", b"one two")["action"] == "replaced"
    result = fetch(folder, lab, "logs/1.log", b"other")
    assert (folder / "nodes/gpu-01/logs/1.log").read_bytes() == b"one two"
    assert (folder / "nodes/gpu-01/logs" / result["conflict"]).read_bytes() == b"other"
    fetch(folder, lab, "status.json", b'{"step": 2}')
    fetch(folder, lab, "status.json", b'{"step": 1}')
    assert (folder / "nodes/gpu-01/status.json").read_bytes() == b'{"step": 1}'


def test_command_prints_json(folder: Path, lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    archive = lab.tar({"runs.jsonl": b"x\n", "evil": b"x"})
    assert main(["intake", str(folder), "--node", "gpu-01", str(archive)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["files"]["runs.jsonl"] == {"action": "new", "bytes": 2}
    assert answer["rejected_count"] == 1
    assert answer["truncated"] is False
