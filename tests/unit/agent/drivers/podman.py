"""A podman that really runs containers here, on storage of its own, or the reason why none does.

Where the control groups are not version 2 alone, as in many sandboxes, it runs in a mount namespace
that has them so: without controllers, but with processes, cgroup.kill and all else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

IMAGE = "localhost/coldproof-test:1"
# What a sandbox that may not raise limits or use controllers lets a container have.
MODEST = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
"""
OWN_CGROUPS = 'umount -R -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
LIMIT_S = 120.0


class NoPodmanError(Exception):
    """Containers cannot be run here; the text says why."""


@dataclass
class Podman:
    """A podman with an image that has the interpreter, a shell and sleep.

    Attributes:
        env: what its callers' environment must have.
        before: words before a program that shall see its containers' control groups.
    """

    env: dict[str, str]
    before: list[str] = field(default_factory=list)

    def __call__(self, *words: str) -> str:
        """Runs podman. Returns its output. Raises NoPodmanError."""
        try:
            done = subprocess.run(
                [*self.before, "podman", *words],
                env={**os.environ, **self.env},
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NoPodmanError(f"podman {words[0]} took over {LIMIT_S:.0f} s") from None
        if done.returncode:
            raise NoPodmanError(f"podman {words[0]}: {done.stderr.strip()[-300:]}")
        return done.stdout


def make(folder: Path) -> Podman:
    """Returns a podman that has run a container. Raises NoPodmanError."""
    if shutil.which("podman") is None:
        raise NoPodmanError("podman is not installed")
    if os.geteuid() != 0:
        raise NoPodmanError("root is needed")
    storage = folder / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    modest = folder / "containers.conf"
    modest.write_text(MODEST)
    env = {"CONTAINERS_STORAGE_CONF": str(storage)}
    plain = Podman(env)
    archive = folder / "image.tar"
    _archive(archive)
    plain("import", "--quiet", str(archive), IMAGE)
    inside = ["unshare", "--mount", "sh", "-c", OWN_CGROUPS, "sh"]
    own = Podman({**env, "CONTAINERS_CONF": str(modest)}, inside)
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    why = ""
    for one in (plain, own) if unified else (own,):
        try:
            one("run", "--rm", "--pull=never", "--network=host", IMAGE, "/bin/sh", "-c", "true")
            return one
        except NoPodmanError as error:
            why = str(error)
    raise NoPodmanError(why)


def _archive(path: Path) -> None:
    """Writes the image: Debian's interpreter with its library, a shell, sleep, what they load."""
    python = os.path.realpath("/usr/bin/python3")
    library = Path("/usr/lib") / os.path.basename(python)
    programs = ["/usr/bin/python3", "/bin/sh", "/bin/sleep"]
    if not library.is_dir():
        raise NoPodmanError(f"{library} is not there to make an image of")
    modules = sorted(map(str, library.glob("lib-dynload/*.so")))
    wanted = {word for word in _loaded([*programs, *modules]) if word.startswith("/")}
    with tarfile.open(path, "w", dereference=True) as tar:
        for one in sorted({*programs, *wanted}):
            tar.add(one)
        tar.add(library, filter=_without_caches)


def _loaded(programs: list[str]) -> list[str]:
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True)
    return [word for line in done.stdout.splitlines() if ":" not in line for word in line.split()]


def _without_caches(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = info.name.split("/")
    return None if "__pycache__" in parts or "test" in parts else info
