"""Controller CPU and remote tasks of probe.yml per node, beside as many `ping` tasks.

Makes a fleet of sshd nodes on loopback (``--nodes``, default 20), measures a model of 4 MiB on each
with probe.yml, then runs a playbook of ``ansible.builtin.ping`` with as many remote tasks on the
same nodes with the same forks, and prints both with their ratio. CPU is user and system time of
ansible-playbook and everything that it started (the ssh clients too), by wait4(2); what nodes do is
not in it, because sshd and the agents are not its children. Polls count as the tasks they are.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.fleet.models import write_model  # noqa: E402
from tests.fleet.nodes import Fleet  # noqa: E402
from tests.fleet.play import CONTROLLER_ACTIONS, controller_environment  # noqa: E402

TARGET = 1.5


@dataclass(frozen=True)
class Cost:
    """What one ansible-playbook cost: CPU seconds, and remote tasks by host, polls included."""

    cpu_s: float
    tasks: dict[str, int]


def run(directory: Path, inventory: Path, playbook: Path, forks: int) -> Cost:
    """Runs a playbook and returns what it cost; ends if it fails."""
    directory.mkdir(parents=True)
    log = directory / "tasks.jsonl"
    with (directory / "output").open("wb") as output:
        child = subprocess.Popen(
            [
                *(str(Path(sys.executable).parent / "ansible-playbook"), str(playbook)),
                *("-i", str(inventory), "-l", "gpu-nodes", "-f", str(forks)),
            ],
            cwd=directory,
            # Each run makes its own connections, whatever an earlier one left open.
            env=controller_environment(directory, log)
            | {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(directory / "cp")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{playbook}: exit code {child.returncode}: see {directory / 'output'}")
    tasks: dict[str, int] = {}
    for line in log.read_text("utf-8").splitlines():
        one = json.loads(line)
        if one["event"] != "skipped" and one["action"].rpartition(".")[2] not in CONTROLLER_ACTIONS:
            tasks[one["host"]] = tasks.get(one["host"], 0) + 1
    return Cost(usage.ru_utime + usage.ru_stime, tasks)


def ping_playbook(path: Path, tasks: int) -> Path:
    """Writes a playbook of so many ping tasks and returns its path."""
    ping = [{"name": f"Ping {number}", "ansible.builtin.ping": {}} for number in range(tasks)]
    play = {"name": "Ping", "hosts": "gpu-nodes", "gather_facts": False, "tasks": ping}
    path.write_text(json.dumps([play]), encoding="utf-8")
    return path


def compare(fleet: Fleet, work: Path, forks: int, repeats: int) -> list[float]:
    """Runs probe.yml and the pings in turns. Prints each and returns the ratios."""
    ratios = []
    nodes = len(fleet.nodes)
    inventory = fleet.inventory()
    for turn in range(repeats):
        probe = run(work / f"probe-{turn}", inventory, ROOT / "probe.yml", forks)
        tasks = round(statistics.mean(probe.tasks.values()))
        pings = ping_playbook(work / f"ping-{turn}.yml", tasks)
        ping = run(work / f"ping-{turn}", inventory, pings, forks)
        ratios.append(probe.cpu_s / ping.cpu_s)
        print(
            f"{nodes} nodes: probe.yml {probe.cpu_s / nodes:.3f} CPU s and {tasks} remote tasks a "
            f"node (polls too); {tasks} pings {ping.cpu_s / nodes:.3f} CPU s a node; "
            f"ratio {ratios[-1]:.2f}",
            flush=True,
        )
    return ratios


def main() -> int:
    """Returns 0 where the median ratio is within the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--forks", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="coldproof-bench-") as name:
        work = Path(name)
        fleet = Fleet(work / "fleet")
        fleet.variables = {
            "coldproof_engine": "reference",
            "coldproof_model": "random-4m",
            "coldproof_max_model_len": 2048,
            "coldproof_repeats": 1,
            "coldproof_node_drained": True,
        }
        try:
            for number in range(options.nodes):
                node = fleet.add(f"gpu-{number:03d}")
                node.variables["coldproof_model_path"] = str(write_model(node.folder / "m", mib=4))
            ratios = compare(fleet, work, options.forks, options.repeats)
        finally:
            fleet.stop()
    median = statistics.median(ratios)
    print(
        f"median ratio {median:.2f} (n={len(ratios)}, {min(ratios):.2f} to {max(ratios):.2f}); "
        f"target at most {TARGET}"
    )
    return 0 if median <= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
