"""A custom engine with a hook: ``engine.py FOLDER MODEL PORT NAME``.

It notes its start in FOLDER/starts (a JSON line: pid and environment), listens, reads the weights,
runs FOLDER/hook.py with ``start`` (1 for the first one) and ``model``, and is ready then.
"""

import json
import os
import socket
import sys
import threading

FOLDER, MODEL, PORT, NAME = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
loaded = threading.Event()


def note() -> int:
    """Notes this start. Returns its number."""
    with open(f"{FOLDER}/starts", "a+") as starts:
        starts.write(json.dumps({"pid": os.getpid(), "env": dict(os.environ)}) + "\n")
        starts.flush()
        starts.seek(0)
        return len(starts.readlines())


def answer(connection: socket.socket) -> None:
    """Answers one request for the list of models: 503 while it loads."""
    with connection:
        connection.recv(65536)
        status = 200 if loaded.is_set() else 503
        body = json.dumps({"object": "list", "data": [{"id": NAME}]}).encode()
        head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        connection.sendall(head + body)


def serve(listener: socket.socket) -> None:
    """Answers for ever."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def load() -> None:
    """Reads the weights."""
    for name in sorted(os.listdir(MODEL)):
        if name.endswith(".safetensors"):
            with open(f"{MODEL}/{name}", "rb") as opened:
                while opened.read(1 << 20):
                    pass


start = note()
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", PORT))
listener.listen(16)
threading.Thread(target=serve, args=(listener,), daemon=True).start()
load()
with open(f"{FOLDER}/hook.py") as hook:
    exec(hook.read(), {"start": start, "model": MODEL, "folder": FOLDER})
print(f"start {start} has loaded", flush=True)
loaded.set()
threading.Event().wait()
