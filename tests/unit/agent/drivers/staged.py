"""A server with planted phases: ``staged.py PORT MODEL_ID RECORD STAGES``.

STAGES is JSON: after each pause (seconds) it shows a line of an engine's log. It writes to RECORD
when it showed each of them (CLOCK_MONOTONIC, seconds), then serves /v1/models.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

PORT, MODEL, RECORD, STAGES = int(sys.argv[1]), sys.argv[2], sys.argv[3], json.loads(sys.argv[4])


class Handler(BaseHTTPRequestHandler):
    """GET /v1/models, whatever was asked for."""

    def do_GET(self) -> None:
        """Answers one request."""
        data = json.dumps({"data": [{"id": MODEL}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None:
        """Says nothing."""


moments = []
for pause, line in STAGES:
    time.sleep(pause)
    moments.append(time.monotonic())
    print(line, flush=True)
time.sleep(STAGES[-1][0])
with open(RECORD, "w", encoding="utf-8") as opened:
    json.dump(moments, opened)
HTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
