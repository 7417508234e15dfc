"""nvidia-smi as it is met: absent, hanging, not answering, shared, or talking nonsense."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from coldproof_agent import bounded, durable, gpu, gpurecord, procfs
from tests.unit.agent.drivers import drive
from tests.unit.agent.drivers.smi import answering, card

Install = Callable[[str], None]


def test_no_nvidia_smi_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.look() == {"devices": [], "used_mb": None, "reason": "nvidia-smi is not installed"}
    assert gpu.tenants() == []
    assert gpu.wait_released(None, None)["released"] is None


def test_one_gpu(install: Install) -> None:
    install(answering([card(0, 1234)], []))
    found = gpu.look()
    assert (found["used_mb"], found["reason"]) == (1234.0, None)
    assert found["devices"][0] == {
        "index": 0,
        "uuid": "GPU-0",
        "name": "NVIDIA H100 80GB HBM3",
        "memory_used_mb": 1234.0,
        "memory_total_mb": 81559.0,
        "driver": "570.86",
        "persistence_mode": "Enabled",
    }
    assert gpu.tenants() == []


def test_eight_gpus_and_a_choice_of_them(install: Install) -> None:
    install(answering([card(n, 100 + n) for n in range(8)], ["GPU-5, 42, python, 90"]))
    assert gpu.look()["used_mb"] == sum(range(100, 108))
    assert gpu.look([1, 6])["used_mb"] == 207.0
    assert gpu.tenants([1, 6]) == []
    assert gpu.tenants([5]) == [{"pid": 42, "name": "python", "used_mb": 90.0}]
    assert gpu.look([9])["reason"] == "nvidia-smi names no GPU that is used here"


def test_another_tenant_is_named_whatever_its_name(install: Install) -> None:
    apps = ["GPU-0, 42, /opt/a, b/python, [N/A]", "GPU-0, [N/A], [Not Found], 7", "GPU-9, 1, x, 1"]
    install(answering([card(0)], apps))
    assert gpu.tenants() == [
        {"pid": 42, "name": "/opt/a,b/python", "used_mb": None},
        {"pid": None, "name": "[Not Found]", "used_mb": 7.0},
    ]


def test_memory_that_is_not_told_is_summed_by_process(install: Install) -> None:
    install(answering([card(0, "[N/A]")], ["GPU-0, 42, 100", "GPU-0, 43, 20", "GPU-9, 1, 5"]))
    assert gpu.look()["used_mb"] == 120.0
    install(answering([card(0, "[N/A]")], ["GPU-0, 42, [N/A]"]))
    assert gpu.look()["used_mb"] is None
    assert "[N/A]" in gpu.look()["reason"]


def test_a_process_on_a_mig_instance_is_a_tenant(install: Install) -> None:
    install(answering([card(0, "[N/A]"), card(1)], ["MIG-1f2a, 42, python, 10"]))
    assert [one["pid"] for one in gpu.tenants([0])] == [42]
    assert [one["pid"] for one in gpu.tenants([1])] == [42], "which one it is on is not told"


@pytest.mark.parametrize(
    "text",
    [
        "head -c 100000 /dev/urandom",
        "printf '\\377\\0\\n,,,,,,,,\\n\\n'",
        "echo '²,a,b,c,d,e,f'",
        f"echo '{'9' * 5000},a,b,1,2,e,f'",
        "echo 'not, a, gpu'",
        "yes garbage | head -c 3000000",
    ],
)
def test_garbage_is_no_gpu(install: Install, text: str) -> None:
    install(text)
    found = gpu.look()
    assert found["used_mb"] is None
    assert found["reason"]
    assert gpu.tenants() == []


@pytest.mark.parametrize("used", ["nan", "inf", "1e999", "", "ten"])
def test_a_number_that_is_none_can_be_recorded(install: Install, used: str) -> None:
    install(answering([card(0, used)], ["GPU-0, 42, inf"]))
    found = gpu.look()
    assert found["used_mb"] is None
    assert durable.canonical(found)


def test_warnings_among_the_lines_are_passed_over(install: Install) -> None:
    warning = "WARNING: infoROM is corrupted at gpu 0000:00:1E.0"
    install(answering([warning, card(0, 7)], [warning]))
    assert gpu.look()["used_mb"] == 7.0
    assert gpu.tenants() == []


def test_a_failure_says_what_nvidia_smi_said(install: Install) -> None:
    install("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    assert gpu.look()["reason"] == (
        "nvidia-smi failed: Failed to initialize NVML: Driver/library version mismatch"
    )
    install("exit 9")
    assert gpu.look()["reason"] == "nvidia-smi failed: exit status 9"
    install(f"echo {'x' * 9000}; exit 9")
    assert len(gpu.look()["reason"]) < 300


def test_hanging_is_a_reason_and_leaves_nobody(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Grandchildren hold its output: one in its group, one in a session of its own."""
    monkeypatch.setattr(gpu, "TIMEOUT_S", 1.0)
    install(
        "sh -c 'echo $$ >>" + str(tmp_path / "pids") + "; sleep 3600' &\n"
        "setsid sh -c 'echo $$ >>" + str(tmp_path / "pids") + "; sleep 3600' &\nsleep 3600"
    )
    begun = time.monotonic()
    assert gpu.look()["reason"] == "nvidia-smi did not answer within 1 s"
    assert gpu.tenants() == []
    assert time.monotonic() - begun < 10
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) >= 2
    found = [one for one in map(procfs.process, pids) if one is not None]
    assert drive.left_after(found, 5.0) == []


def test_a_grandchild_that_keeps_the_output_holds_nobody(install: Install) -> None:
    install(f"sleep 4 &\necho '{card(0, 7)}'")
    begun = time.monotonic()
    assert gpu.look()["used_mb"] == 7.0
    assert time.monotonic() - begun < 3


def test_a_program_that_prints_for_ever_fills_no_disk() -> None:
    begun = time.monotonic()
    status, text = bounded.run(["/usr/bin/yes", "x" * 1000], 60.0)
    assert status < 0, "ended by the kernel"
    assert len(text) <= 1 << 20
    assert time.monotonic() - begun < 50


def test_release_is_judged_by_the_memory(install: Install, tmp_path: Path) -> None:
    install(
        f'read used < {tmp_path}/used || exit 3; echo "0, GPU-0, H100, $used, 81559, 570, Enabled"'
    )
    (tmp_path / "used").write_text("5000\n")
    kept = gpu.wait_released(10.0, None, timeout_s=0.6)
    assert (kept["released"], kept["used_mb"]) == (False, 5000.0)
    (tmp_path / "used").write_text("60\n")
    assert gpu.wait_released(10.0, None, timeout_s=0.6)["released"] is True
    os.unlink(tmp_path / "used")
    gone = gpu.wait_released(10.0, None, timeout_s=0.6)
    assert (gone["released"], gone["used_mb"]) == (None, None), "unknown is not 'not released'"
    assert json.dumps(gone)


def test_links_are_told_against_their_maximum(install: Install) -> None:
    install("echo '0, 1, 5, 8, 16'; echo '1, 5, 5, [N/A], 16'; echo nonsense")
    assert gpu.links() == {
        0: {"generation": 1, "generation_max": 5, "width": 8, "width_max": 16},
        1: {"generation": 5, "generation_max": 5, "width": None, "width_max": 16},
    }
    assert list(gpu.links([1])) == [1]
    install("echo 'Field \"pcie.link.gen.current\" is not a valid field to query.'; exit 2")
    assert gpu.links() == {}


def test_the_record_has_each_gpu_before_at_ready_and_after() -> None:
    def seen(used: float) -> dict[str, object]:
        one = {"index": 0, "uuid": "GPU-0", "name": "H100", "memory_used_mb": used}
        return {"devices": [one], "used_mb": used, "reason": None}

    link = {0: {"generation": 5, "generation_max": 5, "width": 16, "width_max": 16}}
    after = {**seen(5.0), "released": True, "seconds": 1.0}
    others = [{"pid": 7, "name": "dcgm", "used_mb": 1.0}]
    found = gpurecord.describe(seen(4.0), seen(75000.0), after, link, others)
    assert found["devices"] == [
        {"index": 0, "uuid": "GPU-0", "name": "H100", "mem_before_mb": 4.0,
         "mem_ready_mb": 75000.0, "mem_after_mb": 5.0, "pcie": link[0]}
    ]  # fmt: skip
    assert found["others"] == others
    never = {"devices": [], "used_mb": None, "reason": "never ready"}
    found = gpurecord.describe(seen(4.0), never, after, {}, [])
    assert found["devices"][0]["mem_ready_mb"] is None
    assert found["reason"] == "never ready"
