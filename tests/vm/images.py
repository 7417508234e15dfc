"""Disk images of Debian machines, built once for each release and recipe, then kept in a cache.

The recipe is the folder `image/`. Its digest names the image, so a changed recipe builds a new
one. `COLDPROOF_VM_MIRROR` names another mirror of Debian.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fleet.nodes import FleetError

RECIPE = Path(__file__).resolve().parent / "image"
RELEASES = ("bookworm", "trixie")
MIRROR = "http://deb.debian.org/debian"
BUILD_LIMIT_S = 900
# Further packages for suites that need them, as `podman,crun,conmon`.
EXTRA = os.environ.get("COLDPROOF_VM_EXTRA", "")
# A kernel that boots under KVM says so within seconds; one that hangs must not hold up the tests.
KVM_LIMIT_S = 20
UNUSED_DAYS = 14
SBIN = ":/usr/sbin:/sbin"


@dataclass(frozen=True)
class Image:
    """A Debian release as an ext4 file system, the kernel and initrd that boot it, and its keys."""

    release: str
    folder: Path

    @property
    def root(self) -> Path:
        """The root file system, a raw ext4 image. Only ever a backing file."""
        return self.folder / "root.ext4"

    @property
    def kernel(self) -> Path:
        """The kernel, for direct boot."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initrd that finds the root disk."""
        return self.folder / "initrd"

    @property
    def client_key(self) -> Path:
        """The private key that lets in as root."""
        return self.folder / "client_key"

    @property
    def host_key(self) -> Path:
        """The private host key; machines of one image share it."""
        return self.folder / "host_key"


def cache_folder() -> Path:
    """Returns the folder in which images are kept between runs."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "coldproof/vm"


def recipe_digest() -> str:
    """Returns a digest of every file of the recipe, and of the packages added to it."""
    digest = hashlib.sha256(EXTRA.encode())
    for path in sorted(path for path in RECIPE.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(RECIPE)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def image(release: str) -> Image:
    """Returns the image of a Debian release, from the cache or built now (a minute or two).

    Raises:
        FleetError: it cannot be built; the message holds the end of the build's log.
    """
    if release not in RELEASES:
        raise FleetError(f"no recipe for {release!r}: choose one of {', '.join(RELEASES)}")
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{release}-{recipe_digest()}"
    with (cache / f"{release}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _build(release, folder)
        os.utime(folder)
        _remove_unused(cache)
    return Image(release, folder)


def _build(release: str, folder: Path) -> None:
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    log = folder.with_suffix(".log")
    mirror = os.environ.get("COLDPROOF_VM_MIRROR", MIRROR)
    with log.open("wb") as output:
        done = subprocess.run(
            ["bash", str(RECIPE / "build.sh"), release, str(unfinished), mirror],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=BUILD_LIMIT_S,
            check=False,
        )
    if done.returncode != 0:
        tail = "".join(log.read_text("utf-8", errors="replace").splitlines(True)[-20:])
        raise FleetError(
            f"the image of {release} was not built: run tests/setup/vm-packages.sh, and see that "
            f"{mirror} can be reached (COLDPROOF_VM_MIRROR names another); {log} ends:\n{tail}"
        )
    unfinished.rename(folder)


def _remove_unused(cache: Path) -> None:
    oldest = time.time() - UNUSED_DAYS * 86400
    for folder in cache.glob("*-*"):
        if folder.is_dir() and folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)


def find(program: str) -> str:
    """Returns the path of a program that the fleet needs."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + SBIN)
    if found is None:
        raise FleetError(f"{program} is not installed: run tests/setup/vm-packages.sh")
    return found


@functools.cache
def accelerator(kernel: Path) -> tuple[str, ...]:
    """Returns QEMU's arguments for the fastest processor that really boots `kernel`.

    A /dev/kvm that can be opened proves nothing: nested ones refuse registers or hang. So the
    kernel is booted without a root disk, and has to get as far as its panic about that.
    """
    if os.access("/dev/kvm", os.R_OK | os.W_OK) and _boots_with_kvm(kernel):
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", "tcg,thread=multi", "-cpu", "max")


def _boots_with_kvm(kernel: Path) -> bool:
    command = [
        find("qemu-system-x86_64"), "-machine", "q35", "-accel", "kvm", "-cpu", "host",
        "-m", "512", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
        "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=KVM_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return b"Kernel panic" in done.stdout
