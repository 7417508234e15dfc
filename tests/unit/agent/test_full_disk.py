"""A state folder that fills to the last byte: said in status.json, and nothing finished is lost."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.agent import plans
from tests.unit.agent.drivers import campaigns

# Changes the state on a full disk; prints what the file says after each change.
CHANGES = """
import os, sys
from pathlib import Path
from coldproof_agent.status import Status
path = Path(sys.argv[1]) / "status.json"
os.umask(0o077)
status = Status(path, "20261123T000000Z-0123456789ab", 7)
if sys.argv[2] == "after":
    status.set(phase="cooling", run="disk/default cold 1/3")
with open(path.with_name("fill"), "wb", buffering=0) as fill:
    for size in (4096, 1):
        try:
            while fill.write(bytes(size)):
                pass
        except OSError:
            pass
    os.fsync(fill.fileno())
long = 'x"' * 3000
for change in (
    lambda: status.set(phase="starting"),
    lambda: status.set(phase="ready", last_s=12.345),
    lambda: status.set(phase="idle", run=None, step=3),
    lambda: status.fail("state_folder", "No space left on device", "coldproof_state_dir"),
    lambda: status.fail("engine_failed", long, "coldproof_engine"),
    lambda: status.set(phase="done", done=True, error=None),
):
    change()
    there = path.exists()
    print(oct(path.stat().st_mode) if there else "", path.read_text() if there else "", sep="|")
print(sorted(os.listdir(path.parent)))
"""
MOUNTS = {
    "tmpfs": "mount -t tmpfs -o size=64k none {point}",
    # Its inodes are there still when its blocks are not, and a journal.
    "ext4": "mount -o loop {image} {point}",
}


def inside(mount: str, script: str) -> subprocess.CompletedProcess[str]:
    """Runs a script where something is mounted that nobody else sees."""
    words = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    tried = subprocess.run([*words, mount], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"nothing can be mounted here: {tried.stderr.strip()}")
    return subprocess.run(
        [*words, f"{mount} && {script}"],
        env=campaigns.ENV, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def changes(tmp_path: Path, filesystem: str, when: str) -> list[str]:
    """Runs CHANGES on a tiny filesystem of its own. Returns the lines."""
    point, image = tmp_path / "full", tmp_path / "image"
    point.mkdir()
    if filesystem == "ext4":
        program = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin")
        if program is None:
            pytest.skip("there is no mkfs.ext4")
        image.write_bytes(bytes(2 << 20))
        subprocess.run([program, "-q", "-F", "-m", "0", str(image)], check=True)
    words = shlex.join([sys.executable, "-c", CHANGES, str(point), when])
    done = inside(MOUNTS[filesystem].format(point=point, image=image), words)
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr, "it was full"
    return done.stdout.splitlines()


@pytest.mark.parametrize("filesystem", MOUNTS)
def test_status_says_every_change_on_a_full_disk(tmp_path: Path, filesystem: str) -> None:
    *lines, listed = changes(tmp_path, filesystem, "after")
    said = []
    for line in lines:
        if not line:
            continue  # the file's own newline
        mode, _, text = line.partition("|")
        assert stat.S_IMODE(int(mode, 8)) == 0o644
        assert len(text) < 2048
        said.append(json.loads(text))
    assert [one["phase"] for one in said] == [
        "starting", "ready", "idle", "failed", "failed", "done",
    ]  # fmt: skip
    assert said[1]["last_s"] == 12.345
    assert (said[2]["run"], said[2]["step"]) == (None, 3)
    assert said[3]["error"] == {
        "code": "state_folder",
        "message": "No space left on device",
        "variable": "coldproof_state_dir",
    }
    assert said[4]["error"]["message"].startswith('x"x"x"')
    assert (said[5]["done"], said[5]["error"]) == (True, None)
    assert ".status.json.new" not in listed, listed


def test_status_on_a_disk_that_was_full_before_is_not_there(tmp_path: Path) -> None:
    """There is no room for any byte of it: no file, rather than an empty one."""
    *lines, listed = changes(tmp_path, "tmpfs", "before")
    assert set(lines) == {"|"}
    assert listed == "['fill']"


def test_status_on_a_read_only_disk_never_raises(tmp_path: Path) -> None:
    point = tmp_path / "point"
    point.mkdir()
    code = (
        "import sys; from pathlib import Path; from coldproof_agent.status import Status\n"
        "status = Status(Path(sys.argv[1]) / 'status.json', 'c', 1)\n"
        "status.set(phase='starting'); status.fail('a', 'b', None); print('still here')"
    )
    words = shlex.join([sys.executable, "-c", code, str(point)])
    done = inside(f"mount -t tmpfs -o ro none {point}", words)
    assert done.stdout == "still here\n", done.stderr
    assert "Read-only file system" in done.stderr


# The disk is full from the moment on at which the third start, a warm one, has loaded. Its record
# holds the log's tail: more than what is free again when the ledger is gone.
HOOK = """
if start == 3:
    for number in range(40):
        print("x" * 1000, flush=True)
    for size in (65536, 1):
        try:
            with open(folder + "/state/fill", "ab", buffering=0) as fill:
                while fill.write(bytes(size)):
                    pass
        except OSError:
            pass
"""


def test_a_state_folder_that_fills_in_a_later_run_ends_the_campaign(
    tiny: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    plan = campaigns.hooked(tiny, tmp_path, HOOK)
    name = plans.put(tmp_path / "put", plan)
    run = shlex.join(campaigns.words(state))
    done = inside(
        f"mount -t tmpfs -o size=72m none {state}",
        f"cp -r {tmp_path}/put/. {state} && {run}; echo $? && rm {state}/fill && "
        f"cp -r {state} {tmp_path}/full && {run}; echo $? && cp -r {state} {tmp_path}/freed",
    )
    assert done.stdout.split() == ["1", "0"], done.stderr
    error = campaigns.status(tmp_path / "full")["error"]
    assert (error["code"], error["variable"]) == ("state_folder", "coldproof_state_dir")
    assert "nothing that had finished is lost; free space" in error["message"]
    folder = f"campaigns/{name}"
    before = campaigns.check_files(tmp_path / "full" / folder)
    assert [one["mode"] for one in before.values()] == ["prime", "cold"]
    for file in ("runs.jsonl", "journal.jsonl", "storage_load_bench.csv"):
        assert (tmp_path / "full" / folder / file).read_bytes().endswith(b"\n"), file
    assert campaigns.status(tmp_path / "freed")["done"]
    after = campaigns.check_files(tmp_path / "freed" / folder)
    assert {key: after[key] for key in before} == before
    assert [one["mode"] for one in after.values()] == ["prime", "cold", "cold", "warm"]
