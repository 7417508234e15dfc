"""One HTTP request with a total deadline and a body cap, straight to the address, by no proxy."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import Any, NamedTuple, Optional

MAX_BODY = 256 << 10


class Answer(NamedTuple):
    """What a server said: HTTP status (None: nothing usable), body, and what went wrong."""

    connected: bool
    status: Optional[int]
    body: bytes
    problem: Optional[str]

    def json(self) -> Any:
        """Returns the decoded body, None if it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def get(host: str, port: int, path: str, deadline_s: float) -> Answer:
    """Fetches a path, see :func:`ask`."""
    return ask(host, port, path, deadline_s)


def post(host: str, port: int, path: str, value: Any, deadline_s: float) -> Answer:
    """Sends a value as JSON to a path, see :func:`ask`."""
    return ask(host, port, path, deadline_s, json.dumps(value).encode())


def ask(host: str, port: int, path: str, deadline_s: float, body: Optional[bytes] = None) -> Answer:
    """Makes one request within ``deadline_s`` seconds in all; a server that drips does not hold it.

    An answer that stays shorter than it says is none: its server may be dying.

    Args:
        body: JSON to POST; None makes it a GET.
    """
    end = time.monotonic() + deadline_s
    # Not create_connection: it looks the address up each time, and a poll is to cost little.
    connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        connection.settimeout(deadline_s)
        connection.connect((host, port))
    except OSError as error:
        connection.close()
        return Answer(False, None, b"", str(error))
    data = b""
    problem = None
    try:
        if connection.getsockname() == connection.getpeername():
            # TCP's simultaneous open: nobody listens, and our own port happened to be this one.
            return Answer(False, None, b"", "connected to itself")
        name = f"[{host}]" if ":" in host else host
        kind = "GET" if body is None else "POST"
        request = f"{kind} {path} HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n"
        if body is not None:
            request += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        connection.settimeout(max(0.001, end - time.monotonic()))
        connection.sendall(request.encode() + b"\r\n" + (body or b""))
        while not _parse(data).whole:
            left = end - time.monotonic()
            if left <= 0:
                raise socket.timeout
            if len(data) > MAX_BODY:
                problem = f"answer of more than {MAX_BODY} bytes"
                break
            connection.settimeout(left)
            part = connection.recv(65536)
            if not part:
                cut = _parse(data)
                if cut.status is not None and cut.whole is False:
                    problem = "the answer was cut off"
                break
            data += part
    except socket.timeout:
        problem = f"no whole answer within {deadline_s:g} s"
    except OSError as error:
        problem = str(error)
    finally:
        connection.close()
    message = _parse(data)
    if message.status is None:
        return Answer(True, None, b"", problem or "not an HTTP answer")
    return Answer(True, None if problem else message.status, message.body, problem)


class _Message(NamedTuple):
    """``whole`` is None where only the end of the connection ends the body."""

    status: Optional[int]
    body: bytes
    whole: Optional[bool]


def _parse(data: bytes) -> _Message:
    head, found, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    words = first.split()
    if not found:
        return _Message(None, b"", False)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not re.match(rb"\d{3}$", words[1]):
        return _Message(None, b"", True)
    status = int(words[1])
    if _header(lines, b"transfer-encoding") == b"chunked":
        return _Message(status, *_dechunk(body))
    length = _header(lines, b"content-length")
    if length is None:
        return _Message(status, body, None)
    if not re.match(rb"\d{1,15}$", length):
        return _Message(None, b"", True)
    return _Message(status, body[: int(length)], len(body) >= int(length))


def _header(lines: list[bytes], name: bytes) -> Optional[bytes]:
    for line in lines:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().lower()
    return None


def _dechunk(data: bytes) -> tuple[bytes, bool]:
    """Returns the body so far, and whether its last chunk has come (trailers are not waited for).

    A size that is none ends it: then the body is what came before, and not whole.
    """
    parts: list[bytes] = []
    at = 0
    while True:
        eol = data.find(b"\r\n", at)
        size = re.match(rb"[0-9a-fA-F]{1,8}[ \t]*(;|$)", data[at : max(at, eol)])
        if eol < 0 or size is None:
            return b"".join(parts), False
        length = int(data[at : at + size.end()].rstrip(b"; \t"), 16)
        if not length:
            return b"".join(parts), True
        parts.append(data[eol + 2 : eol + 2 + length])
        at = eol + 2 + length + 2
