"""A server that behaves as told: ``server.py BEHAVIOUR PORT MODEL_ID [SECONDS]``."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

BEHAVIOUR, PORT, MODEL = sys.argv[1], int(sys.argv[2]), sys.argv[3]
SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
BEGUN = time.monotonic()


def answer(status: int, body: bytes, length: int = -1) -> bytes:
    """Returns an HTTP answer; ``length`` is what its head claims."""
    claimed = len(body) if length < 0 else length
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, claimed) + body


def models(name: str) -> bytes:
    """Returns the body of /v1/models."""
    return b'{"object":"list","data":[{"id":"%s"}]}' % name.encode()


def forever(write: Callable[[bytes], object], data: bytes, pause: float) -> None:
    """Writes until the other end is gone."""
    while True:
        write(data)
        time.sleep(pause)


def serve(connection: socket.socket) -> None:
    """Answers one connection in its own way."""
    asked = connection.recv(65536)
    good = answer(200, models(MODEL))
    if BEHAVIOUR == "early":  # 200, then 503 while it loads in earnest, then 200 for good
        first = not globals().get("answered")
        globals()["answered"] = globals().get("answered") or time.monotonic()
        loading = time.monotonic() - globals()["answered"] < SECONDS
        connection.sendall(good if first or not loading else answer(503, b""))
    elif BEHAVIOUR in ("sglang", "hasty"):  # models at once; health takes a second
        up = time.monotonic() - BEGUN > SECONDS
        if asked.startswith(b"GET /health"):
            time.sleep(1.0 if up else 0.0)
        connection.sendall(good if up or b"/v1/models" in asked else answer(503, b""))
    elif BEHAVIOUR == "once":
        connection.sendall(good)
        os._exit(9)
    elif BEHAVIOUR == "after":
        connection.sendall(good)
        threading.Timer(SECONDS, os._exit, (7,)).start()
    elif BEHAVIOUR == "wrong":
        connection.sendall(answer(200, models("somebody-elses-model")))
    elif BEHAVIOUR == "garbage":
        connection.sendall(os.urandom(4096))
    elif BEHAVIOUR == "nested":
        connection.sendall(answer(200, b"[" * 200_000))
    elif BEHAVIOUR == "digits":
        connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: " + b"9" * 60_000 + b"\r\n\r\n{}")
    elif BEHAVIOUR == "short":
        connection.sendall(answer(200, models(MODEL), 100_000))
    elif BEHAVIOUR == "drip":
        forever(connection.sendall, b"H", 0.05)
    elif BEHAVIOUR == "endless":
        connection.sendall(b"HTTP/1.1 200 X\r\n\r\n" + models(MODEL))
        forever(connection.sendall, b" " * 1000, 0.01)
    elif BEHAVIOUR == "mute":
        time.sleep(3600)
    elif time.monotonic() - BEGUN < SECONDS:
        connection.sendall(answer(503, b""))
    else:
        connection.sendall(good)
    connection.close()


def quietly(connection: socket.socket) -> None:
    """Answers; a client that gave up is no error."""
    with contextlib.suppress(OSError):
        serve(connection)


def listen() -> None:
    """Listens and answers for ever."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if BEHAVIOUR == "shared":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", PORT))
    listener.listen(16)
    print("listening", flush=True)
    if BEHAVIOUR in ("sglang", "hasty"):
        words = ("The server is fired up and ready to roll!",)
        threading.Timer(
            SECONDS if BEHAVIOUR == "sglang" else 0.1, print, words, {"flush": True}
        ).start()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=quietly, args=(connection,), daemon=True).start()


def daemon(*words: str) -> None:
    """Double-forks a program away: own session, no environment, nothing that names us."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve(words[0], list(words), {})
        os._exit(0)


def family() -> None:
    """Starts children of all sorts: plain, deaf to SIGTERM, and a daemon."""
    if os.fork() == 0:
        os.execve("/bin/sleep", ["sleep", "3600"], dict(os.environ))
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.execve("/bin/sleep", ["sleep", "3600"], dict(os.environ))
    daemon("/bin/sleep", "3600")


if BEHAVIOUR == "crash":
    sys.exit("server: no such model")
if BEHAVIOUR == "hang":
    time.sleep(3600)
if BEHAVIOUR == "flood":
    forever(sys.stdout.write, "x" * 4095 + "\n", 0.0)
if BEHAVIOUR == "headless":  # the one that listens dies, a worker of it lives on
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    threading.Timer(2.0, os._exit, (0,)).start()
    time.sleep(3600)
if BEHAVIOUR == "forks_away":
    daemon("/bin/sleep", "3600")
    sys.exit(0)
if BEHAVIOUR == "runaway":  # a chain of short-lived processes, each in its own session
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()
if BEHAVIOUR == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    family()
if BEHAVIOUR == "family":
    family()
listen()
