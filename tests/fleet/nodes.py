"""Real OpenSSH nodes on loopback ports: each with its own host key, state folder and models.

A node is an unprivileged `sshd` that runs as whoever runs the tests. It can be stopped and started
again, so that tests can cut connections, and it can be declared without ever being started.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

LOOPBACK = "127.0.0.1"
START_LIMIT_S = 10.0


class FleetError(Exception):
    """The test bed itself does not work."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Returns a port (TCP, unless told) of the loopback address that is not in use just now."""
    with socket.socket(type=kind) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def find_sshd() -> str:
    """Returns the path of sshd, which has to be called by an absolute one."""
    found = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise FleetError("sshd is not installed: run tests/setup/packages.sh")
    return found


@dataclass
class Node:
    """One host of the inventory, and the sshd behind it.

    Attributes:
        folder: everything of this node: keys, log, `state/`, `models/`.
        variables: further inventory variables of this host.
    """

    name: str
    folder: Path
    authorized_key: Path
    port: int = field(default_factory=free_port)
    variables: dict[str, Any] = field(default_factory=dict)
    _server: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        """The node's coldproof_state_dir."""
        return self.folder / "state"

    @property
    def host_key(self) -> Path:
        """The node's private host key."""
        return self.folder / "host_key"

    def known_hosts_line(self) -> str:
        """Returns the line by which a client knows this node."""
        kind, key = self.host_key.with_suffix(".pub").read_text("utf-8").split()[:2]
        return f"[{LOOPBACK}]:{self.port} {kind} {key}\n"

    def prepare(self) -> None:
        """Writes keys and sshd's configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        make_key(self.host_key)
        (self.folder / "sshd_config").write_text(
            f"ListenAddress {LOOPBACK}\n"
            f"Port {self.port}\n"
            f"HostKey {self.host_key}\n"
            f"AuthorizedKeysFile {self.authorized_key}.pub\n"
            f"PidFile {self.folder}/sshd.pid\n"
            "PermitRootLogin prohibit-password\n"
            "PasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\n"
            "StrictModes no\n"
            "UsePAM no\n"
            "PrintMotd no\n"
            "MaxStartups 100\n"
            "Subsystem sftp internal-sftp\n",
            encoding="utf-8",
        )

    def start(self) -> None:
        """Starts sshd and returns when it answers."""
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        with (self.folder / "sshd.log").open("ab") as log:
            self._server = subprocess.Popen(
                [find_sshd(), "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and self._server.poll() is None:
            try:
                with socket.create_connection((LOOPBACK, self.port), timeout=1) as answer:
                    if answer.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(0.05)
        raise FleetError(f"{self.name}: no sshd: {(self.folder / 'sshd.log').read_text('utf-8')}")

    def cut(self) -> None:
        """Ends sshd and every connection that it holds; what they started lives on."""
        if self._server is None:
            return
        pid = self._server.pid
        sessions = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        self.stop()
        for session in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(session), signal.SIGKILL)

    def freeze(self) -> None:
        """Makes sshd and its connections silent, without a word to whoever waits for them."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets what was frozen go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._server is not None:
            pid = self._server.pid
            sessions = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
            for one in (pid, *map(int, sessions)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, number)

    def stop(self) -> None:
        """Ends sshd. Connections that are open stay, as when a real sshd is restarted."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(timeout=START_LIMIT_S)
            self._server = None


@dataclass
class Fleet:
    """Nodes with one client key, one known_hosts and one inventory."""

    folder: Path
    nodes: dict[str, Node] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        make_key(self.client_key)

    @property
    def client_key(self) -> Path:
        """The private key that all nodes let in."""
        return self.folder / "client_key"

    @property
    def known_hosts(self) -> Path:
        """Host keys of all nodes; they are enforced."""
        return self.folder / "known_hosts"

    def add(self, name: str, *, up: bool = True, **variables: Any) -> Node:
        """Adds a node; with `up` false nothing ever listens at its port."""
        node = Node(name, self.folder / name, self.client_key, variables=variables)
        node.prepare()
        self.nodes[name] = node
        if up:
            node.start()
        return node

    def inventory(self, *names: str) -> Path:
        """Writes an inventory of these nodes (of all, without names) and returns its path."""
        chosen = [self.nodes[name] for name in names or self.nodes]
        self.known_hosts.write_text(
            "".join(node.known_hosts_line() for node in self.nodes.values()), encoding="utf-8"
        )
        hosts = {node.name: self._host(node) for node in chosen}
        path = self.folder / f"inventory-{'-'.join(names) or 'all'}.yml"
        content = {"gpu-nodes": {"hosts": hosts, "vars": self.connection() | self.variables}}
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def stop(self) -> None:
        """Ends every sshd."""
        for node in self.nodes.values():
            node.stop()

    def connection(self) -> dict[str, Any]:
        """Returns the inventory variables by which every node is reached."""
        return {
            "ansible_connection": "ssh",
            "ansible_host": LOOPBACK,
            "ansible_user": pwd.getpwuid(os.geteuid()).pw_name,
            "ansible_ssh_private_key_file": str(self.client_key),
            "ansible_ssh_common_args": (
                f"-F /dev/null -o UserKnownHostsFile={self.known_hosts}"
                " -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes"
                " -o IdentitiesOnly=yes"
            ),
            # Only root's sshd may give a terminal to a session.
            "ansible_ssh_use_tty": os.geteuid() == 0,
            "ansible_python_interpreter": os.path.realpath(sys.executable),
        }

    @staticmethod
    def _host(node: Node) -> dict[str, Any]:
        own = {"ansible_port": node.port, "coldproof_state_dir": str(node.state)}
        return own | node.variables


def make_key(path: Path) -> None:
    """Writes an ed25519 key pair, unless it is there."""
    if not path.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)],
            check=True,
            stdin=subprocess.DEVNULL,
        )


def processes_of(node: Node) -> list[str]:
    """Returns processes that name the node's state folder or a run on it.

    Polls are left out: a killed controller's worker may go on asking for the status for a while.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        marks = (f"{node.state}/".encode(), f".{node.name}.0".encode())
        polls = b"sshd" in words or b"/status.json" in words
        if any(mark in words for mark in marks) and not polls:
            found.append(words.decode("utf-8", "replace")[:200])
    return found
