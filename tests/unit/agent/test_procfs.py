"""What /proc says of real processes, sockets and mappings."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coldproof_agent import procfs


def test_a_name_that_looks_like_fields_is_a_name(tmp_path: Path) -> None:
    program = tmp_path / ") R 1 1"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "3600"], start_new_session=True) as child:
        try:
            one = procfs.process(child.pid)
            assert one is not None
            assert (one.name, one.ppid, one.session) == (") R 1 1", os.getpid(), child.pid)
            stat = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
            assert one.starttime == int(stat[19])
            assert procfs.processes()[child.pid].starttime == one.starttime
        finally:
            child.kill()


def test_who_is_gone_is_none() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert procfs.process(child.pid) is None
    assert procfs.read_bytes(child.pid) is None
    assert procfs.environment(child.pid) == []
    assert procfs.cgroup(child.pid) is None
    assert procfs.sockets(child.pid) == set()
    assert procfs.command(child.pid) == "?"
    assert procfs.link(child.pid, 0) is None


def test_descendants_are_of_every_depth() -> None:
    words = ["sh", "-c", "sh -c 'sleep 3600 & echo $!; wait' & wait"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout is not None
        deepest = int(child.stdout.readline())
        below = procfs.descendants(child.pid)
        assert {one.pid for one in below} >= {deepest}
        assert child.pid not in {one.pid for one in below}
        assert len(below) == 2
        os.killpg(child.pid, 9)


def test_a_command_hides_secrets_and_is_short() -> None:
    words = [
        sys.executable,
        "-c",
        "import time; time.sleep(3600)",
        "--api-key",
        "sk-canary",
        "x" * 500,
    ]
    with subprocess.Popen(words) as child:
        try:
            while "time.sleep" not in procfs.command(child.pid):
                time.sleep(0.01)  # not executed yet
            assert "sk-canary" not in procfs.command(child.pid)
            assert "--api-key ***" in procfs.command(child.pid)
            assert len(procfs.command(child.pid)) <= 120
        finally:
            child.kill()


def test_an_environment_is_that_of_the_start() -> None:
    with subprocess.Popen(["sleep", "3600"], env={"A": "1", "B": "two words"}) as child:
        try:
            while b"A=1" not in procfs.environment(child.pid):
                time.sleep(0.01)  # not executed yet
            assert b"B=two words" in procfs.environment(child.pid)
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("bound", "asked", "takes"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.2", "127.0.0.1", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "", True),
        ("127.0.0.1", "localhost", True),
        ("::1", "::1", True),
        ("::1", "127.0.0.1", False),
        ("::", "127.0.0.1", True),
        ("0.0.0.0", "::1", False),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
    ],
)
def test_a_listener_serves_some_addresses(bound: str, asked: str, takes: bool) -> None:
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    with socket.socket(family) as listener:
        try:
            if ":" in bound:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind((bound, 0))
        except OSError as error:
            pytest.skip(f"no such address here: {error}")
        listener.listen()
        inode = os.fstat(listener.fileno()).st_ino
        assert (inode in procfs.listeners(listener.getsockname()[1], asked)) is takes
        assert inode in procfs.sockets(os.getpid())


def test_a_bound_socket_that_does_not_listen_is_none() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        assert procfs.listeners(one.getsockname()[1]) == set()


def test_who_maps_a_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"x" * 8192)
    info = path.stat()
    wanted = {(info.st_dev, info.st_ino)}
    assert procfs.mappers(wanted) == {}
    with open(path, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ):
        assert procfs.mappers(wanted) == {os.getpid(): 1}
        assert procfs.mappers(wanted, skip=os.getpid()) == {}
    assert procfs.mappers(wanted) == {}
