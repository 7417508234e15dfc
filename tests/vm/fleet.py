"""Machines with one inventory, as a user writes it for nodes that root gets in to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.fleet.nodes import LOOPBACK
from tests.vm.images import Image
from tests.vm.lan import Cable
from tests.vm.machines import Machine, ssh_options


@dataclass
class Machines:
    """Machines with one inventory.

    Attributes:
        other_end: of the first machine's cable, for one that is added later.
    """

    folder: Path
    machines: dict[str, Machine] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    other_end: Cable | None = None

    def add(self, name: str, image: Image, **attributes: Any) -> Machine:
        """Adds a machine, which is off until its start()."""
        machine = Machine(name, image, self.folder / name, **attributes)
        self.machines[name] = machine
        return machine

    def inventory(self, *names: str) -> Path:
        """Writes an inventory of these machines (of all, without names) and returns its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        chosen = [self.machines[name] for name in names or self.machines]
        known = self.folder / "known_hosts"
        known.write_text("".join(machine.known_hosts_line() for machine in chosen), "utf-8")
        hosts = {
            machine.name: {
                "ansible_port": machine.port,
                "ansible_ssh_private_key_file": str(machine.image.client_key),
                **machine.variables,
            }
            for machine in chosen
        }
        connection = {
            "ansible_connection": "ssh",
            "ansible_host": LOOPBACK,
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_common_args": " ".join(["-F", "/dev/null", *ssh_options(known)]),
        }
        path = self.folder / f"inventory-{'-'.join(names) or 'all'}.yml"
        content = {"gpu-nodes": {"hosts": hosts, "vars": connection | self.variables}}
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def close(self) -> None:
        """Switches all of them off and removes their disks."""
        for machine in self.machines.values():
            machine.close()
