"""A node's broken Python: ``broken_python.py FAULT.json`` answers one command of the agent itself.

Ansible gives it the module on standard input. Every other module is run as it should be, by the
Python that runs this.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any

with open(sys.argv[1], encoding="utf-8") as opened:
    FAULT = json.load(opened)
MODULE = sys.stdin.buffer.read()


def run() -> bytes:
    """Runs the module and returns what it printed."""
    done = subprocess.run([sys.executable], input=MODULE, stdout=subprocess.PIPE, check=False)
    return bytes(done.stdout)


def end(pid: int) -> None:
    """Kills a process, which is not our child, and returns when it is gone."""
    os.kill(pid, signal.SIGKILL)
    while os.path.exists(f"/proc/{pid}"):
        time.sleep(0.01)


def with_status(fields: dict[str, Any]) -> bytes:
    """Runs the module, then kills the agent that it started and writes a status in its place."""
    printed = run()
    answer = json.loads(printed)
    path = os.path.join(answer["folder"], "status.json")
    end(answer["answer"]["pid"])
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
        known = {"campaign": answer["answer"]["campaign"], "boot_id": boot.read().strip()}
    status = {"schema": "coldproof.status/1", "phase": "starting", "step": 1, "of": 3}
    status.update(done=False, needs=None, error=None, pid=answer["answer"]["pid"])
    if FAULT.get("fifo"):
        os.mkfifo(f"{path}.fifo")
        os.rename(f"{path}.fifo", path)
        return printed
    with open(path, "w", encoding="utf-8") as opened:
        opened.write(json.dumps({**status, **known, **fields}) + "\n")
    return printed


if re.search(rb"argv\W+" + FAULT["command"].encode(), MODULE) is None:
    os.write(1, run())
elif "sleep" in FAULT:
    time.sleep(FAULT["sleep"])
elif "status" in FAULT:
    os.write(1, with_status(FAULT["status"]))
else:
    print(json.dumps(FAULT["prints"]))
