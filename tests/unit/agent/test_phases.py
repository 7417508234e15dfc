"""Each second of a start belongs to one phase, by the words of real engines."""

# ruff: noqa: E501 (lines of logs)

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from coldproof_agent import engineprofile
from coldproof_agent.phases import UNATTRIBUTED, Marker, Phases, markers
from tests.counts import seeded
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
38.0 (EngineCore pid=8) INFO 11-23 20:10:58 [g.py:5255] Model loading took 2.88 GiB memory and 3.1 seconds
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


def replay(
    text: str, load_s: float, *argv: str, gpu: bool = True
) -> tuple[dict[str, float], list[str]]:
    """Returns seconds by phase in their order, and the markers that were missed."""
    data = engineprofile.load("vllm").data
    phases = Phases(str(data["first_phase"]), markers(data["markers"], argv, gpu))
    for line in text.strip().splitlines():
        at, _, words = line.partition(" ")
        phases.line(float(at), words)
    result = phases.result(load_s)
    assert sum(round(one["seconds"] * 1000) for one in result) == round(load_s * 1000)
    assert phases.now() == "API start"
    return {one["name"]: one["seconds"] for one in result}, phases.missing()


def test_a_start_of_vllm_on_a_gpu_is_told_apart() -> None:
    found, missing = replay(GPU, 60.0)
    assert found == {
        "interpreter and imports": 11.0,
        "config and tokenizer": 1.0,
        "engine process start": 22.0,
        "weights": 2.0,
        "compile": 2.0,
        "profiling and KV cache": 4.0,
        "kernel warm-up and autotune": 2.0,
        "graph capture": 7.0,
        "API start": 3.0,
        "unattributed": 6.0,
    }
    assert missing == []


def test_a_start_of_vllm_on_a_cpu_is_told_apart() -> None:
    found, missing = replay(CPU, 150.0, gpu=False)
    assert found["interpreter and imports"] == 9.0
    assert found["engine process start"] == 18.0
    assert found["weights"] == pytest.approx(4.4)
    assert found["compile"] == pytest.approx(140 - 45 - 8.34, abs=0.001)
    assert found["API start"] == 4.0
    assert "graph capture" not in found
    assert missing == []


def test_older_words_and_tags_are_understood() -> None:
    older = re.sub("torch.compile took", "[backbone] torch.compile takes", GPU)
    older = re.sub(r"\((APIServer|EngineCore) pid=\d\) ", "[tag] ", older)
    older = older.replace("GPU KV cache size: 2,512,400 tokens", "Maximum concurrency for 4,096 t")
    assert replay(older, 60.0) == replay(GPU, 60.0)


def test_other_loaders_begin_the_weights_too() -> None:
    for words in (
        "Loading safetensors using Runai Model Streamer:   0%|",
        "Loading safetensors using InstantTensor loader:   0%|",
        "Multi-thread loading shards:   0% Completed | 0/2",
        "Loading pt checkpoint shards:   0% Completed | 0/2",
    ):
        other = re.sub("Filesystem type for checkpoints: EXT4.", words, GPU)
        assert replay(other, 60.0) == replay(GPU, 60.0), words


def test_what_was_expected_and_not_seen_is_named() -> None:
    without = "\n".join(line for line in GPU.splitlines() if "Loading weights took" not in line)
    found, missing = replay(without, 60.0)
    assert missing == ["weights loaded"]
    assert found["weights"] == 3.0  # to the next line that says that it is over


def test_what_the_command_line_turns_off_is_not_expected() -> None:
    eager = "\n".join(line for line in GPU.splitlines() if not re.search("compile|[Gg]raph", line))
    assert replay(eager, 60.0)[1] == ["compile begun", "graph capture begun"]
    assert replay(eager, 60.0, gpu=False)[1] == ["compile begun"]
    assert replay(eager, 60.0, "--enforce-eager")[1] == []
    # vLLM takes both spellings; and its runner on a CPU says this line whatever the command line.
    for word in ("--enforce-eager", "--enforce_eager"):
        found, missing = replay(CPU, 150.0, word, gpu=False)
        assert "compile" not in found
        assert missing == []


def test_the_last_of_several_loads_and_ranks_ends_the_weights() -> None:
    drafter = """
37.5 (EngineCore pid=8) INFO 11-23 20:10:57 [g.py:5170] Loading drafter model...
37.9 (EngineCore pid=8) INFO 11-23 20:10:57 [d.py:430] Loading weights took 0.39 seconds
38.0 """
    assert replay(GPU.replace("\n38.0 ", drafter), 60.0)[0]["weights"] == pytest.approx(2.9)
    # Not when the model runs already.
    late = GPU.replace("\n44.0 ", "\n43.0 [d.py:430] Loading weights took 0.39 seconds\n44.0 ")
    assert replay(late, 60.0) == replay(GPU, 60.0)
    known = Phases("first", markers(engineprofile.load("sglang").data["markers"]))
    for at, text in (
        (1.0, "server_args=ServerArgs(model_path='m')"),
        (10.0, "[TP0] Load weight begin. avail mem=78.5 GB"),
        (10.2, "[TP1] Load weight begin. avail mem=78.5 GB"),
        (93.3, "[TP1] Load weight end. type=M, avail mem=40 GB, mem usage=38.5 GB."),
        (100.5, "[TP0] Load weight end. type=M, avail mem=40 GB, mem usage=38.5 GB."),
        (101.0, "[TP0] Memory pool end. avail mem=9 GB"),
    ):
        known.line(at, text)
    found = {one["name"]: one["seconds"] for one in known.result(110.0)}
    assert found["weights"] == pytest.approx(90.5)
    assert found["profiling and KV cache"] == pytest.approx(0.5)


def test_a_line_that_says_how_long_it_took_moves_the_edge_back() -> None:
    dynamo = "\n42.1 [b.py:1] Dynamo bytecode transform time: 3.5 s\n44.0 "
    found = replay(GPU.replace("\n44.0 ", dynamo), 60.0)[0]
    assert found["compile"] == pytest.approx(44.0 - 42.1 + 3.5)
    long = replay(GPU.replace("\n44.0 ", dynamo.replace("3.5", "99")), 60.0)[0]
    assert long["compile"] == pytest.approx(44.0 - 38.0)  # never before the edge ahead of it


def test_a_line_that_recurs_begins_nothing_again() -> None:
    again = GPU + "60.0 Loading safetensors checkpoint shards:   0% Completed | 0/2\n"
    assert replay(again, 62.0)[0]["weights"] == 2.0


def test_llama_servers_lines_are_told_apart() -> None:
    """In the words of its source; the line of the tensors has those of the line before in it."""
    known = Phases("first", markers(engineprofile.load("llama-server").data["markers"]))
    for at, text in (
        (1.0, "srv  llama_server: loading model"),
        (1.1, "srv    load_model: loading model 'm.gguf'"),
        (2.0, "load_tensors: loading model tensors, this can take a while... (load_mode = mmap)"),
        (4.0, "llama_context: constructing llama_context"),
        (
            5.0,
            "srv    load_model: initializing, n_slots = 4, n_ctx_slot = 512, kv_unified = 'true'",
        ),
        (6.0, "srv  llama_server: model loaded"),
    ):
        known.line(at, text)
    found = {one["name"]: one["seconds"] for one in known.result(7.0)}
    assert found["config and tokenizer"] == found["profiling and KV cache"] == 1.0
    assert found["weights"] == found["API start"] == 2.0
    assert known.missing() == []


def test_lines_after_ready_count_nowhere() -> None:
    assert replay(GPU, 36.0)[0]["weights"] == 1.0
    assert "compile" not in replay(GPU, 36.0)[0]


def test_phases_always_add_up() -> None:
    chance = seeded("phases")
    for _ in range(2000):
        names = [f"p{number}" for number in range(chance.randrange(1, 6))]
        pattern = "^{}( took (?P<back>.*))?$"
        known = [
            Marker(
                name, re.compile(pattern.format(name)), chance.choice([name, UNATTRIBUTED]), True
            )
            for name in names
        ]
        phases = Phases("first", known)
        at = 0.0
        for _ in range(chance.randrange(30)):
            at += chance.expovariate(10)
            took = chance.choice(["", "", f" took {chance.expovariate(1)}", " took nan", " took x"])
            phases.line(at, chance.choice(names) + took)
        load_s = round(chance.uniform(0.0, at + 1), 3)
        parts = phases.result(load_s)
        assert sum(round(one["seconds"] * 1000) for one in parts) == round(load_s * 1000)
        assert all(one["seconds"] >= 0 for one in parts)
        assert [one["name"] for one in parts].count("unattributed") == 1
        assert json.loads(json.dumps(parts)) == parts
        gaps = sum(one["seconds"] for one in phases.gaps(load_s))
        assert gaps == pytest.approx(parts[-1]["seconds"])


def test_nothing_said_is_the_first_phase() -> None:
    phases = Phases("unattributed", [], "a profile")
    assert phases.result(2.5) == [{"name": "unattributed", "seconds": 2.5}]
    assert phases.gaps(2.5) == [{"since": "process start", "seconds": 2.5, "to_name": "a profile"}]


def planted(folder: Path, stages: list[tuple[float, str]]) -> dict[str, float]:
    """Starts a server that shows lines after planned pauses, through the real launcher and log.

    Returns:
        for each phase, by how many seconds what was measured differs from what was planted. Planted
        is what the server did by its own clock: on a busy machine it sleeps longer than planned.
    """
    given = drive.job(folder, "ok", engine="vllm")
    record = folder / "planted.json"
    given["argv"] = [
        sys.executable, "-I", "-S", str(drive.HERE / "staged.py"), str(given["port"]),
        given["model_id"], str(record), json.dumps(stages),
    ]  # fmt: skip
    answer = drive.run(given)
    assert answer["waited"]["outcome"] == "ready", answer
    moments = [at - answer["started_at"] for at in json.loads(record.read_text())]
    expected: dict[str, float] = {}
    names = ["interpreter and imports", *(name for name, _ in STAGES)]
    ends = [*moments, answer["waited"]["load_s"]]
    for name, begun, over in zip(names, [0.0, *moments], ends, strict=True):
        expected[name] = expected.get(name, 0.0) + over - begun
    found = {one["name"]: one["seconds"] for one in answer["phases"]}
    assert {name for name, seconds in found.items() if seconds} == set(expected)
    assert answer["missing"] == []
    return {name: found[name] - seconds for name, seconds in expected.items()}


STAGES = [
    (str(marker["phase"]), words)
    for marker, words in zip(
        engineprofile.load("vllm").data["markers"],
        [
            "INFO 11-23 20:07:29 [api_utils.py:273] non-default args: {'port': 1}",
            "INFO 11-23 20:07:29 [model.py:1725] Using max model len 4096",
            "INFO 11-23 20:07:50 [core.py:114] Initializing a V1 LLM engine (v0.24.0) with config:",
            "[parallel_state.py:1588] world_size=1 rank=0 local_rank=0 backend=nccl",
            "[gpu_model_runner.py:5160] Starting to load model m...",
            "[weight_utils.py:849] Filesystem type for checkpoints: EXT4. Checkpoint size: 3 GiB.",
            "[default_loader.py:430] Loading weights took 0.10 seconds",
            "[gpu_model_runner.py:5255] Model loading took 2.88 GiB memory and 3.1 seconds",
            "[backends.py:1089] Using cache directory: /c for vLLM's torch.compile",
            "[monitor.py:53] torch.compile took 0.10 s in total",
            "[monitor.py:81] Initial profiling/warmup run took 0.00 s",
            "[x.py:1] Warming up done.",
            "[gpu_model_runner.py:6483] Profiling CUDA graph memory: PIECEWISE=51",
            "[kv_cache_utils.py:2146] GPU KV cache size: 2,512,400 tokens",
            "Capturing CUDA graphs (decode, FULL):   0%|          | 0/51",
            "[gpu_model_runner.py:6656] Graph capturing finished in 6 secs, took 0.42 GiB",
            "[core.py:337] init engine (profile, create kv cache, warmup model) took 1.00 s",
        ],
        strict=True,
    )
]


def test_planted_phases_are_measured_within_50_ms(tmp_path: Path) -> None:
    chance = seeded("planted")
    stages = [(round(chance.uniform(0.08, 0.3), 3), words) for _, words in STAGES]
    worst = []
    for number in range(3):  # a busy machine may hold up the reader of one start
        folder = tmp_path / str(number)
        folder.mkdir()
        off = planted(folder, stages)
        worst.append(max(map(abs, off.values())))
        if worst[-1] <= 0.05:
            break
    print("planted phases: worst deviation of each start, s:", worst)
    assert min(worst) <= 0.05
