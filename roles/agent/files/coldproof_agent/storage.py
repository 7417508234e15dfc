"""Where files lie: mount, filesystem, and the block devices below it from top to leaf."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple, Optional

_SYS = Path("/sys/dev/block")
NETWORK = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ceph",
        "glusterfs",
        "lustre",
        "beegfs",
        "gpfs",
        "9p",
        "afs",
        "virtiofs",
        "fuse.s3fs",
        "fuse.gcsfuse",
        "fuse.goofys",
        "fuse.rclone",
        "fuse.sshfs",
        "fuse.juicefs",
        "fuse.mount-s3",
        "fuse.glusterfs",
        "fuse.blobfuse2",
    ]
)
MEMORY = frozenset({"tmpfs", "ramfs", "hugetlbfs"})


class Mount(NamedTuple):
    """One line of /proc/self/mountinfo (proc(5))."""

    point: str
    filesystem: str
    source: str
    device: str
    options: str


class Device(NamedTuple):
    """One block device: its role is ``top``, ``leaf``, ``middle`` or ``top+leaf``."""

    name: str
    role: str


def mount_of(path: str) -> Mount:
    """Returns the mount a path lies on, by the kernel's own id of it (proc(5), fdinfo mnt_id).

    Not by the longest mount point: one mount can hide another.
    """
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        info = Path(f"/proc/self/fdinfo/{fd}").read_text()
    finally:
        os.close(fd)
    wanted = next(line.split()[1] for line in info.splitlines() if line.startswith("mnt_id:"))
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fields, rest = left.split(" "), right.split(" ")
        if fields[0] == wanted:
            options = rest[2] if len(rest) > 2 else ""
            return Mount(_unescaped(fields[4]), rest[0], _unescaped(rest[1]), fields[2], options)
    raise OSError(2, "its mount is not listed", path)


def _unescaped(text: str) -> str:
    """Returns a field of mountinfo with its octal escapes (space, tab, newline, backslash) read."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def devices_of(path: str) -> list[Device]:
    """Returns the block devices that hold a path, from top to leaf; empty if none can be named.

    Partitions count as their whole disk. A loop device's leaf is the device its file lies on.
    overlayfs has none: a file may lie in any layer. btrfs is named by its mount's source.
    """
    mount = mount_of(path)
    if mount.filesystem in MEMORY or mount.filesystem in NETWORK or mount.filesystem == "overlay":
        return []
    info = os.stat(path)
    entry = _SYS / f"{os.major(info.st_dev)}:{os.minor(info.st_dev)}"
    if not entry.exists() and mount.source.startswith("/dev/"):
        try:
            source = os.stat(mount.source).st_rdev
        except OSError:
            return []
        entry = _SYS / f"{os.major(source)}:{os.minor(source)}"
    if not entry.exists():
        return []
    found: list[Device] = []
    _descend(entry.resolve(), True, found)
    return found


def _descend(entry: Path, top: bool, found: list[Device]) -> None:
    if (entry / "partition").exists():
        entry = entry.parent
    below = sorted((entry / "slaves").iterdir()) if (entry / "slaves").is_dir() else []
    backing = entry / "loop" / "backing_file"
    loop: list[Device] = []
    if backing.exists():
        try:
            loop = devices_of(backing.read_text().strip())
        except OSError:
            loop = []
    leaf = not below and not backing.exists()
    role = ("top+leaf" if leaf else "top") if top else ("leaf" if leaf else "middle")
    if entry.name not in {one.name for one in found}:
        found.append(Device(entry.name, role))
    for one in below:
        _descend(one.resolve(), False, found)
    for device in loop:
        if device.name not in {one.name for one in found}:
            found.append(device._replace(role="leaf" if "leaf" in device.role else "middle"))


def numbers_below(number: str) -> set[str]:
    """Returns the block devices below one, each as ``major:minor`` like the argument."""
    entry = _SYS / number
    found: list[Device] = []
    if entry.exists():
        _descend(entry.resolve(), True, found)
    numbers = {_text(Path("/sys/class/block") / one.name / "dev") for one in found}
    return {one for one in numbers if one} - {number}


def read_bytes(name: str) -> Optional[int]:
    """Returns the bytes a block device has read since boot (Documentation/block/stat.rst)."""
    try:
        fields = Path(f"/sys/class/block/{name}/stat").read_text().split()
        return int(fields[2]) * 512
    except (OSError, ValueError, IndexError):
        return None


def nfs_read_bytes(point: str) -> Optional[int]:
    """Returns the bytes an NFS mount has fetched from its server (``bytes:`` of mountstats)."""
    inside = False
    try:
        lines = Path("/proc/self/mountstats").read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("device "):
            inside = f" mounted on {point} with fstype nfs" in line
        elif inside and line.strip().startswith("bytes:"):
            return int(line.split()[5])  # serverreadbytes
    return None


def _text(path: Path) -> Optional[str]:
    try:
        return path.read_text(errors="replace").strip() or None
    except OSError:
        return None


def describe(path: str, guest: bool) -> dict[str, Any]:
    """Returns the form of runs.jsonl.

    Args:
        path: a file or folder on the storage.
        guest: whether this is a virtual machine, where the host's cache is unknown.
    """
    mount = mount_of(path)
    devices = devices_of(path)
    facts: dict[str, Any] = {
        "mount": mount.point,
        "filesystem": mount.filesystem,
        "source": mount.source,
        "devices": [one.name for one in devices],
        "network": mount.filesystem in NETWORK,
        "memory": mount.filesystem in MEMORY,
        "virtual": bool(devices) and guest,
        "model": None,
        "read_ahead_kb": None,
        "scheduler": None,
        "pcie": None,
    }
    leaf = next((one.name for one in devices if "leaf" in one.role), None)
    if leaf:
        block = Path("/sys/class/block") / leaf
        kb = _text(block / "queue/read_ahead_kb")
        facts["read_ahead_kb"] = int(kb) if kb and kb.isdigit() else None
        facts["scheduler"] = _text(block / "queue/scheduler")
        facts["model"] = _text(block / "device/model")
        facts["firmware"] = _text(block / "device/firmware_rev")
        facts["rotational"] = _text(block / "queue/rotational") == "1"
        facts["pcie"] = pcie_link((block / "device").resolve())
    return facts


def pcie_link(device: Path) -> Optional[dict[str, Optional[str]]]:
    """Returns the PCIe link of a device: present and greatest speed and width (sysfs-bus-pci)."""
    for folder in (device, *device.parents):
        if (folder / "current_link_speed").exists():
            return {
                name: _text(folder / name)
                for name in (
                    "current_link_speed",
                    "max_link_speed",
                    "current_link_width",
                    "max_link_width",
                )
            }
    return None
