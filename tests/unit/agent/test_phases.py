"""Each second of a start belongs to one phase, by the words of real engines."""

# ruff: noqa: E501 (lines of logs)

from __future__ import annotations

import json
import re

import pytest

from coldproof_agent import engineprofile
from coldproof_agent.phases import Marker, Phases, markers
from tests.unit.agent.drivers import drive

# Seconds after the start, and what vLLM says then; in the manner of 0.24 on a GPU.
GPU = """
10.0 (APIServer pid=7) INFO 11-23 20:10:25 [api_utils.py:339]  version 0.24.0
11.0 (APIServer pid=7) INFO 11-23 20:10:25 [api_utils.py:273] non-default args: {'port': 8123}
12.0 (APIServer pid=7) INFO 11-23 20:10:25 [model.py:1725] Using max model len 4096
30.0 (EngineCore pid=8) INFO 11-23 20:10:50 [core.py:114] Initializing a V1 LLM engine (v0.24.0)
34.0 (EngineCore pid=8) INFO 11-23 20:10:54 [gpu_model_runner.py:5160] Starting to load model m...
35.0 (EngineCore pid=8) INFO 11-23 20:10:55 [w.py:849] Filesystem type for checkpoints: EXT4.
35.5 (EngineCore pid=8) Loading safetensors checkpoint shards:   0% Completed | 0/2
37.0 (EngineCore pid=8) INFO 11-23 20:10:57 [d.py:430] Loading weights took 2.09 seconds
42.0 (EngineCore pid=8) INFO 11-23 20:11:02 [b.py:1089] Using cache directory: /c for vLLM's torch.compile
44.0 (EngineCore pid=8) INFO 11-23 20:11:04 [monitor.py:53] torch.compile took 5.67 s in total
46.0 (EngineCore pid=8) INFO 11-23 20:11:06 [g.py:6483] Profiling CUDA graph memory: PIECEWISE=51
48.0 (EngineCore pid=8) INFO 11-23 20:11:08 [kv.py:2146] GPU KV cache size: 2,512,400 tokens
49.0 (EngineCore pid=8) Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):   0%|   | 0/51
56.0 (EngineCore pid=8) INFO 11-23 20:11:16 [g.py:6656] Graph capturing finished in 7 secs
57.0 (EngineCore pid=8) INFO 11-23 20:11:16 [core.py:337] init engine (profile, create kv cache, warmup model) took 18.23 s
58.0 (APIServer pid=7) INFO 11-23 20:11:17 [api_server.py:581] Starting vLLM server on http://h:1
59.0 (APIServer pid=7) INFO:     Application startup complete.
"""
# In the manner of 0.32 on a CPU: other prefixes and tags, no graphs, "Warming up done".
CPU = """
9.0 (APIServer pid=7) INFO 11-23 19:36:22 [api_utils.py:286] non-default args: {'port': 8123}
18.0 (APIServer pid=7) INFO 11-23 19:36:31 [model.py:2152] Using max model len 2048
26.0 (EngineCore pid=8) INFO 11-23 19:36:39 [core.py:133] Initializing a V1 LLM engine (v0.32.0)
36.0 (Worker pid=9) INFO 11-23 19:36:49 [cpu_model_runner.py:68] Starting to load model m...
36.5 (Worker pid=9) INFO 11-23 19:36:49 [base_loader.py:82] Initializing model took 0.766908 seconds
36.6 (Worker pid=9) INFO 11-23 19:36:49 [weight_utils.py:1108] Filesystem type for checkpoints: EXT4.
36.7 Loading safetensors checkpoint shards:   0% Completed | 0/1
41.0 (Worker pid=9) INFO 11-23 19:36:54 [default_loader.py:501] Loading weights took 4.76 seconds
45.0 (Worker pid=9) INFO 11-23 19:36:58 [cpu_model_runner.py:87] Warming up model for the compilation...
140.0 (Worker pid=9) INFO 11-23 19:38:32 [monitor.py:91] [backbone] Initial profiling/warmup run took 8.34 s
144.0 (Worker pid=9) INFO 11-23 19:38:37 [cpu_model_runner.py:91] Warming up done.
145.0 (EngineCore pid=8) INFO 11-23 19:38:37 [kv.py:2327] CPU KV cache size: 87,296 tokens
146.0 (EngineCore pid=8) INFO 11-23 19:38:39 [core.py:402] init engine (profile, create kv cache, warmup model) took 100.98 s
147.0 (APIServer pid=7) INFO 11-23 19:38:40 [entry.py:140] Starting vLLM server on http://h:1
"""


def replay(text: str, load_s: float) -> tuple[dict[str, float], list[str]]:
    """Returns seconds by phase in their order, and the markers that were missed."""
    data = engineprofile.load("vllm").data
    phases = Phases(str(data["first_phase"]), markers(data["markers"]))
    for line in text.strip().splitlines():
        at, _, words = line.partition(" ")
        phases.line(float(at), words)
    result = phases.result(load_s)
    assert sum(round(one["seconds"] * 1000) for one in result) == round(load_s * 1000)
    assert phases.now() == "api_start"
    return {one["name"]: one["seconds"] for one in result}, phases.missing()


def test_a_start_of_vllm_on_a_gpu_is_told_apart() -> None:
    found, missing = replay(GPU, 60.0)
    assert found == {
        "imports": 11.0,
        "config": 1.0,
        "engine_imports": 18.0,
        "engine_init": 4.0,
        "model_init": 1.0,
        "weights": 2.0,
        "model_setup": 5.0,
        "compile": 2.0,
        "profiling_kv_cache": 4.0,
        "kernel_warmup": 1.0,
        "graph_capture": 8.0,
        "api_start": 3.0,
        "unattributed": 0.0,
    }
    assert missing == []


def test_a_start_of_vllm_on_a_cpu_is_told_apart() -> None:
    found, missing = replay(CPU, 150.0)
    assert found["imports"] == 9.0
    assert found["engine_imports"] == 8.0
    assert found["weights"] == pytest.approx(4.4)
    assert found["compile"] == 99.0
    assert found["api_start"] == 4.0
    assert "graph_capture" not in found
    assert missing == []


def test_older_words_and_tags_are_understood() -> None:
    older = re.sub("torch.compile took", "[backbone] torch.compile takes", GPU)
    older = re.sub(r"\((APIServer|EngineCore) pid=\d\) ", "[tag] ", older)
    assert replay(older, 60.0) == replay(GPU, 60.0)


def test_what_was_expected_and_not_seen_is_named() -> None:
    without = "\n".join(line for line in GPU.splitlines() if "Loading weights took" not in line)
    found, missing = replay(without, 60.0)
    assert missing == ["weights loaded"]
    assert "model_setup" not in found


def test_lines_after_ready_count_nowhere() -> None:
    assert replay(GPU, 36.0)[0]["weights"] == 1.0
    assert "model_setup" not in replay(GPU, 36.0)[0]


def test_phases_always_add_up() -> None:
    chance = drive.seeded("phases")
    for _ in range(2000):
        names = [f"p{number}" for number in range(chance.randrange(1, 6))]
        known = [Marker(name, re.compile(f"^{name}$"), name, True, ()) for name in names]
        phases = Phases("first", known)
        at = 0.0
        for _ in range(chance.randrange(30)):
            at += chance.expovariate(10)
            phases.line(at, chance.choice(names))
        load_s = round(chance.uniform(0.0, at + 1), 3)
        parts = phases.result(load_s)
        assert sum(round(one["seconds"] * 1000) for one in parts) == round(load_s * 1000)
        assert all(one["seconds"] >= 0 for one in parts)
        assert [one["name"] for one in parts].count("unattributed") == 1
        assert json.loads(json.dumps(parts)) == parts


def test_nothing_said_is_the_first_phase() -> None:
    assert Phases("imports", []).result(2.5) == [
        {"name": "imports", "seconds": 2.5},
        {"name": "unattributed", "seconds": 0.0},
    ]
