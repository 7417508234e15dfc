"""drop_caches refused, slow, or without effect: nothing is called cold, in bounded time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import cooling, locks, procfs
from coldproof_agent.errors import Refusal
from tests.unit.agent import plans
from tests.unit.agent.drivers import campaigns
from tests.unit.agent.drivers.plants import Plant

CONTROL = "/proc/sys/vm/drop_caches"


def with_control(control: Path | str) -> list[str]:
    """Returns words that run a command where something else lies at the kernel's control file."""
    if os.geteuid() != 0:
        pytest.skip("the method drop_caches needs root")
    words = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'mount --bind {control} {CONTROL} && exec "$@"',
        "sh",
    ]
    tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"nothing can be mounted here: {tried.stderr.decode().strip()}")
    return words


def test_a_control_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    for control, why in (
        (tmp_path, "Is a directory"),
        (tmp_path / "no", "No such file or directory"),
    ):
        with pytest.raises(Refusal) as refused:
            cooling.drop_caches(60.0, control)
        assert (refused.value.code, refused.value.variable) == (
            "drop_caches",
            "coldproof_cold_method",
        )
        assert f"{control} refused: {why}" in refused.value.message


def test_a_control_that_takes_nothing_is_refused() -> None:
    """A write that fails, and not the opening."""
    with pytest.raises(Refusal, match="refused: No space left on device"):
        cooling.drop_caches(60.0, Path("/dev/full"))


def test_an_ordinary_user_is_refused_by_the_kernel(as_nobody: list[str]) -> None:
    code = (
        "from coldproof_agent import cooling\nfrom coldproof_agent.errors import Refusal\n"
        "try: cooling.drop_caches(60.0)\nexcept Refusal as refusal: print(refusal.message)"
    )
    done = subprocess.run(
        [*as_nobody, campaigns.SYSTEM_PYTHON, "-c", code],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(campaigns.SOURCE)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"{CONTROL} refused: Permission denied" in done.stdout
    assert "ansible_become" in done.stdout


def test_a_slow_control_is_given_up_in_time(tmp_path: Path) -> None:
    """A FIFO without reader: the write never happens."""
    os.mkfifo(tmp_path / "control")
    begun = time.monotonic()
    with pytest.raises(Refusal) as refused:
        cooling.drop_caches(0.5, tmp_path / "control")
    assert time.monotonic() - begun < 10
    assert refused.value.variable == "coldproof_drop_caches_timeout_s"
    assert "did not finish within 0.5 s" in refused.value.message
    campaigns.until(
        lambda: all(one.state == "Z" for one in procfs.descendants(os.getpid())),
        "its helper ends",
    )


def test_a_campaign_with_a_slow_control_ends_with_no_cold_run(tiny: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "control")
    state = tmp_path / "state"
    plan = plans.make(tiny, cold_method="drop_caches", drop_caches_timeout_s=1)
    name = plans.put(state, plan)
    words = [*with_control(tmp_path / "control"), *campaigns.words(state)]
    assert subprocess.run(words, env=campaigns.ENV, timeout=60, check=False).returncode == 1
    error = campaigns.status(state)["error"]
    assert (error["code"], error["variable"]) == ("drop_caches", "coldproof_drop_caches_timeout_s")
    assert [one["mode"] for one in campaigns.runs(state, name)] == ["prime"]
    assert locks.holder(state) is None
    assert not (state / "launched.json").exists()


def test_a_control_without_effect_leaves_mapped_weights_refuted(tiny: Path, tmp_path: Path) -> None:
    """The write is taken and nothing is dropped: what a process maps stays, and is seen."""
    options = [
        "measure", "cold", "--model-path", tiny, "--engine", "reference", "--cold-method",
        "drop_caches", "--state", tmp_path / "state", "--csv", tmp_path / "rows.csv",
    ]  # fmt: skip
    words = [*with_control("/dev/null"), sys.executable, "-m", "coldproof_agent"]

    def cold() -> dict[str, Any]:
        done = subprocess.run(
            [*words, *map(str, options)], env=campaigns.ENV, capture_output=True, check=True
        )
        value: dict[str, Any] = json.loads(done.stdout)
        return value

    files = sorted(tiny.glob("*.safetensors"))
    with Plant("mapped", files, tmp_path / "plant.log") as plant:
        mapped = cold()
    assert mapped["state"] == "refuted"
    assert "100.0 % resident" in mapped["reasons"][0]
    assert f"pid {plant.pid}" in mapped["reasons"][0]
    assert mapped["scope"] is None
    assert cold()["state"] != "refuted", "what no process maps was evicted file by file"
