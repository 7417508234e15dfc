"""What the node is: kernel, processor, memory and its limit, whether it is a guest."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import procfs


def virtual() -> bool:
    """Says whether this is a virtual machine: then its disks have a host cache nobody sees.

    The CPU flag ``hypervisor`` (x86) or a DMI vendor of a hypervisor.
    """
    try:
        if " hypervisor" in Path("/proc/cpuinfo").read_text(errors="replace"):
            return True
    except OSError:
        pass
    try:
        vendor = Path("/sys/class/dmi/id/sys_vendor").read_text(errors="replace")
    except OSError:
        return False
    return any(name in vendor for name in ("QEMU", "VMware", "Xen", "Amazon EC2", "Google"))


def memory() -> dict[str, int]:
    """Returns /proc/meminfo in bytes (proc(5))."""
    found = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        fields = rest.split()
        if fields:
            found[name] = int(fields[0]) * (1024 if fields[-1] == "kB" else 1)
    return found


def memory_limit() -> Optional[int]:
    """Returns the least memory limit (bytes) of the cgroups this process is in, v2 or v1."""
    limits = []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            base, name = Path("/sys/fs/cgroup"), "memory.max"
        elif "memory" in controllers.split(","):
            base, name = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
        else:
            continue
        folder = base / group.lstrip("/")
        for one in (folder, *folder.parents):
            try:
                text = (one / name).read_text().strip()
            except OSError:
                continue
            if text.isdigit() and int(text) < 1 << 60:
                limits.append(int(text))
    return min(limits, default=None)


def usable_memory() -> int:
    """Returns the bytes that page cache and processes together can have here."""
    total = memory()["MemTotal"]
    limit = memory_limit()
    return total if limit is None else min(total, limit)


def kills_by_oom() -> int:
    """Returns how often the OOM killer struck since boot (``oom_kill`` of /proc/vmstat)."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def reclaims_idle_pages() -> bool:
    """Says whether DAMON runs: its pageout schemes take idle pages out of the page cache.

    By its kernel threads (kdamond.N); its sysfs is for root only
    (Documentation/admin-guide/mm/damon/usage.rst).
    """
    return any(one.name.startswith("kdamond") for one in procfs.processes().values())


def describe() -> dict[str, Any]:
    """Returns the form of runs.jsonl."""
    cpu = None
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    uname = os.uname()
    return {
        "hostname": uname.nodename,
        "kernel": uname.release,
        "arch": uname.machine,
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "mem_total_bytes": memory()["MemTotal"],
        "mem_limit_bytes": memory_limit(),
        "virtual": virtual(),
        "damon": reclaims_idle_pages(),
        "python": platform.python_version(),
    }
