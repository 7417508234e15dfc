"""One GET, whatever answers: bounded in time and size, and no exception."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from coldproof_agent import httpget, ready
from tests.unit.agent.drivers import drive

Answering = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(answer: Answering, host: str = "127.0.0.1") -> Iterator[tuple[int, list[bytes]]]:
    """A server on a real socket; yields its port and what was asked."""
    asked: list[bytes] = []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        asked.append(connection.recv(65536))
                        answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], asked


def said(*parts: bytes) -> httpget.Answer:
    """Asks a server that sends some parts, each in a packet of its own, and closes."""

    def answer(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
            time.sleep(0.02 if len(parts) > 1 else 0)

    with server(answer) as (port, _):
        return httpget.get("127.0.0.1", port, "/v1/models", 5.0)


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ((HEAD + b"Content-Length: 2\r\n\r\n{}",), b"{}"),
        ((HEAD + b"content-length:2\r\n\r\n{}and more",), b"{}"),
        ((HEAD, b"\r\n", b"{", b"}"), b"{}"),
        ((b"HTTP/1.0 200 OK\r\n\r\n{}",), b"{}"),
        ((CHUNKED + b"2\r\n{}\r\n0\r\n\r\n",), b"{}"),
        ((CHUNKED, b"1;x=y\r\n{\r\n1\r\n", b"}\r\n0\r\n\r\n"), b"{}"),
        ((CHUNKED + b"7\r\n[0\r\n\r\n]\r\n", b"0\r\n\r\n"), b"[0\r\n\r\n]"),
    ],
)
def test_whole_answers_are_read(parts: tuple[bytes, ...], body: bytes) -> None:
    assert said(*parts) == httpget.Answer(True, 200, body, None)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not an HTTP answer"),
        (b"\0" * 5000, "not an HTTP answer"),
        (b"\r\n\r\n", "not an HTTP answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not an HTTP answer"),
        (b"HTTP/1.1 200", "not an HTTP answer"),
        (b"HTTP/1.1 " + b"2" * 60_000 + b" OK\r\n\r\n", "not an HTTP answer"),
        (HEAD + b"Content-Length: " + b"9" * 60_000 + b"\r\n\r\n{}", "not an HTTP answer"),
        (HEAD + b"Content-Length: -1\r\n\r\n{}", "not an HTTP answer"),
        (HEAD + b"Content-Length: 100\r\n\r\n{}", "cut off"),
        (CHUNKED + b"64\r\n{}", "cut off"),
        (CHUNKED + b"2\r\n{}\r\n", "cut off"),
        (CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n", "cut off"),
        (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", "cut off"),
        (CHUNKED + b"f" * 9000 + b"\r\n{}\r\n0\r\n\r\n", "cut off"),
    ],
)
def test_what_is_no_whole_answer_has_no_status(data: bytes, problem: str) -> None:
    answer = said(data)
    assert answer.connected
    assert answer.status is None
    assert problem in str(answer.problem)


@pytest.mark.parametrize("head", [b"", HEAD + b"\r\n", CHUNKED])
@pytest.mark.parametrize("pause", [0.05, 0.0])
def test_a_body_that_never_ends_is_given_up(head: bytes, pause: float) -> None:
    def forever(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"x" if pause else b"1\r\nx\r\n" * 10_000)
            time.sleep(pause)

    with server(forever) as (port, _):
        begun = time.monotonic()
        answer = httpget.get("127.0.0.1", port, "/", 1.0)
        assert time.monotonic() - begun < 5.0
    assert answer.status is None
    assert "no whole answer within 1 s" in str(answer.problem) or "more than" in str(answer.problem)
    assert len(answer.body) <= httpget.MAX_BODY + (1 << 16)


def test_a_mute_server_holds_nobody() -> None:
    with server(lambda _connection: time.sleep(5)) as (port, _):
        begun = time.monotonic()
        assert httpget.get("127.0.0.1", port, "/", 0.3).problem == "no whole answer within 0.3 s"
        assert time.monotonic() - begun < 3.0


def test_nobody_there_is_not_connected() -> None:
    answer = httpget.get("127.0.0.1", ready.free_port("127.0.0.1", 0), "/", 1.0)
    assert (answer.connected, answer.status) == (False, None)
    assert "refused" in str(answer.problem)


def test_an_ipv6_address_is_bracketed() -> None:
    try:
        with server(lambda one: one.sendall(HEAD + b"\r\n"), "::1") as (port, asked):
            assert httpget.get("::1", port, "/", 2.0).status == 200
            assert f"Host: [::1]:{port}\r\n".encode() in asked[0]
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")


SELF = """
import fcntl, socket, struct, sys
from coldproof_agent import httpget
with socket.socket() as one:  # SIOCSIFFLAGS, IFF_UP: a new network namespace has its lo down
    fcntl.ioctl(one, 0x8914, struct.pack("16sh14x", b"lo", 1))
with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as opened:
    opened.write("20000 20003")
for _ in range(50):
    for port in range(20000, 20004):
        answer = httpget.get("127.0.0.1", port, "/", 1.0)
        assert not answer.connected, answer
        if answer.problem == "connected to itself":
            sys.exit(0)
sys.exit("never met itself")
"""


def test_a_connection_to_itself_is_none() -> None:
    """A poll whose own port is the one it asks meets itself (TCP's simultaneous open)."""
    words = ["unshare", "--net", sys.executable, "-c", SELF]
    if subprocess.run([*words[:2], "true"], check=False, capture_output=True).returncode:
        pytest.skip("a network namespace of its own needs root")
    env = {**os.environ, "PYTHONPATH": str(drive.SOURCE)}
    done = subprocess.run(words, env=env, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 250_000, b"\xff\xfe", b"nul", b"1" * 100_000])
def test_json_that_is_none_is_none(body: bytes) -> None:
    assert httpget.Answer(True, 200, body, None).json() is None or body.isdigit()


def test_a_post_carries_its_json_whole() -> None:
    with server(lambda connection: connection.sendall(b"HTTP/1.1 200 X\r\n\r\n{}")) as (
        port,
        asked,
    ):
        assert httpget.post("127.0.0.1", port, "/v1/completions", {"a": "ü"}, 2.0).json() == {}
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/completions HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {"a": "ü"}
