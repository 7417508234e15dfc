"""One HTTP GET with a total deadline and a body cap, straight to the address: never by a proxy."""

from __future__ import annotations

import json
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
        except ValueError:
            return None


def get(host: str, port: int, path: str, deadline_s: float) -> Answer:
    """Fetches a path within ``deadline_s`` seconds in all; a server that drips does not hold it."""
    end = time.monotonic() + deadline_s
    try:
        connection = socket.create_connection((host, port), timeout=deadline_s)
    except OSError as error:
        return Answer(False, None, b"", str(error))
    data = b""
    problem = None
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        while not _complete(data):
            left = end - time.monotonic()
            if left <= 0:
                problem = f"no whole answer within {deadline_s:g} s"
                break
            if len(data) > MAX_BODY:
                problem = f"answer of more than {MAX_BODY} bytes"
                break
            connection.settimeout(left)
            part = connection.recv(65536)
            if not part:
                break
            data += part
    except OSError as error:
        problem = str(error)
    finally:
        connection.close()
    return _parse(data, problem)


def _split(data: bytes) -> tuple[list[bytes], bytes, bool]:
    head, found, body = data.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body, bool(found)


def _header(lines: list[bytes], name: bytes) -> Optional[bytes]:
    for line in lines[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().lower()
    return None


def _complete(data: bytes) -> bool:
    lines, body, whole = _split(data)
    if not whole:
        return False
    length = _header(lines, b"content-length")
    if length is not None and length.isdigit():
        return len(body) >= int(length)
    if _header(lines, b"transfer-encoding") == b"chunked":
        return body.endswith(b"0\r\n\r\n")
    return False


def _parse(data: bytes, problem: Optional[str]) -> Answer:
    lines, body, whole = _split(data)
    first = lines[0].split() if lines else []
    if not whole or len(first) < 2 or not first[0].startswith(b"HTTP/1") or not first[1].isdigit():
        return Answer(True, None, b"", problem or "not an HTTP answer")
    if _header(lines, b"transfer-encoding") == b"chunked":
        body = _dechunk(body)
    return Answer(True, None if problem else int(first[1]), body, problem)


def _dechunk(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16)
        except ValueError:
            break
        if not length:
            break
        body, data = body + data[:length], data[length + 2 :]
    return body
