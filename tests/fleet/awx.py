"""A job as AWX lays it out and runs it: ansible-runner in a private folder of the job.

Layout, environment and arguments are those of AWX's ``awx/main/tasks/jobs.py``
(``build_private_data_dir``, ``build_env``, ``build_args``, ``build_extra_vars_file``). What is
missing is the container around it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner
import yaml

from tests.checkout import copy_tree
from tests.fleet.nodes import Fleet, Node

# A host that is no node.
ARCHIVE = "archive"
PATHS = {
    "ANSIBLE_ROLES_PATH": ("requirements_roles", "roles", "~/.ansible/roles"),
    "ANSIBLE_CALLBACK_PLUGINS": ("plugins_path", "plugins/callback", "~/.ansible/plugins"),
}


class Unsafe(str):
    """Text in which no template is looked for: extra variables of a launch are such."""


yaml.SafeDumper.add_representer(
    Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text))
)


@dataclass(frozen=True)
class Job:
    """A job that ended.

    Attributes:
        folder: its private folder, which AWX removes afterwards.
        status: ``successful``, ``failed`` or ``canceled``.
    """

    folder: Path
    status: str
    code: int
    output: str

    @property
    def project(self) -> Path:
        """Its copy of the project, which is its working directory."""
        return self.folder / "project"


def launch(
    folder: Path,
    fleet: Fleet,
    node: Node,
    extra_vars: dict[str, Any],
    *arguments: str,
    playbook: str = "probe.yml",
    limit: str = "gpu-nodes",
    cancel: Callable[[], bool] = lambda: False,
) -> Job:
    """Runs one job on one node, in a private folder whose project may be there already."""
    copy_tree(folder / "project", "tests/", "reports/")
    _write_inventory(folder / "inventory/hosts", fleet, node)
    user = str(fleet.connection()["ansible_user"])
    env = folder / "env"
    env.mkdir()
    meta = {"awx_job_id": 17, "awx_job_template_name": "coldproof", "tower_job_id": 17}
    marked = {name: Unsafe(v) if isinstance(v, str) else v for name, v in extra_vars.items()}
    (env / "extravars").write_text(yaml.safe_dump(marked | meta), encoding="utf-8")
    words = ["-u", user, "-l", limit, *arguments]
    (env / "cmdline").write_text(ansible_runner.utils.args2cmdline(*words), encoding="utf-8")
    settings = {"job_timeout": 0, "suppress_ansible_output": True}
    (env / "settings").write_text(json.dumps(settings), encoding="utf-8")
    with _no_settings_of_the_caller():
        done = ansible_runner.run(
            private_data_dir=str(folder),
            ident="17",
            playbook=playbook,
            inventory=str(folder / "inventory/hosts"),
            envvars=_environment(folder),
            ssh_key=fleet.client_key.read_text("utf-8"),
            cancel_callback=cancel,
        )
    return Job(folder, done.status, done.rc, done.stdout.read())


@contextlib.contextmanager
def _no_settings_of_the_caller() -> Iterator[None]:
    """Takes Ansible's variables out of the environment: a container would have none of them."""
    taken = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith("ANSIBLE_")}
    try:
        yield
    finally:
        os.environ.update(taken)


def _environment(folder: Path) -> dict[str, str]:
    paths = {
        name: os.pathsep.join([str(folder / own), *others])
        for name, (own, *others) in PATHS.items()
    }
    (folder / "cp").mkdir(mode=0o700)
    return paths | {
        "AWX_PRIVATE_DATA_DIR": str(folder),
        "JOB_ID": "17",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        # Of AWX's settings, as docs/how-to/awx.md says to set it.
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        # The image's entrypoint is a shell, which sets it to the working directory.
        "PWD": str(folder / "project"),
        "PYTHONPATH": "",
    }


def _write_inventory(path: Path, fleet: Fleet, node: Node) -> None:
    fleet.inventory(node.name)
    connection = fleet.connection()
    # The key comes from the agent that the job's credential is loaded into.
    for unwanted in ("ansible_ssh_private_key_file", "ansible_user"):
        del connection[unwanted]
    arguments = str(connection["ansible_ssh_common_args"]).replace(" -o IdentitiesOnly=yes", "")
    own = {"ansible_port": node.port, "coldproof_state_dir": str(node.state), **node.variables}
    python = connection["ansible_python_interpreter"]
    local = {"ansible_connection": "local", "ansible_python_interpreter": python}
    data = {
        "_meta": {"hostvars": {node.name: own, ARCHIVE: local}},
        "all": {"hosts": [ARCHIVE]},
        "gpu-nodes": {
            "hosts": [node.name],
            "vars": connection | fleet.variables | {"ansible_ssh_common_args": arguments},
        },
    }
    path.parent.mkdir()
    path.write_text(f"#! /usr/bin/env python3\nprint({json.dumps(data)!r})\n", encoding="utf-8")
    path.chmod(0o700)
