"""A disk's content after a power cut at any instant: no acknowledged row is lost, no file is torn.

A machine writes with the agent's own functions on a disk that logs each write and flush. Of that
log an image is made for each cut, its file system is mended as at a boot, and read.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from coldproof_agent import durable
from tests.counts import LONG, LONG_S, seeded
from tests.vm.images import find
from tests.vm.logwrites import SECTOR, cut, read_log
from tests.vm.machines import Machine
from tests.vm.monitor import Monitor

IMAGES = 200 if LONG else 20
ROWS = 400 if LONG else 100
DISK_MIB, FILES_MIB = 64, 62
# Behind the file system: the number of the row that was acknowledged last.
MARK_AT = (DISK_MIB << 20) - SECTOR
AGENT = Path(durable.__file__).parent
WRITER = """
import json, mmap, os, sys
from pathlib import Path
from coldproof_agent import durable
folder, disk = Path(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_DIRECT)
rows, mark_at, sector = map(int, sys.argv[3:])
mark = mmap.mmap(-1, sector)
for number in range(1, rows + 1):
    with (folder / "server.log").open("ab") as log:
        log.write(b"nobody waits for this line\\n" * (number * 61 % 400))
    with (folder / "unsynced").open("a") as plain:
        plain.write(f"{number}\\n")
    durable.append_record(folder / "runs.jsonl", {"n": number, "pad": "x" * (number * 37 % 900)})
    status = {"n": number, "pad": "y" * (number * 53 % 5000)}
    durable.replace(folder / "status.json", json.dumps(status).encode())
    mark[:8] = number.to_bytes(8, "little")
    os.pwrite(disk, mark, mark_at)
"""
pytestmark = pytest.mark.timeout(LONG_S if LONG else 600)


def test_no_power_cut_loses_an_acknowledged_row(trixie: Machine, tmp_path: Path) -> None:
    first, log = tmp_path / "disk", tmp_path / "log"
    with first.open("wb") as opened:
        opened.truncate(DISK_MIB << 20)
    run(find("mke2fs"), "-q", "-t", "ext4", "-L", "cut", str(first), f"{FILES_MIB}M")
    disk = tmp_path / "disk.used"
    shutil.copy(first, disk)
    log.touch()
    plug_in(trixie, disk, log)
    write_rows(trixie)

    requests = read_log(log)
    marks = [number for number, one in enumerate(requests) if one.size and one.at == MARK_AT]
    assert len(marks) == ROWS
    chance = seeded("power cuts")
    behind = 0
    for count in range(IMAGES):
        # Not before the first row: until then there may be no file.
        end = chance.randrange(marks[0] + 1, len(requests) + 1)
        image = tmp_path / "cut"
        shutil.copy(first, image)
        cut(image, log, requests[:end], chance)
        found = read_back(image, tmp_path / f"cut-{count}")
        acknowledged = sum(mark < end for mark in marks)
        records = durable.read_records(found / "runs.jsonl")
        assert [one["n"] for one in records] in (
            list(range(1, acknowledged + 1)),
            list(range(1, acknowledged + 2)),
        ), f"cut after request {end} of {len(requests)}: {acknowledged} rows were acknowledged"
        status = json.loads((found / "status.json").read_bytes())
        assert status["n"] in (acknowledged, acknowledged + 1)
        # The next boot goes on behind them.
        durable.append_record(found / "runs.jsonl", {"n": "next"})
        assert [one["n"] for one in durable.read_records(found / "runs.jsonl")][-1] == "next"
        plain = found / "unsynced"
        behind += len(plain.read_bytes().split() if plain.exists() else []) < acknowledged
        shutil.rmtree(found)
    print(f"{behind} of {IMAGES} images had lost lines that nobody had waited for")
    assert behind, "the cuts took nothing: nothing was tested"


def plug_in(machine: Machine, disk: Path, log: Path) -> None:
    """Gives a running machine another disk, which logs."""
    files = {"cut-file": disk, "cut-log": log}
    with Monitor(machine.monitor) as monitor:
        for name, file in files.items():
            monitor.execute(
                "blockdev-add", **{"node-name": name, "driver": "file", "filename": str(file)}
            )
        logging = {"node-name": "cut", "driver": "blklogwrites"}
        monitor.execute("blockdev-add", **logging, file="cut-file", log="cut-log")
        monitor.execute("device_add", driver="virtio-blk-pci", bus="spare", drive="cut")


def write_rows(machine: Machine) -> None:
    """Runs the writer on it, on that disk."""
    machine.ssh("mkdir -p /root/cut/coldproof_agent /mnt/cut")
    for name in ("__init__.py", "durable.py", "errors.py"):
        machine.put(AGENT / name, f"/root/cut/coldproof_agent/{name}")
    machine.ssh("timeout 30 sh -c 'until findfs LABEL=cut; do sleep 0.2; done'")
    machine.ssh("mount LABEL=cut /mnt/cut")
    words = f"/mnt/cut $(findfs LABEL=cut) {ROWS} {MARK_AT} {SECTOR}"
    machine.ssh(f"cd /root/cut && python3 - {words} <<'END'\n{WRITER}\nEND", limit_s=300)
    machine.ssh("umount /mnt/cut && rm -r /mnt/cut /root/cut")


def read_back(image: Path, target: Path) -> Path:
    """Mends an image's file system, and returns a folder with its files."""
    target.mkdir()
    # 1: errors were found, and corrected.
    run(find("e2fsck"), "-fy", str(image), codes=(0, 1))
    run(find("debugfs"), "-R", f"rdump / {target}", str(image))
    return target


def run(*words: str, codes: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode in codes, done.stdout + done.stderr
