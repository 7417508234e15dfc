"""What /proc says of processes (proc(5)). Processes that vanish meanwhile are left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional


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
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]), name, fields[0])


def processes() -> dict[int, Process]:
    """Returns all processes by id."""
    found = {}
    for pid in pids():
        one = process(pid)
        if one is not None:
            found[pid] = one
    return found


def descendants(root: int) -> list[Process]:
    """Returns the processes below one, without it; orphans of a subreaper count as its own."""
    table = processes()
    children: dict[int, list[Process]] = {}
    for one in table.values():
        children.setdefault(one.ppid, []).append(one)
    found: list[Process] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
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


def command(pid: int) -> str:
    """Returns a process's command line, at most 120 characters, or its name."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        words = []
    text = b" ".join(words).decode("utf-8", "replace").strip()
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


def listeners(port: int) -> set[int]:
    """Returns the socket inodes that listen on a TCP port, any address, IPv4 and IPv6."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(int(fields[9]))
    return inodes


def holds_socket(pid: int, inodes: set[int]) -> bool:
    """Says whether a process has one of some sockets open."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    try:
        entries = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for entry in entries:
        try:
            if os.readlink(f"/proc/{pid}/fd/{entry}") in wanted:
                return True
        except OSError:
            continue
    return False
