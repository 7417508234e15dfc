"""The reference server: loads safetensors as safetensors does, then answers like an engine.

It maps each file, copies every tensor out of the mapping in the order of the file (as a transfer
to a device does, so every byte is touched), then serves /health, /v1/models and /v1/completions
(it answers without any text). It answers 503 until then. It imports nothing of the agent: it is
copied beside it and run alone, so its own files can be evicted and looked at.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUFFER = 16 << 20
MOST_ASKED = 1 << 20


def say(text: str) -> None:
    """Prints one line at once."""
    print(f"reference: {text}", flush=True)


def shards(model: str) -> list[str]:
    """Returns the files to load: those of the index, else all *.safetensors."""
    index = os.path.join(model, "model.safetensors.index.json")
    if os.path.exists(index):
        with open(index, "rb") as opened:
            names = sorted(set(json.load(opened)["weight_map"].values()))
    else:
        names = sorted(name for name in os.listdir(model) if name.endswith(".safetensors"))
    if not names:
        raise SystemExit(f"reference: {model} holds no safetensors")
    return [os.path.join(model, name) for name in names]


def load(path: str, buffer: bytearray) -> int:
    """Copies every tensor of a file through a buffer. Returns its bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as mapped:
        os.close(descriptor)
        view = memoryview(mapped)
        base = 8 + struct.unpack("<Q", view[:8])[0]
        header = json.loads(bytes(view[8:base]))
        total = 0
        target = memoryview(buffer)
        spans = sorted(
            tensor["data_offsets"] for name, tensor in header.items() if name != "__metadata__"
        )
        for start, end in spans:
            for at in range(start, end, BUFFER):
                stop = min(at + BUFFER, end)
                target[: stop - at] = view[base + at : base + stop]
            total += end - start
        view.release()
        return total


class Server(ThreadingHTTPServer):
    """Answers 503 until ``ready`` is set."""

    daemon_threads = True
    ready = False
    model = ""
    max_model_len = 0


class Handler(BaseHTTPRequestHandler):
    """GET /health, GET /v1/models and POST /v1/completions."""

    server: Server

    def do_POST(self) -> None:
        """Answers a completion with an empty text, once the weights are loaded."""
        length = self.headers.get("Content-Length", "")
        self.rfile.read(min(int(length), MOST_ASKED) if length.isdigit() else 0)
        if self.path != "/v1/completions":
            self._answer(404, {})
        elif not self.server.ready:
            self._answer(503, {})
        else:
            choice = {"index": 0, "text": "", "finish_reason": "stop"}
            self._answer(200, {"object": "text_completion", "choices": [choice]})

    def do_GET(self) -> None:
        """Answers one request."""
        body: dict[str, object] = {}
        status = 200 if self.server.ready else 503
        if self.path == "/v1/models":
            entry = {
                "id": self.server.model,
                "object": "model",
                "owned_by": "coldproof",
                "max_model_len": self.server.max_model_len,
            }
            body = {"object": "list", "data": [entry] if status == 200 else []}
        elif self.path != "/health":
            status = 404
        self._answer(status, body)

    def _answer(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None:
        """Says nothing: readiness polls would fill the log."""


def main() -> None:
    """Parses the command line, listens, loads, serves."""
    parser = argparse.ArgumentParser(description="coldproof's reference server")
    parser.add_argument("--model", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--max-model-len", type=int, default=2048)
    options = parser.parse_args()
    say("imported")
    if ":" in options.host:
        Server.address_family = socket.AF_INET6
    server = Server((options.host, options.port), Handler)
    server.model = options.served_model_name
    server.max_model_len = options.max_model_len
    threading.Thread(target=server.serve_forever, daemon=True).start()
    begun = time.monotonic()
    say("loading weights")
    buffer = bytearray(BUFFER)
    total = sum(load(path, buffer) for path in shards(options.model))
    say(f"weights loaded: {total} bytes in {time.monotonic() - begun:.3f} s")
    server.ready = True
    threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"reference: {error}")
