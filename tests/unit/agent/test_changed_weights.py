"""Weights that change while a campaign runs: marked or refused, never averaged."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from coldproof_agent import storage
from tests.unit.agent import plans
from tests.unit.agent.drivers import campaigns

REASON = "the weights were replaced or written while the server started"
FIRST = "model-00001-of-00002.safetensors"
# What a server's start does to its weights when it has read them.
WAYS = {
    "replaced by an equal file": """
import shutil
shutil.copy(shard, shard + ".new")
os.rename(shard + ".new", shard)
""",
    "written in place": """
with open(shard, "r+b") as opened:
    opened.seek(-1, 2)
    last = opened.read(1)
    opened.seek(-1, 2)
    opened.write(last)
""",
    "written in place, and the clock of it set back": """
before = os.stat(shard)
with open(shard, "r+b") as opened:
    opened.seek(-1, 2)
    opened.write(b"!")
os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
""",
}


@pytest.fixture
def own(tiny: Path, disk: Path) -> Iterator[Path]:
    """A model of this test's own."""
    with tempfile.TemporaryDirectory(dir=disk) as name:
        yield Path(shutil.copytree(tiny, f"{name}/model"))


@pytest.fixture
def elsewhere(own: Path) -> Iterator[Path]:
    """A folder on another mount than the weights."""
    if storage.mount_of("/dev/shm").point == storage.mount_of(str(own)).point:
        pytest.skip("there is no other mount at /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.mark.parametrize("way", WAYS)
def test_weights_that_change_during_a_start_prove_nothing(
    own: Path, tmp_path: Path, way: str
) -> None:
    """In the cold and in the warm start of the second pair; the first shows what is else proven."""
    hook = f"import os\nshard = model + '/{FIRST}'\nif start in (4, 5):\n"
    hook += "".join(f"    {line}\n" for line in WAYS[way].splitlines())
    state = tmp_path / "state"
    name = plans.put(state, campaigns.hooked(own, tmp_path, hook, repeats=2))
    assert campaigns.run(state) == 0, "an equal manifest can be gone on with"
    _, cold, warm, cold_changed, warm_changed = campaigns.runs(state, name)
    assert warm["state"] == "proven_warm"
    assert not any(REASON in one["reasons"] for one in (cold, warm))
    for one in (cold_changed, warm_changed):
        assert one["outcome"] == "ready"
        assert REASON in one["reasons"]
        assert one["state"] == "unproven", one["reasons"]


def test_weights_that_go_during_a_start_prove_nothing_and_end_the_campaign(
    own: Path, tmp_path: Path
) -> None:
    hook = f"import os\nif start == 3: os.unlink(model + '/{FIRST}')"
    state = tmp_path / "state"
    name = plans.put(state, campaigns.hooked(own, tmp_path, hook, repeats=2))
    assert campaigns.run(state) == 1
    assert campaigns.status(state)["error"]["code"] == "weights_missing"
    *_, cold, warm = campaigns.runs(state, name)
    assert REASON not in cold["reasons"]
    assert (warm["state"], warm["reasons"]) == ("unproven", [REASON])


def link(shard: Path, folder: Path) -> None:
    """Puts a link to a copy in another folder in a file's place."""
    copy = Path(shutil.copy(shard, folder))
    shard.with_name("link").symlink_to(copy)
    os.rename(shard.with_name("link"), shard)


def check_refused(state: Path) -> None:
    """Checks that the mount is named."""
    error = campaigns.status(state)["error"]
    assert (error["code"], error["variable"]) == ("node_changed", "coldproof_campaign")
    assert "storage changed since this campaign began here" in error["message"]
    assert "/dev/shm" in error["message"]


def test_a_shard_on_another_mount_ends_the_campaign_at_its_next_invocation(
    own: Path, elsewhere: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    hook = "import os, time\nif start == 3: os.kill(int(open(folder + '/agent').read()), 9)"
    name = plans.put(state, campaigns.hooked(own, tmp_path, hook))
    with campaigns.foreground(state) as agent:
        (tmp_path / "agent").write_text(str(agent.pid))
        assert agent.wait(60) == -9
    before = campaigns.runs(state, name)
    assert [one["mode"] for one in before] == ["prime", "cold"]
    link(own / FIRST, elsewhere)
    assert campaigns.run(state) == 1
    check_refused(state)
    assert campaigns.runs(state, name) == before
    assert len(campaigns.events(state, name, "begin")) == 3, "nothing was begun"
    assert len(campaigns.starts(tmp_path)) == 3


def test_a_shard_on_another_mount_ends_the_campaign_before_its_next_run(
    own: Path, elsewhere: Path, tmp_path: Path
) -> None:
    """Changed during the third start of one invocation: that proves nothing, and is the last."""
    state = tmp_path / "state"
    hook = (
        f"import os, shutil\nif start == 3:\n    shard = model + '/{FIRST}'\n"
        f"    shutil.copy(shard, '{elsewhere}/copy.safetensors')\n"
        f"    os.symlink('{elsewhere}/copy.safetensors', shard + '.link')\n"
        "    os.rename(shard + '.link', shard)\n"
    )
    name = plans.put(state, campaigns.hooked(own, tmp_path, hook, repeats=9))
    assert campaigns.run(state) == 1
    check_refused(state)
    made = campaigns.runs(state, name)
    assert [one["mode"] for one in made] == ["prime", "cold", "warm"]
    assert (made[-1]["state"], made[-1]["reasons"]) == ("unproven", [REASON])
    assert len(campaigns.events(state, name, "begin")) == 3
    assert len(campaigns.starts(tmp_path)) == 3
