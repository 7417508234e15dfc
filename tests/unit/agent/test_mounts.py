"""Mounts where residency tools lie or caches hide: the verdict says so, never a false proof."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import makemodel
from tests.unit.agent.drivers.campaigns import SOURCE, SYSTEM_PYTHON


def cold(path: Path, state: Path, *before: str, python: str = sys.executable) -> dict[str, Any]:
    """Makes a cold start of a model, by way of some words before the command."""
    done = subprocess.run(
        [*before, python, "-m", "coldproof_agent", "measure", "cold", "--model-path", str(path),
         "--engine", "reference", "--state", str(state), "--csv", str(state) + ".csv"],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(SOURCE)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def test_weights_of_another_owner_are_unproven(
    model: Path, disk: Path, as_nobody: list[str]
) -> None:
    home = disk / "nobody"
    home.mkdir()
    os.chown(home, 65534, 65534)
    for one in model.iterdir():
        one.chmod(0o644)
    found = cold(model, home / "state", *as_nobody, python=SYSTEM_PYTHON)
    assert found["state"] == "unproven", found
    assert "not the owner" in found["reasons"][0]
    assert found["scope"] is None


def test_weights_on_overlay_are_unproven(disk: Path, tmp_path: Path) -> None:
    lower, upper, work, merged = (disk / f"cold-{name}" for name in ("low", "up", "work", "all"))
    for folder in (lower, upper, work, merged):
        folder.mkdir()
    makemodel.make(str(lower / "model"), 16)
    mount = f"mount -t overlay none -o lowerdir={lower},upperdir={upper},workdir={work} {merged}"
    words = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    tried = subprocess.run([*words, "sh", "-c", mount], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no overlay can be mounted here: {tried.stderr.decode().strip()}")
    script = ["sh", "-c", f'{mount} && exec "$@"', "sh"]
    found = cold(merged / "model", tmp_path / "state", *words, *script)
    assert found["state"] == "unproven", found
    assert "no block device" in " ".join(found["reasons"])


@pytest.fixture
def loop(disk: Path) -> Iterator[Path]:
    """A filesystem in an image on the disk."""
    if os.geteuid() != 0:
        pytest.skip("mounting an image needs root")
    image, point = disk / "image", disk / "mounted"
    point.mkdir()
    with image.open("wb") as opened:
        opened.truncate(96 << 20)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", str(image)], check=True)
    tried = subprocess.run(["mount", "-o", "loop", image, point], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no loop device here: {tried.stderr.decode().strip()}")
    yield point
    subprocess.run(["umount", point], check=True)
    image.unlink()


def test_an_image_that_its_host_holds_in_the_cache_is_refuted(loop: Path, tmp_path: Path) -> None:
    makemodel.make(str(loop / "model"), 32)
    os.sync()
    (loop.parent / "image").read_bytes()
    found = cold(loop / "model", tmp_path / "state")
    assert found["state"] == "refuted", found
    assert "leaf block device" in " ".join(found["reasons"])


def test_a_mount_is_found_by_its_id_whatever_its_name(disk: Path) -> None:
    """A name with a space and an accent, and a mount that another one hides."""
    odd = disk / "tiér one"
    odd.mkdir()
    code = (
        "import sys; from coldproof_agent import storage; "
        "print(storage.mount_of(sys.argv[1]).filesystem, storage.devices_of(sys.argv[1]))"
    )
    script = (
        f"mount -t tmpfs none '{odd}' && {sys.executable} -c '{code}' '{odd}' && "
        f"mkdir '{odd}/in' && mount -t tmpfs none '{odd}/in' && mount --bind /var/tmp '{odd}' && "
        f"mkdir -p /var/tmp/in && {sys.executable} -c '{code}' '{odd}/in'; rmdir /var/tmp/in"
    )
    words = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    done = subprocess.run(
        [*words, "sh", "-c", script], env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SOURCE)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "mount:" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    inner, hidden = done.stdout.splitlines()
    assert inner == "tmpfs []"
    assert hidden.split()[0] != "tmpfs"
