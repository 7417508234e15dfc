"""What keeps a plan from being carried out is said at once, with the variable to set."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.agent import plans

ROOT = Path(__file__).parents[3]
Answer = Callable[..., dict[str, Any]]
Examine = Callable[..., dict[str, Any]]


@pytest.fixture
def examine(answer: Answer, model: Path, tmp_path: Path) -> Examine:
    """Examines a plan and returns the answer with the codes of its refusals."""

    def run(
        state: Path = tmp_path / "state", path: Path = model, **settings: Any
    ) -> dict[str, Any]:
        env = settings.pop("env", {})
        demo = settings.pop("demo", False)
        value = {**plans.make(path, **settings), "demo": demo}
        text = base64.b64encode(json.dumps(value).encode()).decode()
        found = answer("preflight", "--plan-b64", text, "--state", state, **env)
        found["codes"] = {one["code"]: one["variable"] for one in found["refusals"]}
        return found

    return run


def test_a_good_plan_is_shown_with_its_cost(examine: Examine, tmp_path: Path) -> None:
    found = examine(repeats=3)
    assert found["ok"], found
    assert [one["mode"] for one in found["steps"]] == ["prime", *["cold", "warm"] * 3]
    assert found["expected"]["bytes"] >= 4 * (64 << 20)
    assert found["expected"]["minutes"] > 0
    assert not (tmp_path / "state").exists()


def test_all_refusals_come_at_once(examine: Examine, tmp_path: Path) -> None:
    codes = examine(
        path=tmp_path / "nowhere", engine="vllm", cold_method="reboot",
        local={"engine_python": "/nowhere/python"},
    )["codes"]  # fmt: skip
    assert codes["weights_missing"] == "coldproof_tiers"
    assert codes["engine_missing"] == "coldproof_engine_python"
    assert codes["no_consent"] == "coldproof_reboot_ok"


def test_a_method_without_its_rights_is_refused(as_nobody: list[str], disk: Path) -> None:
    text = base64.b64encode(
        json.dumps(plans.make(disk / "model", cold_method="drop_caches")).encode()
    ).decode()
    done = subprocess.run(
        [*as_nobody, shutil.which("python3", path="/usr/bin") or sys.executable, "-m",
         "coldproof_agent", "preflight", "--plan-b64", text, "--state", "/nowhere/state"],
        env={"PYTHONPATH": str(ROOT / "roles/agent/files"), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    refused = {one["code"]: one["variable"] for one in json.loads(done.stdout)["refusals"]}
    assert refused["rights"] == "coldproof_cold_method"
    assert refused["state_folder"] == "coldproof_state_dir"


def test_a_taken_port_is_refused(examine: Examine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert examine(local={"port": port})["codes"] == {"port_taken": "coldproof_port"}


def test_a_demo_refuses_a_real_engine(examine: Examine) -> None:
    found = examine(demo=True, engine="custom", engine_command=["/bin/true"], ready_path="/health")
    assert found["codes"] == {"demo": "coldproof_engine"}
    assert "inventory with -i" in found["refusals"][0]["message"]


def test_weights_larger_than_memory_are_refused(examine: Examine, disk: Path) -> None:
    folder = disk / "huge"
    folder.mkdir()
    path = folder / "model.safetensors"
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    room = os.statvfs(disk)
    if room.f_bavail * room.f_frsize < total + (1 << 30):
        pytest.skip("the disk cannot hold a file larger than the memory")
    with path.open("wb") as opened:
        os.posix_fallocate(opened.fileno(), 0, total)
        opened.write(b"\2\0\0\0\0\0\0\0{}")
    try:
        assert examine(path=folder)["codes"] == {"memory": "coldproof_tiers"}
    finally:
        path.unlink()


def test_an_undrained_node_is_refused(examine: Examine, tmp_path: Path) -> None:
    kubelet = tmp_path / "kubelet"
    shutil.copy("/bin/sleep", kubelet)
    with subprocess.Popen([str(kubelet), "60"]) as child:
        try:
            end = time.monotonic() + 5
            while Path(f"/proc/{child.pid}/comm").read_text().strip() != "kubelet":
                assert time.monotonic() < end
            found = examine(consent={})
            assert found["codes"] == {"not_drained": "coldproof_node_drained"}
            assert examine(consent={"node_drained": True})["ok"]
        finally:
            child.kill()


def test_a_busy_gpu_is_refused(examine: Examine, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    tool = tools / "nvidia-smi"
    tool.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        "*compute-apps*) echo 'GPU-1, 4242, python3 train.py, 70000';;\n"
        "*) echo '0, GPU-1, NVIDIA H100, 70000, 81559, 580.1, Enabled';;\nesac\n"
    )
    tool.chmod(0o755)
    found = examine(env={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert found["codes"] == {"gpu_busy": "coldproof_gpu_allowed"}
    assert "train.py" in found["refusals"][0]["message"]
    env = {"PATH": f"{tools}:{os.environ['PATH']}"}
    assert examine(env=env, local={"gpu_allowed": ["python3"]})["ok"]
    assert not examine(env=env, local={"gpu_allowed": ["dcgm-exporter"]})["ok"]


def test_an_engine_that_is_ready_without_a_model_is_refused(
    examine: Examine, tmp_path: Path
) -> None:
    weights = tmp_path / "m.gguf"
    weights.write_bytes(b"GGUF" * 1000)
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for command, good in (
        ([str(program)], True),
        ([str(program), "-m", "{model_file}", "--port", "{port}"], True),
        ([str(program), "--models-dir", "{model_path}"], False),
    ):
        found = examine(path=weights, engine="llama-server", engine_command=command)
        refused = {} if good else {"engine_without_model": "coldproof_engine_command"}
        assert found["codes"] == refused, found


def test_fresh_caches_of_an_unknown_engine_are_refused(examine: Examine) -> None:
    found = examine(
        engine="custom", engine_command=["/bin/true"], ready_path="/", compile_cache="fresh"
    )
    assert found["codes"] == {"compile_cache": "coldproof_compile_cache"}
    assert examine(compile_cache="fresh")["ok"]
