"""What /proc says of processes (proc(5)). Processes that vanish meanwhile are left out."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Optional, Union

from coldproof_agent import redact

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


class Process(NamedTuple):
    """One process: ``starttime`` in clock ticks since boot tells it from a later one of its pid."""

    pid: int
    ppid: int
    session: int
    starttime: int
    name: str
    state: str


def pids() -> Iterator[int]:
    """Yields the ids of all processes visible here."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            yield int(entry)


def process(pid: int) -> Optional[Process]:
    """Returns a process, or None if there is none of that id."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)  # not by Path: it is done for every process
        try:
            text = os.read(fd, 4096)
        finally:
            os.close(fd)
    except OSError:
        return None
    name, _, rest = text.partition(b"(")[2].rpartition(b")")
    state, ppid, _, session, *more = rest.split(None, 20)[:20]
    shown = name.decode("utf-8", "replace")
    return Process(pid, int(ppid), int(session), int(more[15]), shown, state.decode())


def processes() -> dict[int, Process]:
    """Returns all processes by id."""
    found = {}
    for pid in pids():
        one = process(pid)
        if one is not None:
            found[pid] = one
    return found


def children(table: Iterable[Process]) -> dict[int, list[Process]]:
    """Returns processes by the id of their parent."""
    found: dict[int, list[Process]] = {}
    for one in table:
        found.setdefault(one.ppid, []).append(one)
    return found


def descendants(root: int) -> list[Process]:
    """Returns the processes below one, without it; orphans of a subreaper count as its own."""
    below_of = children(processes().values())
    found: list[Process] = []
    queue = [root]
    while queue:
        below = below_of.get(queue.pop(), [])
        found.extend(below)
        queue.extend(one.pid for one in below)
    return found


def read_bytes(pid: int) -> Optional[int]:
    """Returns the bytes a process and its reaped children made storage deliver.

    ``/proc/<pid>/io`` read_bytes: counted when a page is really read from the device.
    None if it may not be looked at or is gone.
    """
    try:
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            if line.startswith("read_bytes:"):
                return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return None


def environment(pid: int) -> list[bytes]:
    """Returns the NAME=value words a process was started with; none if one may not look."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def cgroup(pid: int) -> Optional[str]:
    """Returns the control groups of a process as /proc/<pid>/cgroup has them, None if unknown."""
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(errors="replace")
    except OSError:
        return None


def takes_default(pid: int, number: int) -> bool:
    """Says whether a process neither handles, ignores nor blocks a signal (proc_pid_status(5)).

    False if that cannot be known.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return False
    masks = [
        int(line.split()[1], 16) for line in lines if line[:6] in ("SigBlk", "SigIgn", "SigCgt")
    ]
    return len(masks) == 3 and not any(mask >> (number - 1) & 1 for mask in masks)


def command(pid: int) -> str:
    """Returns a process's command line, secrets hidden, at most 120 characters, or its name."""
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        data = b""
    words = data.decode("utf-8", "replace").rstrip("\0").split("\0")
    text = " ".join(redact.hide_argv(words, [])).strip()
    one = process(pid)
    return (text or (one.name if one else "?"))[:120]


def boot_id() -> str:
    """Returns the kernel's random id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def mappers(inodes: set[tuple[int, int]], skip: int = 0) -> dict[int, int]:
    """Finds who maps any of some files.

    Args:
        inodes: (device, inode) of the files.
        skip: a process id to leave out.

    Returns:
        by process id, the number of mappings. Processes of other owners cannot be looked into
        without privilege and are missing.
    """
    wanted = {f"{os.major(dev):02x}:{os.minor(dev):02x} {inode}" for dev, inode in inodes}
    found: dict[int, int] = {}
    for pid in pids():
        if pid == skip:
            continue
        try:
            lines = Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()
        except OSError:
            continue
        count = sum(1 for line in lines if " ".join(line.split(None, 5)[3:5]) in wanted)
        if count:
            found[pid] = count
    return found


def listeners(port: int, address: str = "") -> set[int]:
    """Returns the socket inodes that listen on a TCP port, IPv4 and IPv6.

    Args:
        port: the port.
        address: an IP address: only sockets that take connections to it. Else those of any.
    """
    try:
        wanted: Optional[_Address] = ipaddress.ip_address(address)
    except ValueError:
        wanted = None
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            where, _, number = fields[1].rpartition(":")
            if fields[3] == "0A" and int(number, 16) == port and _takes(where, wanted):
                inodes.add(int(fields[9]))
    return inodes


def _takes(where: str, wanted: Optional[_Address]) -> bool:
    """Says whether a socket bound to an address (32-bit words in host order) serves another."""
    if wanted is None or wanted.is_unspecified:
        return True
    raw = bytes.fromhex(where)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    bound = ipaddress.ip_address(raw)
    mapped = getattr(bound, "ipv4_mapped", None)
    if bound.is_unspecified:
        return bound.version >= wanted.version  # [::] takes IPv4 too
    return wanted in (bound, mapped)


def sockets(pid: int) -> set[int]:
    """Returns the inodes of the sockets a process has open; none if one may not look."""
    found: set[int] = set()
    try:
        entries = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return found
    for entry in entries:
        kind, _, inode = (link(pid, int(entry)) or "").partition(":")
        if kind == "socket":
            found.add(int(inode.strip("[]")))
    return found


def link(pid: int, descriptor: int) -> Optional[str]:
    """Returns what a descriptor is open on, a path or ``pipe:[inode]``; None if unknown."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except OSError:
        return None
