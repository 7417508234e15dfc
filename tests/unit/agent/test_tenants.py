"""Who else computes on the GPU: refused before a run, named in it; and what the server sees."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import pytest

from coldproof_agent import gpu
from coldproof_agent.errors import Refusal
from tests.unit.agent import plans
from tests.unit.agent.drivers import campaigns, smi
from tests.unit.agent.drivers.smi import answering, card

Install = Callable[[str], None]
CARDS = f"case $1 in *query-gpu*) echo '{card(0)}';;"
BROKEN_LIST = f"{CARDS} *) echo 'Unable to determine the device handle'; exit 15;; esac"
HANGING_LIST = f"{CARDS} *) sleep 3600;; esac"


def refusal(*args: Any, **more: Any) -> Optional[Refusal]:
    """Returns what need_idle refuses with; None if it lets the start be made."""
    try:
        gpu.need_idle(*args, **more)
    except Refusal as refused:
        return refused
    return None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BROKEN_LIST, "nvidia-smi failed: Unable to determine the device handle"),
        (HANGING_LIST, "nvidia-smi did not answer within 0.5 s"),
    ],
)
def test_cards_whose_processes_are_not_told_are_refused(
    install: Install, monkeypatch: pytest.MonkeyPatch, text: str, why: str
) -> None:
    monkeypatch.setattr(gpu, "TIMEOUT_S", 0.5)
    install(text)
    begun = time.monotonic()
    refused = refusal(None)
    assert time.monotonic() - begun < 10
    assert refused is not None
    assert (refused.code, refused.variable) == ("gpu_unknown", "coldproof_gpu_allowed")
    assert refused.message.startswith(why)
    assert refusal(None, ["unlisted"]) is None


@pytest.mark.parametrize("text", ["sleep 3600", "echo 'Driver mismatch'; exit 18"])
def test_a_driver_whose_nvidia_smi_says_nothing_is_refused(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setattr(gpu, "TIMEOUT_S", 0.5)
    install(text)
    monkeypatch.setattr(gpu, "DRIVER", tmp_path)
    refused = refusal(None)
    assert refused is not None
    assert refused.code == "gpu_unknown"
    assert refusal(None, ["unlisted"]) is None
    monkeypatch.setattr(gpu, "DRIVER", tmp_path / "no")
    assert refusal(None) is None, "a node without a GPU may have a nvidia-smi that fails"


def test_memory_of_processes_that_are_not_listed_is_busy(install: Install) -> None:
    install(answering([card(0, 2000), card(1, 3000)], []))
    assert refusal([0]) is None, "a driver and exporters keep some for themselves"
    refused = refusal([1])
    assert refused is not None
    assert (refused.code, refused.variable) == ("gpu_busy", "coldproof_gpu_allowed")
    assert refused.message.startswith("3000 MiB of GPU memory are in use by processes that nvidia")
    assert refusal(None, ["dcgm"]) is not None
    assert refusal(None, ["unlisted"]) is None


def test_memory_of_listed_processes_is_theirs(install: Install) -> None:
    install(answering([card(0, 9000)], ["GPU-0, 42, /usr/bin/dcgm, 8000"]))
    assert refusal(None, ["dcgm"]) is None
    install(answering([card(0, 9000)], ["GPU-0, 42, /usr/bin/dcgm, 6000"]))
    assert refusal(None, ["dcgm"]) is not None
    install(answering([card(0, 9000)], ["GPU-0, 42, /usr/bin/dcgm, [N/A]"]))
    assert refusal(None, ["dcgm"]) is None, "what is listed may be all of it"


def test_what_an_earlier_run_of_ours_left_is_not_foreign(install: Install) -> None:
    apps = ["GPU-0, 42, python, 7000", "GPU-0, 43, python, 100"]
    install(answering([card(0, 9000)], apps))
    assert refusal(None, ours=[42, 43]) is None
    refused = refusal(None, ours=[42])
    assert refused is not None
    assert refused.message.startswith("the GPU is used by pid 43 (python): end it")


def test_the_chosen_gpus_are_named_in_their_own_order() -> None:
    assert gpu.visible(None) == {}
    assert gpu.visible([6, 1]) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "6,1",
    }


@pytest.mark.parametrize(
    ("gpus", "engine_env", "seen"),
    [
        ([3, 1], {}, ("PCI_BUS_ID", "3,1")),
        ([3, 1], {"CUDA_VISIBLE_DEVICES": "GPU-3"}, ("PCI_BUS_ID", "GPU-3")),
        (None, {}, (None, None)),
    ],
)
def test_the_server_sees_the_chosen_gpus_alone(
    tiny: Path, tmp_path: Path, gpus: object, engine_env: dict[str, str], seen: tuple[object, ...]
) -> None:
    """What the agent's own environment says counts in no case."""
    path = smi.put(tmp_path, answering([card(n) for n in range(8)], []))
    hook = "raise SystemExit(3)"  # the first start is enough
    plan = campaigns.hooked(tiny, tmp_path, hook, engine_env=engine_env, local={"gpus": gpus})
    plans.put(tmp_path / "state", plan)
    ended = campaigns.run(
        tmp_path / "state",
        PATH=path,
        CUDA_VISIBLE_DEVICES="7",
        CUDA_DEVICE_ORDER="FASTEST_FIRST",
    )
    assert ended == 1
    (only,) = campaigns.starts(tmp_path)
    names = ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES")
    assert tuple(only["env"].get(name) for name in names) == seen


# The second warm start meets a change; the first shows that without it all is proven. The cards
# that change are there again when the server has ended, else the agent would wait for their memory.
LISTED = """
import os
mine = f"GPU-0, {os.getpid()}, python, 900"
open(folder + "/apps", "w").write(mine + "\\n")
if start == 3:
    open(folder + "/pid", "w").write(f"{os.getpid()}\\n")
"""
OTHERS = f"GPU-1, {os.getpid()}, /opt/their job, 5"  # who lives: the test itself
CHANGES = {
    "a tenant": (
        [card(0), card(1)],
        [card(0), card(1)],
        f"    open(folder + '/apps', 'a').write('{OTHERS}\\n')",
        f"somebody else used the GPU during the start: pid {os.getpid()} (/opt/their job)",
    ),
    "one of two": (
        [card(0), card(1)],
        [card(0)],
        "",
        "2 GPUs before the start, others or 1 after",
    ),
    "another": (
        [card(0), card(1)],
        [card(0), card(2)],
        "",
        "2 GPUs before the start, others or 2 after",
    ),
    "the only one": (
        [card(0)],
        ["No devices were found"],
        "",
        "1 GPUs before the start, others or 0 after",
    ),
}


def changing(tiny: Path, folder: Path, change: str, repeats: int) -> tuple[int, Path, str]:
    """Runs a campaign of warm starts with a change. Returns its exit status, folder and name."""
    before, during, hook, _ = CHANGES[change]
    (folder / "gpus").write_text("\n".join(before) + "\n")
    (folder / "during").write_text("\n".join(during) + "\n")
    tiers = [{"name": "disk", "shared": None, "warm_only": True}]
    plan = campaigns.hooked(tiny, folder, LISTED + hook, tiers=tiers, repeats=repeats)
    state = folder / "state"
    name = plans.put(state, plan)
    return campaigns.run(state, PATH=smi.put(folder, smi.by_files(folder))), state, name


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_on_the_gpus_during_a_start_leaves_it_unproven(
    tiny: Path, tmp_path: Path, change: str
) -> None:
    """A tenant stays: the next run is refused. The cards are as before when the server has gone."""
    stays = change == "a tenant"
    ended, state, name = changing(tiny, tmp_path, change, repeats=3 if stays else 2)
    assert ended == stays
    prime, good, changed = campaigns.runs(state, name)
    assert prime["outcome"] == good["outcome"] == changed["outcome"] == "ready"
    assert (good["state"], good["reasons"]) == ("proven_warm", [])
    assert (changed["state"], changed["reasons"]) == ("unproven", [CHANGES[change][-1]])
    if stays:
        error = campaigns.status(state)["error"]
        assert (error["code"], error["variable"]) == ("gpu_busy", "coldproof_gpu_allowed")
        assert f"pid {os.getpid()} (/opt/their job)" in error["message"]
        assert len(campaigns.starts(tmp_path)) == 3
