"""A server whose start takes a planted time: ``planted.py MODEL PORT MODEL_ID SECONDS``.

It reads the weights, and listens that many seconds after its own process began, however long the
interpreter and the reading took. Standard library only: it also runs on machines that are nodes.
"""

import http.server
import json
import os
import sys
import time

MODEL, PORT, MODEL_ID, SECONDS = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])


def process_start() -> float:
    """Returns when this process began, on the clock of CLOCK_BOOTTIME (proc_pid_stat(5))."""
    with open("/proc/self/stat", encoding="ascii") as stat:
        ticks = int(stat.read().rpartition(")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")


class Models(http.server.BaseHTTPRequestHandler):
    """Answers every path with the list of models."""

    def do_GET(self) -> None:
        """Answers."""
        body = json.dumps({"object": "list", "data": [{"id": MODEL_ID}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


for name in sorted(os.listdir(MODEL)):
    if name.endswith(".safetensors"):
        with open(os.path.join(MODEL, name), "rb", buffering=0) as weights:
            while weights.read(1 << 20):
                pass
print("planted: weights read", flush=True)
left = process_start() + SECONDS - time.clock_gettime(time.CLOCK_BOOTTIME)
if left < 0:
    sys.exit(f"planted: {SECONDS} s are over by {-left:.1f} s: plant a longer time")
time.sleep(left)
http.server.HTTPServer(("127.0.0.1", PORT), Models).serve_forever()
