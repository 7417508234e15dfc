"""The witnesses: they agree with vmtouch and fincore, and where those lie nothing is proven."""

from __future__ import annotations

import json
import mmap
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import cooling, files, residency, weights, witness

SOURCE = Path(__file__).parents[3] / "roles/agent/files"
PAGE = files.PAGE


def need(program: str) -> str:
    """Returns a program that `make test` installs."""
    found = shutil.which(program)
    assert found, f"{program} is missing: make test installs it"
    return found


def vmtouch(path: Path) -> int:
    """Returns the resident pages vmtouch sees."""
    text = subprocess.run([need("vmtouch"), path], capture_output=True, text=True, check=True)
    found = re.search(r"Resident Pages: (\d+)/", text.stdout)
    assert found, text.stdout
    return int(found[1])


def fincore(path: Path) -> int:
    """Returns the resident pages fincore sees."""
    text = subprocess.run(
        [need("fincore"), "--bytes", "--noheadings", "--output", "PAGES", path],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(text.stdout)


def read(path: Path, start: int, length: int) -> None:
    """Reads a range without readahead around it."""
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    os.pread(fd, length, start)
    os.close(fd)


def trusted(path: Path, may_evict: bool = True) -> dict[str, str]:
    return residency.trusted([files.refer(str(path))], [], may_evict)


@pytest.fixture
def file(disk: Path) -> Iterator[Path]:
    """A file of 8 MiB and a bit, of which nothing is resident."""
    path = disk / "some file"
    path.write_bytes(os.urandom((8 << 20) + 100))
    cooling.evict([files.refer(str(path))], trusted(path))
    yield path
    path.unlink()


def test_residency_agrees_with_vmtouch_and_fincore(file: Path) -> None:
    one = files.refer(str(file))
    verdicts = trusted(file)
    assert "" in verdicts.values()
    for start, length in ((0, 0), (1 << 20, 64 << 10), (4 << 20, 2 << 20), (0, 9 << 20)):
        if length:
            read(file, start, length)
        for name, why in verdicts.items():
            if not why:
                ours = -(-residency.resident([one], name)[0][1] // PAGE)
                assert ours == vmtouch(file) == fincore(file), (name, start, length)


def test_evict_takes_everything_out(file: Path) -> None:
    read(file, 0, 9 << 20)
    assert vmtouch(file) > 2000
    done = cooling.evict([files.refer(str(file))], trusted(file))
    assert done["fraction"] == 0
    assert vmtouch(file) == 0


def test_dirty_pages_are_synced_and_then_evicted(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(os.urandom(4 << 20))
    assert cooling.evict([files.refer(str(file))], trusted(file))["fraction"] == 0


def test_pages_that_a_process_maps_stay_and_the_process_is_named(file: Path) -> None:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert sum(mapped[at] for at in range(0, len(mapped), PAGE)) > 0
        one = files.refer(str(file))
        assert cooling.evict([one], trusted(file))["fraction"] > 0.9
        holders = cooling.holders([one])
    assert os.getpid() in {one["pid"] for one in holders}


def test_without_write_permission_no_witness_counts(file: Path, as_nobody: list[str]) -> None:
    read(file, 0, 1 << 20)
    file.chmod(0o644)
    assert vmtouch(file) < 300
    lie = subprocess.run([*as_nobody, "vmtouch", file], capture_output=True, text=True, check=True)
    assert "2049/2049" in lie.stdout, "vmtouch did not lie: this test shows nothing here"
    lie = subprocess.run(
        [*as_nobody, "fincore", "-b", "-n", "-o", "PAGES", file],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(lie.stdout) == 2049, "fincore did not lie: this test shows nothing here"
    code = (
        "import sys, json; from coldproof_agent import files, residency\n"
        "one = files.refer(sys.argv[1])\n"
        "print(json.dumps(residency.look([one], residency.trusted([one], [], True))._asdict()))"
    )
    done = subprocess.run(
        [*as_nobody, shutil.which("python3", path="/usr/bin:/bin") or sys.executable, "-c", code,
         file],
        env={"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["high"] is None
    assert "not the owner" in seen["reason"]


def test_a_lying_witness_fails_its_test_on_the_file(file: Path) -> None:
    assert set(witness.test_on_file(files.refer(str(file))).values()) == {""}
    scratch = witness.test_on_scratch(str(file.parent))
    assert scratch is not None
    assert set(scratch.values()) == {""}


OVERLAY = """
import json, sys
sys.path.insert(0, sys.argv[2])
from coldproof_agent import files, residency, storage, host
one = files.refer(sys.argv[1])
open(one.path, "rb").read()
verdicts = residency.trusted([one], [], True)
print(json.dumps({"verdicts": verdicts, "devices": storage.devices_of(one.path),
                  "filesystem": storage.mount_of(one.path).filesystem}))
"""


def test_on_overlay_cachestat_is_not_believed_and_no_device_is_named(disk: Path) -> None:
    lower, upper, work, merged = (disk / name for name in ("low", "up", "work", "merged"))
    for folder in (lower, upper, work, merged):
        folder.mkdir(exist_ok=True)
    (lower / "file").write_bytes(os.urandom(1 << 20))
    script = (
        f"mount -t overlay overlay -o lowerdir={lower},upperdir={upper},workdir={work} {merged} "
        f"&& exec {sys.executable} -c '{OVERLAY}' {merged}/file {SOURCE}"
    )
    words = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    done = subprocess.run([*words, "sh", "-c", script], capture_output=True, text=True, check=False)
    if "mount" in done.stderr and done.returncode:
        pytest.skip(f"no overlay can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen["filesystem"] == "overlay"
    assert seen["devices"] == []
    assert seen["verdicts"]["mincore"] == ""
    assert seen["verdicts"]["cachestat"] != "", "cachestat saw overlay pages: see docs/method.md"


def test_a_sparse_file_is_expected_by_what_it_occupies(disk: Path) -> None:
    path = disk / "sparse"
    with path.open("wb") as opened:
        opened.truncate(64 << 20)
        opened.seek(1 << 20)
        opened.write(os.urandom(1 << 20))
    one = files.refer(str(path))
    assert one.size == 64 << 20
    assert one.device_bytes < 3 << 20


def test_links_to_one_file_count_once(model: Path, disk: Path) -> None:
    folder = disk / "links"
    folder.mkdir()
    for number, shard in enumerate(sorted(model.glob("*.safetensors"))):
        (folder / f"{number}.safetensors").symlink_to(shard)
        os.link(shard, folder / f"hard-{number}.safetensors")
    found = weights.find(str(folder))
    assert len(found) == 2
    assert weights.manifest(found) == weights.manifest(weights.find(str(model)))


def test_residency_of_the_command_line(answer: Callable[..., dict[str, Any]], model: Path) -> None:
    assert answer("evict", model)["cold"] is True
    assert answer("residency", model)["fraction"] == 0
    assert answer("prewarm", model)["fraction"] == 1
    assert answer("residency", model)["fraction"] == 1
    ceiling = answer("ceiling", model)
    assert {one["way"] for one in ceiling["sweeps"]} == {"direct", "buffered"}
    assert ceiling["bytes_per_s"] > 0
