"""Real machines under QEMU: they boot, reboot, lose their power and lose their network.

A machine has a root disk (a copy-on-write overlay of its release's image), an NVMe disk mounted at
/srv/models, and a network that reaches nothing but lets the controller in at a loopback port. Its
page cache, its kernel and its reboots are real; its disks are files of this host, whose own cache
it cannot see, which is what scope `guest` says.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fleet.nodes import LOOPBACK, FleetError, free_port
from tests.vm.images import Image, accelerator, find
from tests.vm.lan import Cable
from tests.vm.monitor import Monitor

MODELS = "/srv/models"
BOOT_LIMIT_S = 240.0
# Ends QEMU when the lifeline on its standard input closes: with whoever started it, however they
# end. A parent-death signal would go by the thread that started it.
LIFELINE = """
exec 3<&0
"$@" </dev/null 3<&- &
qemu=$!
(cat <&3 >/dev/null; kill -9 $qemu 2>/dev/null) &
wait $qemu
"""
KERNEL_LINE = (
    "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off nokaslr panic=10 fastboot"
    # TERM: systemd asks other terminals for their size, and waits for the answer.
    " TERM=dumb systemd.show_status=0 loglevel=5"
)


@dataclass
class Machine:
    """One virtual machine.

    Attributes:
        folder: everything of this machine: disks, monitor's socket, `console.log`.
        models: folder of this host whose content is on the NVMe disk at first.
        read_mib_s: limit of the NVMe disk; without one the host's cache may make cold look warm.
        lan: its end of the cable to another machine.
        variables: further inventory variables of this host.
    """

    name: str
    image: Image
    folder: Path
    models: Path | None = None
    lan: Cable | None = None
    memory_mib: int = 1536
    cpus: int = 2
    disk_mib: int = 1024
    read_mib_s: int = 32
    port: int = field(default_factory=free_port)
    variables: dict[str, Any] = field(default_factory=dict)
    _qemu: subprocess.Popen[bytes] | None = None

    @property
    def console(self) -> Path:
        """The log of the serial console, over all boots."""
        return self.folder / "console.log"

    @property
    def monitor(self) -> Path:
        """The socket of QEMU's monitor."""
        return self.folder / "monitor"

    @property
    def running(self) -> bool:
        """Whether its QEMU is alive."""
        return self._qemu is not None and self._qemu.poll() is None

    def start(self) -> None:
        """Makes its disks and switches it on; returns at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _run([
            find("qemu-img"), "create", "-q", "-f", "qcow2", "-F", "raw",
            "-b", str(self.image.root), str(self._root),
        ])  # fmt: skip
        content = ["-d", str(self.models)] if self.models else []
        _run([
            find("mke2fs"), "-q", "-t", "ext4", "-L", "models", "-m", "0",
            "-E", "root_owner=0:0", *content, str(self._nvme), f"{self.disk_mib}M",
        ])  # fmt: skip
        self.power_on()

    def power_on(self) -> None:
        """Switches it on with the disks that it has; returns at once."""
        if self.running:
            raise FleetError(f"{self.name} is on already: power_cut() first")
        self.monitor.unlink(missing_ok=True)
        with (self.folder / "qemu.log").open("ab") as log:
            self._qemu = subprocess.Popen(
                ["sh", "-c", LIFELINE, "qemu", *self._command()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for_ssh(self, limit_s: float = BOOT_LIMIT_S) -> float:
        """Returns when it lets in, with the seconds that took.

        Raises:
            FleetError: it did not within `limit_s`; the message ends with its console.
        """
        began = time.monotonic()
        while time.monotonic() - began < limit_s:
            if not self.running:
                raise FleetError(f"{self.name} is off: {self._log('qemu.log')}")
            with contextlib.suppress(FleetError):
                self.ssh("true", limit_s=20)
                return time.monotonic() - began
            time.sleep(0.5)
        raise FleetError(
            f"{self.name} let nobody in within {limit_s:.0f} s; its console ends:\n"
            f"{self.console_tail()}"
        )

    def wait_until_off(self, limit_s: float = 120.0) -> None:
        """Returns when a machine that switches itself off is off. Raises FleetError."""
        began = time.monotonic()
        while self.running:
            if time.monotonic() - began > limit_s:
                raise FleetError(f"{self.name} is still on after {limit_s:.0f} s")
            time.sleep(0.2)

    def ssh(self, command: str, limit_s: float = 60.0, *, may_be_cut: bool = False) -> str:
        """Runs a shell command on it as root, and returns what it printed.

        Args:
            may_be_cut: the command takes the connection with it; that is no error.

        Raises:
            FleetError: the machine was not reached, or the command failed.
        """
        try:
            done = subprocess.run(
                [*self.ssh_command(), command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            if may_be_cut:
                return ""
            raise FleetError(f"{self.name}: no end within {limit_s:.0f} s: {command}") from error
        if done.returncode != 0 and not may_be_cut:
            raise FleetError(f"{self.name}: {command}: {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def put(self, path: Path, there: str) -> None:
        """Copies a file of this host to it, by the same way in.

        Raises:
            FleetError: it was not reached, or cannot take the file.
        """
        done = subprocess.run(
            [*self.ssh_command(), f"cat >{there}"],
            input=path.read_bytes(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise FleetError(f"{self.name}: {there}: {done.stderr.decode(errors='replace')}")

    def ssh_command(self) -> list[str]:
        """Returns the command line by which root gets in; its host key is enforced."""
        known = self.folder / "known_hosts"
        known.write_text(self.known_hosts_line(), encoding="utf-8")
        return [
            "ssh", "-F", "/dev/null", "-p", str(self.port), "-i", str(self.image.client_key),
            *ssh_options(known), "-o", "BatchMode=yes", "-o", "ConnectTimeout=30",
            f"root@{LOOPBACK}",
        ]  # fmt: skip

    def known_hosts_line(self) -> str:
        """Returns the line by which a client knows this machine."""
        kind, key = self.image.host_key.with_suffix(".pub").read_text("utf-8").split()[:2]
        return f"[{LOOPBACK}]:{self.port} {kind} {key}\n"

    def boot_id(self) -> str:
        """Returns the id of the boot that it is in."""
        return self.ssh("cat /proc/sys/kernel/random/boot_id").strip()

    def power_cut(self) -> None:
        """Kills QEMU: what the machine had not written to its disks is gone. Allowed when off."""
        if self._qemu is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._qemu.pid, signal.SIGKILL)
        self._qemu.wait(timeout=30)
        if self._qemu.stdin:
            self._qemu.stdin.close()
        self._qemu = None

    def link(self, up: bool) -> None:
        """Plugs its network cable in, or pulls it; open connections are not told."""
        with Monitor(self.monitor) as monitor:
            monitor.execute("set_link", name="net0", up=up)

    def network_cut(self, seconds: float) -> None:
        """Pulls its network cable for that long."""
        self.link(False)
        try:
            time.sleep(seconds)
        finally:
            self.link(True)

    def close(self) -> None:
        """Switches it off and removes its disks; the logs stay."""
        self.power_cut()
        for path in (self._root, self._nvme, self.monitor):
            path.unlink(missing_ok=True)

    def console_tail(self, lines: int = 40) -> str:
        """Returns the last lines of its serial console."""
        return "\n".join(self._log("console.log").splitlines()[-lines:])

    @property
    def _root(self) -> Path:
        return self.folder / "root.qcow2"

    @property
    def _nvme(self) -> Path:
        return self.folder / "nvme.ext4"

    @property
    def _id(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()[:32]

    def _log(self, name: str) -> str:
        try:
            return (self.folder / name).read_text("utf-8", errors="replace").replace("\r", "")
        except FileNotFoundError:
            return f"no {name}"

    def _command(self) -> list[str]:
        throttle = f"throttling.bps-read={self.read_mib_s << 20}"
        forward = f"hostfwd=tcp:{LOOPBACK}:{self.port}-:22"
        return [
            find("qemu-system-x86_64"), "-name", self.name, "-machine", "q35",
            *accelerator(self.image.kernel), "-smp", str(self.cpus), "-m", str(self.memory_mib),
            "-nodefaults", "-display", "none",
            "-chardev", f"file,id=console,path={self.console},append=on",
            "-serial", "chardev:console",
            # Relative: the path of a socket may not be longer than 107 bytes.
            "-qmp", f"unix:{os.path.relpath(self.monitor)},server=on,wait=off",
            "-device", "virtio-rng-pci",
            "-drive", f"file={self._root},format=qcow2,if=virtio",
            "-drive", f"file={self._nvme},format=raw,if=none,id=models,{throttle}",
            "-device", f"nvme,serial=coldproof-{self.name},drive=models",
            # For a disk that is plugged in later.
            "-device", "pcie-root-port,id=spare,chassis=1",
            "-netdev", f"user,id=net0,restrict=on,{forward}",
            "-device", "virtio-net-pci,netdev=net0",
            *(self.lan.qemu if self.lan else ()),
            "-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd),
            "-append", f"{KERNEL_LINE} systemd.hostname={self.name} systemd.machine_id={self._id}",
        ]  # fmt: skip


def ssh_options(known_hosts: Path) -> list[str]:
    """Returns the options by which ssh trusts these host keys and no others."""
    return [
        "-o", f"UserKnownHostsFile={known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes",
    ]  # fmt: skip


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise FleetError(f"{shutil.which(command[0])}: {done.stderr.decode(errors='replace')}")
