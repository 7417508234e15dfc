"""Records survive: torn tails, full disks, SIGKILL at any instant."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coldproof_agent import durable
from coldproof_agent.errors import Refusal
from tests.counts import LONG, seeded
from tests.unit.agent.drivers.drive import SOURCE

WRITER = """
import sys
import time
from pathlib import Path
from coldproof_agent import durable
path, start = Path(sys.argv[1]), int(sys.argv[2])
for number in range(start, start + 100000):
    durable.append_record(path, {"n": number, "pad": "x" * (number * 37 % 900)})
    print(number, flush=True)
"""


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    written = [durable.append_record(path, {"n": n, "text": "ä\n\0\udcff|"}) for n in range(3)]
    assert [one["n"] for one in durable.read_records(path)] == [0, 1, 2]
    assert all(durable.checksum(one) == one["checksum"] for one in written)


def test_a_torn_tail_is_cut_off_and_the_rows_before_it_stay(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    durable.append_record(path, {"n": 1})
    with path.open("ab") as opened:
        opened.write(b'{"n": 2, "chec' + b"x" * 200_000)
    durable.append_record(path, {"n": 3})
    assert [one["n"] for one in durable.read_records(path)] == [1, 3]
    assert path.read_bytes().count(b"\n") == 2


def test_a_changed_record_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    durable.append_record(path, {"load_s": 12.5})
    path.write_bytes(path.read_bytes().replace(b"12.5", b"02.5"))
    assert durable.read_records(path) == []


def test_a_full_disk_leaves_whole_records_only(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(path), "0"],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "short write" in done.stderr or "File too large" in done.stderr
    acknowledged = [int(line) for line in done.stdout.split()]
    assert acknowledged
    assert [one["n"] for one in durable.read_records(path)] == acknowledged
    assert path.read_bytes().endswith(b"\n")


def test_sigkill_at_random_instants_loses_no_acknowledged_row(tmp_path: Path) -> None:
    dice = seeded("writer kills")
    path = tmp_path / "runs.jsonl"
    acknowledged: set[int] = set()
    for turn in range(1000 if LONG else 20):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(turn * 100_000)],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        acknowledged |= {int(child.stdout.readline()) for _ in range(dice.randrange(1, 60))}
        child.kill()
        acknowledged |= {int(line) for line in child.stdout.read().split("\n")[:-1]}
        child.wait()
    kept = [int(one["n"]) for one in durable.read_records(path)]
    assert acknowledged <= set(kept)
    assert len(kept) == len(set(kept))
    torn = path.read_bytes().split(b"\n")[:-1]
    assert all(json.loads(line)["checksum"] for line in torn)


def test_replace_keeps_the_old_file_when_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    target = tmp_path / "plan.json"
    durable.replace(target, b"old")
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from coldproof_agent import durable\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "durable.replace(Path(sys.argv[1]), b'n' * 1000)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    assert target.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["plan.json"]


def test_a_state_folder_that_is_full_is_refused_before_a_run(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        durable.need_space(tmp_path, 1 << 50)
    assert refused.value.variable == "coldproof_state_dir"
    assert str(tmp_path) in refused.value.message
    durable.need_space(tmp_path, 1 << 20)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_test_of_the_space_leaves_no_space_taken(tmp_path: Path) -> None:
    """A name may stay that was never written to; its bytes never do."""
    dice = seeded("space kills")
    code = (
        "import sys; from pathlib import Path; from coldproof_agent import durable\n"
        "print('begun', flush=True)\n"
        "for _ in range(1000): durable.need_space(Path(sys.argv[1]), 64 << 20)"
    )
    for _ in range(1000 if LONG else 20):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"begun\n"
            time.sleep(dice.uniform(0.0, 0.02))
            child.kill()
        left = {one.name: one.stat().st_size for one in tmp_path.iterdir()}
        assert all(name.startswith(".space.") for name in left)
        assert not any(left.values()), left
