"""Starts a real server again and again, and asks for a completion at the instant it is ready.

    PYTHONPATH=roles/agent/files python tests/engines/never_early.py llama-server x.gguf \\
        --command /opt/llama/bin/llama-server --starts 20

Prints one line a start (how it ended, load_s, when the port was open, the completion), at the end
how many completions succeeded. The exit status is 0 if all did. The page cache is left as it is,
unless --evict takes the weights out of it before each start: a slow start can be early for longer.
"""

from __future__ import annotations

import argparse
import os
import shlex
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coldproof_agent import (
    cooling,
    engineprofile,
    firsttoken,
    launcher,
    ready,
    residency,
    supervisor,
    weights,
)
from coldproof_agent.logwatch import LogWatch
from coldproof_agent.serverlog import ServerLog
from coldproof_agent.supervisor import Command

HOST = "127.0.0.1"


def evict(model: str, data: Mapping[str, Any]) -> None:
    """Takes the weights out of the page cache, and looks whether they went."""
    files = weights.of(model, data)
    left = cooling.evict(files, residency.trusted(files, [], may_evict=False))["fraction"]
    if left is None or left > cooling.COLD_SHARE:
        raise SystemExit(f"{model} is not out of the page cache: {left} of it is there")


def start(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Starts once. Returns how waiting ended and what came of the completion."""
    profile = engineprofile.load(options.engine)
    data = profile.data
    where = engineprofile.place(profile, {"engine_python": options.python}, folder)
    if data["installation"] == "copied":
        engineprofile.install_reference(where)
    name = f"coldproof-{uuid.uuid4().hex[:12]}"
    model = os.path.abspath(options.model)
    if options.evict:
        evict(model, data)
    values = {
        "model_path": model,
        "model_file": weights.model_files(model, data)[0] if "split" in data else model,
        "host": HOST,
        "port": str(ready.free_port(HOST, 0)),
        "served_model_name": name,
        "max_model_len": "512",
        "ready_timeout_s": "600",
    }
    command = shlex.split(options.command)
    argv = [*engineprofile.argv(profile, where, command, values), *options.arg]
    given = dict(word.split("=", 1) for word in options.env)
    server = launcher.ProcessLauncher(folder / "launched.json")
    told = LogWatch(data)
    pipe = server.start(
        Command(argv, engineprofile.environment(profile, where, given, values), "/"), name
    )
    log = ServerLog(pipe, folder / "server.log", server.started_at, (), told.line)
    try:
        check = ready.Check(
            HOST,
            int(values["port"]),
            str(data["ready"]["path"]),
            data["health_path"],
            engineprofile.model_id(profile, command, values),
            600.0,
            data["ready"].get("models_path"),
            told.ready_at,
            float(data["ready"].get("answer_s", ready.ANSWER_S)),
        )
        waited = ready.wait(server, check, lambda: None)
        token = firsttoken.ask(check, data["completion"]) if waited.load_s is not None else None
    finally:
        server.stop(10.0)
        log.close()
    return {"waited": waited, "token": token, "tail": log.tail()[-3:]}


def main() -> int:
    """Parses the command line, starts, counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=engineprofile.NAMES)
    parser.add_argument("model")
    parser.add_argument("--python", help="interpreter that has the engine")
    parser.add_argument("--command", default="", help="its program, or its whole command line")
    parser.add_argument("--arg", action="append", default=[])
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--evict", action="store_true", help="the weights, before each start")
    options = parser.parse_args()
    supervisor.become_subreaper()
    good = 0
    with tempfile.TemporaryDirectory(prefix="coldproof-engines-", dir="/var/tmp") as folder:
        for number in range(1, options.starts + 1):
            one = start(options, Path(folder))
            answered = one["token"] is not None and one["token"]["problem"] is None
            good += answered
            waited = one["waited"]
            opened = f"port open at {waited.edges['port_open']}"
            print(number, waited.outcome, waited.load_s, opened, one["token"], flush=True)
            if not answered:
                print(*one["tail"], sep="\n")
    print(f"{options.engine}: a completion at the ready instant: {good} of {options.starts}")
    return 0 if good == options.starts else 1


if __name__ == "__main__":
    raise SystemExit(main())
