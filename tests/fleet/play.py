"""Runs playbooks of the checkout as a user does, and keeps what they said and did."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 280
# These run on the controller, whatever the host.
CONTROLLER_ACTIONS = {
    "assert", "collector", "debug", "fail", "include_role", "include_tasks", "meta", "set_fact",
    "settings",
}  # fmt: skip


@dataclass(frozen=True)
class Play:
    """A finished ansible-playbook.

    Attributes:
        tasks: one dictionary for each result, in order, as tests/fleet/callbacks writes them.
        reports: the folder `reports` of its working directory.
    """

    code: int
    output: str
    tasks: list[dict[str, Any]]
    reports: Path

    def remote_tasks(self, host: str) -> list[dict[str, Any]]:
        """Returns the results of tasks that went to the node itself, without repeated polls."""
        return [
            task
            for task in self.tasks
            if task["host"] == host
            and task["delegated"] is None
            and task["event"] not in ("skipped", "retry")
            and task["action"].rpartition(".")[2] not in CONTROLLER_ACTIONS
        ]

    def named(self, name: str) -> list[dict[str, Any]]:
        """Returns the results of the task whose name ends so, skipped ones left out."""
        return [
            task
            for task in self.tasks
            if task["task"].endswith(name) and task["event"] not in ("skipped", "retry")
        ]

    def recap(self) -> dict[str, dict[str, int]]:
        """Returns the counts of PLAY RECAP by host."""
        _, _, text = self.output.rpartition("PLAY RECAP")
        rows = re.findall(r"^(\S+)\s+: (ok=.*)$", re.sub(r"\x1b\[[0-9;]*m", "", text), re.M)
        return {
            host: {key: int(count) for key, count in re.findall(r"(\w+)=(\d+)", counts)}
            for host, counts in rows
        }

    def campaign(self) -> Path:
        """Returns the folder of the only campaign."""
        folders = [path.parent for path in self.reports.glob("[0-9]*/campaign.json")]
        assert len(folders) == 1, f"{folders}\n{self.output}"
        return folders[0]

    def outcomes(self) -> dict[str, dict[str, Any]]:
        """Returns what campaign.json says of each node."""
        text = (self.campaign() / "campaign.json").read_text("utf-8")
        nodes: dict[str, dict[str, Any]] = json.loads(text)["nodes"]
        return nodes

    def report(self) -> str:
        """Returns the Markdown report of the only campaign."""
        return (self.campaign() / "storage_load_bench.md").read_text("utf-8")


def run_playbook(
    directory: Path,
    inventory: Path | None,
    *arguments: str,
    playbook: str = "probe.yml",
    environment: dict[str, str] | None = None,
    limit_s: float = LIMIT_S,
) -> Play:
    """Runs a playbook in the working directory `directory`, limited to gpu-nodes."""
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "tasks.jsonl"
    log.unlink(missing_ok=True)
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(ROOT / playbook)]
    command += ["-i", str(inventory)] if inventory else []
    done = subprocess.run(
        [*command, "-l", "gpu-nodes", *arguments],
        cwd=directory,
        env=controller_environment(directory, log) | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=limit_s,
        check=False,
    )
    lines = log.read_text("utf-8").splitlines() if log.exists() else []
    tasks = [json.loads(line) for line in lines]
    return Play(done.returncode, done.stdout, tasks, directory / "reports")


def controller_environment(directory: Path, log: Path) -> dict[str, str]:
    """Returns the environment of a controller that works in `directory`, with a log of tasks."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return kept | {
        "PWD": str(directory),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": f"{ROOT}/plugins/callback:{ROOT}/tests/fleet/callbacks",
        "ANSIBLE_CALLBACKS_ENABLED": "task_log",
        "ANSIBLE_NOCOLOR": "1",
        "FLEET_TASK_LOG": str(log),
    }
