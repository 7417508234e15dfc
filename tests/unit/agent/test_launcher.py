"""What was launched ends, whoever is killed, and nothing else does."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import procfs
from tests.counts import LONG, seeded
from tests.unit.agent.drivers import drive
from tests.unit.agent.drivers.drive import FAMILY, Held


def assert_nothing_left(answer: dict[str, Any], given: dict[str, Any]) -> None:
    """Nothing of the run lives, and the ledger is gone."""
    assert answer["left"] == []
    assert answer["stopped"]["stuck"] == []
    assert not Path(given["ledger"]).exists()
    assert drive.marked(given["marker"]) == []


def test_an_obedient_server_is_ended_by_sigterm(tmp_path: Path) -> None:
    given = drive.job(tmp_path, "ok")
    answer = drive.run(given)
    assert answer["waited"]["outcome"] == "ready"
    assert answer["exit_status"] == -signal.SIGTERM
    assert (answer["stopped"]["killed"], answer["stopped"]["left"]) == (False, 0)
    assert answer["again"]["seconds"] < 1.0, "the second stop has nothing to do"
    assert_nothing_left(answer, given)


def test_a_deaf_server_with_children_and_a_daemon_is_ended_whole(tmp_path: Path) -> None:
    given = drive.job(tmp_path, "deaf", grace_s=0.5)
    answer = drive.run(given)
    assert len(answer["tree"]) == FAMILY
    assert answer["stopped"]["killed"] is True
    assert answer["stopped"]["left"] == FAMILY - 1
    assert answer["stopped"]["seconds"] < 10
    assert_nothing_left(answer, given)


@pytest.mark.parametrize("behaviour", ["forks_away", "runaway"])
def test_a_server_that_forks_away_has_crashed_and_is_ended(tmp_path: Path, behaviour: str) -> None:
    given = drive.job(tmp_path, behaviour)
    answer = drive.run(given)
    assert answer["waited"]["outcome"] == "crashed"
    assert "exit status 0" in answer["waited"]["detail"]
    assert_nothing_left(answer, given)


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["/no/such/program"], "No such file or directory: '/no/such/program'"),
        (["/proc/version"], "Permission denied: '/proc/version'"),
        ([sys.executable, "a\0b"], "Invalid argument"),
    ],
)
def test_what_cannot_be_executed_says_so(tmp_path: Path, argv: list[str], error: str) -> None:
    given = drive.job(tmp_path, "ok", argv=argv)
    answer = drive.run(given)
    assert error in answer["error"]
    assert_nothing_left(answer, given)


def test_a_ledger_that_cannot_be_written_starts_nothing(tmp_path: Path) -> None:
    given = drive.job(tmp_path, "ok", ledger=str(tmp_path / "no folder/launched.json"))
    answer = drive.run(given)
    assert "No such file or directory" in answer["error"]
    assert_nothing_left(answer, given)


def test_the_server_has_the_rights_it_was_given(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a server another user's rights needs root")
    words = ["/bin/sh", "-c", "id -u; id -g; id -G"]
    rights = {"uid": 65534, "gid": 65533, "groups": [65532]}
    answer = drive.run(drive.job(tmp_path, "ok", argv=words, rights=rights))
    assert [line.split(None, 1)[1] for line in answer["log"]] == ["65534", "65533", "65533 65532"]


def test_signals_are_as_in_a_fresh_process(tmp_path: Path) -> None:
    words = ["/bin/sh", "-c", "exec grep -E 'Sig(Blk|Ign)' /proc/self/status"]
    answer = drive.run(drive.job(tmp_path, "ok", argv=words))
    # Signals 32 and 33 are the C library's own: it lets nobody set them, so they pass through.
    settable = sum(1 << number - 1 for number in signal.valid_signals())
    assert [int(line.split()[-1], 16) & settable for line in answer["log"]] == [0, 0]


def test_the_agent_killed_ends_the_tree_at_once_and_frees_its_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    given = drive.job(tmp_path, "family", family=FAMILY, lock=str(lock))
    with Held(given) as held:
        held.kill(held.supervisor, signal.SIGSTOP)  # so that it is there when the lock is tried
        held.kill(held.agent)
        with open(lock) as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert len(drive.living(held.tree)) == FAMILY
        held.kill(held.supervisor, signal.SIGCONT)
        assert drive.left_after(held.all, 5.0) == []
    assert drive.marked(given["marker"]) == []


def test_the_supervisor_killed_is_noticed_and_all_is_ended(tmp_path: Path) -> None:
    given = drive.job(tmp_path, "family", family=FAMILY)
    with Held(given) as held:
        held.kill(held.supervisor)
        answer = held.read()
        assert answer["left"] == []
        assert drive.left_after(held.tree, 1.0) == []
    assert not Path(given["ledger"]).exists()


def test_a_stopped_supervisor_holds_nobody(tmp_path: Path) -> None:
    with Held(drive.job(tmp_path, "deaf", family=FAMILY)) as held:
        held.kill(held.supervisor, signal.SIGSTOP)
        held.kill(held.agent, signal.SIGINT)
        assert held.read() == {"interrupted": True}
        answer = held.read()
        assert answer["left"] == []
        assert answer["stopped"]["seconds"] < 10


def test_ctrl_c_reaches_the_agent_alone(tmp_path: Path) -> None:
    given = drive.job(tmp_path, "family", family=FAMILY)
    with Held(given) as held:
        os.killpg(held.agent, signal.SIGINT)
        assert held.read() == {"interrupted": True}
        answer = held.read()
        assert answer["stopped"]["killed"] is False, "the server was ended in good order"
        assert_nothing_left(answer, given)


def test_supervisors_killed_at_random_leave_nothing(tmp_path: Path) -> None:
    count = 1000 if LONG else 20
    given = drive.job(
        tmp_path,
        "ok",
        do="kill_supervisors",
        argv=["/bin/sh", "-c", drive.SLEEPERS],
        seed=seeded("supervisor kills").randrange(1 << 30),
        count=count,
        within_s=0.06,
    )
    answer = drive.run(given, timeout_s=60 + count)
    assert answer["left"] == [], answer
    assert sum(answer["outcomes"].values()) == count
    assert answer["outcomes"].keys() <= {"lost", "not started"}
    assert answer["ledger"] is False
    assert drive.marked(given["marker"]) == []


def test_agents_killed_at_random_leave_nothing(tmp_path: Path) -> None:
    chance = seeded("agent kills")
    for _ in range(200 if LONG else 3):
        given = drive.job(tmp_path, "family", do="hold")
        child = drive.agent(given)
        assert child.stdout is not None
        child.stdout.readline()  # it is about to start the server
        time.sleep(chance.uniform(0.0, 0.25))
        child.kill()
        child.communicate(timeout=10)  # ends when the last holder of its output has ended
        assert drive.left_after(drive.marked(given["marker"]), 5.0) == []
        ended = drive.run({**given, "do": "leftovers"})["ended"]
        assert ended == [], "the supervisor had ended all of it"


@pytest.fixture
def orphans(tmp_path: Path) -> Iterator[tuple[Held, dict[str, Any]]]:
    """A family whose agent and supervisor were killed together."""
    given = drive.job(tmp_path, "family", family=FAMILY)
    with Held(given) as held:
        held.kill(held.supervisor, signal.SIGSTOP)
        held.kill(held.agent)
        held.kill(held.supervisor)
        assert len(drive.living(held.tree)) == FAMILY
        yield held, given


@pytest.fixture
def stranger() -> Iterator[procfs.Process]:
    """Somebody else's process, in a session of its own."""
    child = subprocess.Popen(["sleep", "3600"], start_new_session=True)
    one = procfs.process(child.pid)
    assert one is not None
    yield one
    child.kill()
    child.wait()


def test_leftovers_are_named_and_ended(
    orphans: tuple[Held, dict[str, Any]], stranger: procfs.Process
) -> None:
    held, given = orphans
    ended = drive.run({**given, "do": "leftovers"})["ended"]
    assert {one["pid"] for one in ended} == {one.pid for one in held.tree}
    assert sum(" -I -S " in one["command"] for one in ended) == 1
    assert sum("sleep 3600" in one["command"] for one in ended) == FAMILY - 1
    assert drive.living(held.tree) == []
    assert drive.living([stranger]) == [stranger]
    assert not Path(given["ledger"]).exists()
    assert drive.run({**given, "do": "leftovers"})["ended"] == []


def test_leftovers_of_another_boot_are_nobodys(orphans: tuple[Held, dict[str, Any]]) -> None:
    held, given = orphans
    ledger = Path(given["ledger"])
    entry = json.loads(ledger.read_bytes())
    ledger.write_text(json.dumps({**entry, "boot_id": "0d9b1f3a-0000-4000-8000-000000000000"}))
    assert drive.run({**given, "do": "leftovers"})["ended"] == []
    assert len(drive.living(held.tree)) == FAMILY
    assert not ledger.exists()


def test_a_recycled_number_is_nobodys(tmp_path: Path, stranger: procfs.Process) -> None:
    """Server, supervisor and session of the ledger have numbers that a later process has now."""
    given = drive.job(tmp_path, "ok", do="leftovers")
    entry = {
        "marker": given["marker"],
        "boot_id": procfs.boot_id(),
        "cgroup": procfs.cgroup(stranger.pid),
        "supervisor": [stranger.pid, stranger.starttime - 6],
        "server": [stranger.pid, stranger.starttime - 5],
        "sessions": {str(stranger.pid): stranger.starttime - 5},
        "log": "pipe:[0]",
    }
    Path(given["ledger"]).write_text(json.dumps(entry))
    assert drive.run(given)["ended"] == []
    assert drive.living([stranger]) == [stranger]
    right = [stranger.pid, stranger.starttime]
    entry.update(server=right, sessions={str(stranger.pid): stranger.starttime})
    Path(given["ledger"]).write_text(json.dumps(entry))
    assert [one["pid"] for one in drive.run(given)["ended"]] == [stranger.pid]


def test_a_session_without_leader_is_ours_only_in_our_cgroup(tmp_path: Path) -> None:
    words = ["setsid", "sh", "-c", "sleep 3600 >/dev/null 2>&1 & echo $!"]
    pid = int(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)
    orphan = procfs.process(pid)
    assert orphan is not None
    given = drive.job(tmp_path, "ok", do="leftovers")
    entry = {
        "marker": given["marker"],
        "boot_id": procfs.boot_id(),
        "cgroup": "0::/somebody/elses.scope\n",
        "supervisor": [orphan.session, orphan.starttime - 6],
        "server": [orphan.session, orphan.starttime - 5],
        "sessions": {str(orphan.session): orphan.starttime - 5},
        "log": "pipe:[0]",
    }
    Path(given["ledger"]).write_text(json.dumps(entry))
    assert drive.run(given)["ended"] == []
    assert drive.living([orphan]) == [orphan]
    Path(given["ledger"]).write_text(json.dumps({**entry, "cgroup": procfs.cgroup(pid)}))
    assert [one["pid"] for one in drive.run(given)["ended"]] == [pid]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"marker": 1}', b"\xff\0"])
def test_a_damaged_ledger_ends_nothing(tmp_path: Path, text: bytes) -> None:
    given = drive.job(tmp_path, "ok", do="leftovers")
    Path(given["ledger"]).write_bytes(text)
    assert drive.run(given)["ended"] == []
    assert not Path(given["ledger"]).exists()


def test_agent_and_supervisor_killed_at_random_leave_what_the_ledger_ends(tmp_path: Path) -> None:
    chance = seeded("double kills")
    for _ in range(200 if LONG else 3):
        given = drive.job(tmp_path, "family", family=1)
        with Held(given) as held:
            time.sleep(chance.uniform(0.0, 0.1))
            tree = drive.living(procfs.descendants(held.supervisor))
            held.kill(held.supervisor, signal.SIGSTOP)
            held.kill(held.agent)
            held.kill(held.supervisor)
            drive.run({**given, "do": "leftovers"})
            assert drive.left_after([*tree, *drive.marked(given["marker"])], 1.0) == []
