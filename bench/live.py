"""Controller CPU of the live view of `coldproof run`, beside polling by Ansible's tasks.

Makes a fleet of sshd nodes on loopback (``--nodes``, default 100). One simulator is all their
agents: a node's status has a new heartbeat every ten seconds and something new every thirty. The
task that follows an agent (roles/measure) then runs twice on the same nodes, with as many forks and
the same seconds between two looks: by ansible-playbook alone, and under the live view, whose table
is drawn on a terminal. CPU is that of all processes of the controller's side, from when all nodes
are followed, over ``--seconds``; sshd and what runs on nodes is not in it. How fresh both are is
measured: how long after it happened the controller knew what was new.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import pty
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "collector")]

from bench.simulated_agents import CAMPAIGN, Agents  # noqa: E402
from tests.fleet.nodes import Fleet  # noqa: E402
from tests.fleet.play import controller_environment  # noqa: E402

TARGET = 0.1
LINES, COLUMNS = 50, 120
# The connections of the first looks are closed after a minute.
START_LIMIT_S, SETTLE_S = 900.0, 75.0
NEWS = re.compile(rb"\(last (\d+\.\d) s\)")
PR_SET_CHILD_SUBREAPER = 36
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What a controller cost.

    Attributes:
        cpu_a_minute: CPU seconds, while all nodes are followed.
        looks_a_minute: commands that the nodes' sshd were given while all were followed.
        late_s: how long after it happened it knew what was new, in the mean.
        news: how much was new.
        begin_cpu_s: CPU seconds until all nodes were followed.
    """

    cpu_a_minute: float
    looks_a_minute: float
    late_s: float
    news: int
    begin_cpu_s: float


def playbook(path: Path, every_s: int) -> Path:
    """Write the task of roles/measure/tasks/follow.yml as a playbook, and return its path."""
    follow = {"pid": os.getpid(), "boot_id": "", "limit_s": 36000, "turns": []}
    task = {
        "name": "Follow the agent until it is done or stops",
        "look": {
            "state_dir": "{{ coldproof_state_dir }}", "campaign": CAMPAIGN, "follow": follow
        },
        "register": "__measure_poll", "until": "__measure_poll.ended",
        "retries": 1000000000, "delay": every_s, "timeout": 300,
        "vars": {"ansible_ssh_retries": 6},
    }  # fmt: skip
    play = {"name": "Follow", "hosts": "gpu-nodes", "gather_facts": False, "tasks": [task]}
    path.write_text(json.dumps([play]), encoding="utf-8")
    return path


def view(arguments: Sequence[str], stamps: Path) -> int:
    """Run a playbook under the live view; note when what was known."""
    from coldproof.live.session import Session
    from coldproof.live.shows import Terminal

    class Noted(Terminal):
        def streamed(self, node: str, seen: dict[str, Any] | None, /) -> None:
            super().streamed(node, seen)
            if seen is not None:
                noted.write(f"{time.monotonic()} {node} {seen['last_s']}\n")

    with stamps.open("a", encoding="ascii", buffering=1) as noted:
        return Session(arguments[0], arguments[1:], Noted(), stream=True).run()


def reap(words: Sequence[str]) -> int:
    """Run a command as the parent of all that it leaves behind, so that no CPU is lost."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = subprocess.Popen(words)
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            return os.waitstatus_to_exitcode(status)


def cpu_s(root: int) -> float:
    """Return the CPU seconds of a process, of all below it, and of those of them that ended."""
    below: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(entry.parent.name)
        below.setdefault(int(fields[1]), []).append(pid)
        ticks[pid] = sum(map(int, fields[11:15]))
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        total += ticks.get(pid, 0)
        todo += below.get(pid, [])
    return total / TICKS


def sessions(fleet: Fleet) -> dict[str, int]:
    """Return how many commands each node's sshd was given."""
    return {
        name: len(re.findall("Starting session: command", (node.folder / "sshd.log").read_text()))
        for name, node in fleet.nodes.items()
    }


@contextlib.contextmanager
def terminal(log: Path, stamps: Path) -> Iterator[int]:
    """Yield a terminal whose output goes into a file; note when the lines of nodes came."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))

    def copy() -> None:
        rest = b""
        with log.open("wb") as file, contextlib.suppress(OSError):
            while data := os.read(ours, 1 << 16):
                file.write(data)
                file.flush()
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if found := NEWS.search(line):
                        name, at = line.split()[0].decode("ascii", "replace"), found[1].decode()
                        with stamps.open("a", encoding="ascii", errors="replace") as noted:
                            noted.write(f"{time.monotonic()} {name} {at}\n")

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    try:
        yield theirs
    finally:
        os.close(theirs)
        thread.join(timeout=10)
        os.close(ours)


def measure(
    name: str, words: list[str], fleet: Fleet, agents: Agents, work: Path, seconds: float
) -> Cost:
    """Run a controller until all nodes are followed, measure it, and let it end."""
    folder = work / name
    folder.mkdir()
    stamps = folder / "stamps"
    streamed = name == "view"
    view_words = ["--view", str(stamps)] if streamed else []
    agents.end(done=False)
    before = sessions(fleet)
    environment = controller_environment(folder, folder / "tasks")
    for unwanted in ("ANSIBLE_CALLBACKS_ENABLED", "ANSIBLE_CALLBACK_PLUGINS", "ANSIBLE_NOCOLOR"):
        environment.pop(unwanted)
    # Each makes its own connections.
    environment |= {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"), "TERM": "xterm"}
    with terminal(folder / "output", stamps) as output:
        child = subprocess.Popen(
            [sys.executable, __file__, *view_words, "--", *words],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
        deadline = time.monotonic() + START_LIMIT_S
        each = 2 if streamed else 1
        while any(count - before[one] < each for one, count in sessions(fleet).items()):
            if child.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{name}: not all nodes are followed: see {folder / 'output'}")
            time.sleep(1)
        time.sleep(SETTLE_S)
        began, cpu = time.monotonic(), cpu_s(child.pid)
        looks = sum(sessions(fleet).values())
        time.sleep(seconds)
        used, ended = cpu_s(child.pid) - cpu, time.monotonic()
        looks = sum(sessions(fleet).values()) - looks
        agents.end(done=True)
        if child.wait(timeout=START_LIMIT_S):
            sys.exit(f"{name}: exit code {child.returncode}: see {folder / 'output'}")
    late = lateness(stamps, began, ended)
    if not late:
        sys.exit(f"{name}: nothing new was told: see {folder / 'output'}")
    minutes = (ended - began) / 60
    return Cost(used / minutes, looks / minutes, statistics.mean(late), len(late), cpu)


def lateness(stamps: Path, began: float, ended: float) -> list[float]:
    """Return how long after it happened each new thing was known, in seconds."""
    known: dict[tuple[str, str], float] = {}
    for line in stamps.read_text("ascii").splitlines():
        at, name, happened = line.split()
        known.setdefault((name, happened), float(at))
    return [
        at - float(happened)
        for (_, happened), at in known.items()
        if began <= float(happened) and at < ended
    ]


def compare(fleet: Fleet, work: Path, options: argparse.Namespace) -> float:
    """Measure both, print them, and return the ratio."""
    book = playbook(work / "follow.yml", options.every)
    words = [str(book), "-i", str(fleet.inventory()), "-f", str(len(fleet.nodes))]
    costs = {}
    with Agents([node.state for node in fleet.nodes.values()]) as agents:
        for name, command in (
            ("polling", [str(Path(sys.executable).parent / "ansible-playbook"), *words]),
            ("view", words),
        ):
            cost = measure(name, command, fleet, agents, work, options.seconds)
            costs[name] = cost
            print(
                f"{name}: {len(fleet.nodes)} nodes, {cost.cpu_a_minute:.2f} CPU s and "
                f"{cost.looks_a_minute:.0f} commands by ssh a minute; what "
                f"is new is known after {cost.late_s:.1f} s (mean, n={cost.news}); "
                f"{cost.begin_cpu_s:.1f} CPU s until all are followed",
                flush=True,
            )
    # Where this machine, which is all nodes too, cannot poll as often as it should, what it would
    # cost is by the look.
    wanted = 60 / options.every * len(fleet.nodes)
    often = max(1.0, wanted / costs["polling"].looks_a_minute)
    print(f"polling as often as wanted: {often * costs['polling'].cpu_a_minute:.2f} CPU s a minute")
    return costs["view"].cpu_a_minute / (often * costs["polling"].cpu_a_minute)


def main() -> int:
    """Return 0 where the ratio is within the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long each is measured")
    parser.add_argument("--every", type=int, default=10, help="seconds between two answers")
    parser.add_argument("--view", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.view and os.environ.pop("BENCH_REAPED", ""):
        return view(options.words, options.view)
    if options.view:
        os.environ["BENCH_REAPED"] = "1"
        return reap([sys.executable, __file__, "--view", str(options.view), "--", *options.words])
    if options.words:
        return reap(options.words)
    with tempfile.TemporaryDirectory(prefix="coldproof-bench-") as name:
        fleet = Fleet(Path(name) / "fleet")
        try:
            for number in range(options.nodes):
                node = fleet.add(f"gpu-{number:03d}", up=False)
                with (node.folder / "sshd_config").open("a", encoding="utf-8") as config:
                    config.write("LogLevel VERBOSE\n")
                node.start()
            ratio = compare(fleet, Path(name), options)
        finally:
            fleet.stop()
    print(f"ratio {ratio:.3f}; target at most {TARGET}")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
