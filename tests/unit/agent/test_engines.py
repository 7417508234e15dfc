"""Engine profiles: what is started, what is refused, which files are the weights."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import cmdline, engineprofile, engineprogram, loaders, weights
from coldproof_agent.errors import Refusal
from coldproof_agent.logwatch import LogWatch
from coldproof_agent.phases import markers

VALUES = {
    "model_path": "/m", "model_file": "/m/a.gguf", "host": "127.0.0.1", "port": "7",
    "served_model_name": "nonce", "max_model_len": "2048",
}  # fmt: skip


@pytest.fixture
def llama(tmp_path: Path) -> str:
    """A program that only knows its version, and counts how often it was asked."""
    program = tmp_path / "llama/llama-server"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\necho asked >> $(dirname $0)/asked\necho 'version: 7000 (abc)' >&2\n"
    )
    program.chmod(0o755)
    return str(program)


def argv(engine: str, command: list[str], python: str = sys.executable) -> list[str]:
    where = engineprofile.Place(python, "/i", "u", "/home/u")
    return engineprofile.argv(engineprofile.load(engine), where, command, VALUES)


@pytest.mark.parametrize("name", engineprofile.NAMES)
def test_every_profile_is_whole(name: str) -> None:
    data = engineprofile.load(name).data
    assert data["name"] == name
    assert data["title"]
    found = markers(data["markers"])
    assert len({one.name for one in found}) == len(found)
    assert all(one.to_name for one in found if one.phase == "unattributed")
    for one in found:
        assert set(one.after) <= {other.name for other in found}
    LogWatch(data)
    for one in data.get("loaders", ()):
        assert one["kind"] in (
            loaders.BYPASSES, loaders.MAY_BYPASS, loaders.DROPS, loaders.ELSEWHERE
        )  # fmt: skip
        assert one["why"]


def test_llama_server_is_started_with_its_alias(llama: str) -> None:
    words = argv("llama-server", [llama])
    assert words[0] == llama
    assert cmdline.value(words, ["--model"]) == "/m/a.gguf"
    assert cmdline.value(words, ["--alias"]) == "nonce"
    given = [llama, "-m", "{model_file}", "--port", "{port}", "--alias", "{served_model_name}"]
    assert argv("llama-server", given)[2] == "/m/a.gguf"


def test_the_model_id_is_what_the_command_line_can_tell() -> None:
    def known(engine: str, *command: str) -> str | None:
        return engineprofile.model_id(engineprofile.load(engine), command, VALUES)

    assert known("vllm") == known("sglang") == known("llama-server") == "nonce"
    assert known("transformers") == "/m"
    assert known("llama-server", "/opt/llama-server") == "nonce"
    assert known("vllm", "vllm", "serve", "{model_path}") is None
    assert known("vllm", "vllm", "serve", "--served-model-name={served_model_name}") == "nonce"
    assert known("transformers", "transformers", "serve", "{model_path}") == "/m"
    assert known("custom", "serve", "{served_model_name}") == "nonce"
    assert known("custom") is None


def test_engines_that_are_ready_without_a_model_are_refused() -> None:
    llama = engineprofile.load("llama-server").data
    lazy = engineprofile.load("transformers").data
    for data, words in (
        (llama, ["llama-server", "--port", "7"]),
        (llama, ["llama-server", "--models-dir", "/m"]),
        (lazy, ["transformers", "serve", "--port", "7"]),
    ):
        with pytest.raises(Refusal, match="ready at once") as refused:
            engineprogram.need_model(data, words, "/m")
        assert refused.value.variable == "coldproof_engine_command"
    engineprogram.need_model(llama, ["llama-server", "-m", "/m/a.gguf"], "/m")
    engineprogram.need_model(lazy, ["transformers", "serve", "/m"], "/m")
    engineprogram.need_model(engineprofile.load("vllm").data, ["vllm"], "/m")


def test_a_program_is_asked_for_its_version_once(llama: str, tmp_path: Path) -> None:
    data = engineprofile.load("llama-server").data
    asked = Path(llama).parent / "asked"
    for _ in range(3):
        assert engineprogram.version(data, [llama], tmp_path) == "7000 (abc)"
    assert asked.read_text() == "asked\n"
    os.utime(llama, ns=(1, 1))
    engineprogram.version(data, [llama], tmp_path)
    assert asked.read_text() == "asked\nasked\n"
    assert engineprogram.version(data, ["/nowhere/llama-server"], tmp_path) is None


def test_the_files_of_a_program_are_its_folder_or_itself(llama: str) -> None:
    data = engineprofile.load("llama-server").data
    assert engineprogram.roots(data, [llama]) == [str(Path(llama).parent)]
    shared = engineprogram.roots(data, ["env"])
    assert [os.path.basename(one) for one in shared] in (["env"], ["coreutils"])
    assert engineprogram.roots(data, ["/nowhere/llama-server"]) == []


def gguf(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"GGUF" + name.encode() * 100)
    return folder


def test_gguf_weights_are_one_file_or_all_its_parts(tmp_path: Path) -> None:
    data = engineprofile.load("llama-server").data

    def named(path: Path) -> list[str]:
        return [os.path.basename(one) for one in weights.model_files(str(path), data)]

    one = gguf(tmp_path / "one", "model-q4.gguf", "mmproj-model.gguf", "README.md")
    assert named(one) == named(one / "model-q4.gguf") == ["model-q4.gguf"]
    parts = [f"m-{number:05d}-of-00003.gguf" for number in (1, 2, 3)]
    split = gguf(tmp_path / "split", *parts)
    assert named(split) == named(split / parts[0]) == named(split / parts[2]) == parts
    assert len(weights.of(str(split), data)) == 3
    (split / parts[1]).unlink()
    with pytest.raises(Refusal, match="not whole"):
        weights.of(str(split), data)
    with pytest.raises(Refusal, match="2 models") as refused:
        weights.of(str(gguf(tmp_path / "one", "model-q8.gguf")), data)
    assert refused.value.variable == "coldproof_tiers"
    with pytest.raises(Refusal, match="holds no"):
        weights.of(str(gguf(tmp_path / "none", "x.safetensors")), data)
    gguf(tmp_path / "torn", "m.gguf", "n.gguf.incomplete")
    with pytest.raises(Refusal, match="unfinished"):
        weights.of(str(tmp_path / "torn"), data)


def test_names_of_parts_in_a_hugging_face_cache_are_the_links(tmp_path: Path) -> None:
    blobs = gguf(tmp_path / "blobs", "abc", "def")
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for number, blob in enumerate(("abc", "def"), 1):
        (snapshot / f"m-{number:05d}-of-00002.gguf").symlink_to(blobs / blob)
    data = engineprofile.load("llama-server").data
    files = weights.model_files(str(snapshot), data)
    assert [os.path.basename(one) for one in files] == [
        "m-00001-of-00002.gguf",
        "m-00002-of-00002.gguf",
    ]
    assert [os.path.basename(one.path) for one in weights.of(str(snapshot), data)] == ["abc", "def"]


LOADERS: list[tuple[str, list[str], dict[str, str], str | None]] = [
    ("vllm", ["--load-format", "instanttensor"], {}, "instanttensor"),
    ("vllm", ["--load_format=RUNAI_streamer"], {}, "runai_streamer"),
    ("vllm", ["--load-format", "instanttensor", "--load-format", "auto"], {}, None),
    ("vllm", ["--load-format", "ipc_cache"], {}, "ipc_cache"),
    ("vllm", ["--load-format", "safetensors"], {}, None),
    ("vllm-module", ["--load-format=fastsafetensors"], {}, "fastsafetensors"),
    ("sglang", ["--weight-loader-drop-cache-after-load"], {}, "drop_cache"),
    ("sglang", ["--load-format", "remote"], {}, "remote"),
    ("llama-server", ["-lm", "dio"], {}, "direct_io"),
    ("llama-server", ["--direct-io"], {}, "direct_io"),
    ("llama-server", ["-dio", "--no-direct-io"], {}, None),
    ("llama-server", [], {"LLAMA_ARG_LOAD_MODE": "dio"}, "direct_io"),
    ("llama-server", ["-lm", "mmap"], {"LLAMA_ARG_HOST": "dio"}, None),
    ("transformers", [], {}, None),
]


@pytest.mark.parametrize(("engine", "words", "env", "expected"), LOADERS)
def test_loaders_are_known_by_the_command_line(
    engine: str, words: list[str], env: dict[str, str], expected: str | None
) -> None:
    found = loaders.recognise(engineprofile.load(engine).data, ["serve", *words], env)
    assert (found.name if found else None) == expected


def test_ranks_multiply() -> None:
    data = engineprofile.load("vllm").data
    assert loaders.ranks(data, ["-tp", "4", "--pipeline-parallel-size=2"]) == 8
    assert loaders.ranks(data, ["-tp", "x"]) == loaders.ranks(data, []) == 1


def test_what_the_log_tells_is_captured_once() -> None:
    told = LogWatch(engineprofile.load("vllm").data)
    for line in (
        "(EngineCore pid=1) INFO Model loading took 2.97 GiB memory and 1.181970 seconds",
        "(EngineCore pid=1) INFO Available KV cache memory: 67.09 GiB",
        "GPU KV cache size: 2,512,400 tokens",
        "Graph capturing finished in 6 secs, took 0.42 GiB",
        "Model loading took 9.99 GiB memory",
        "Model loading took .. GiB",
    ):
        told.line(1.0, line)
    assert {name: one["value"] for name, one in told.values().items()} == {
        "weights_gib": 2.97, "kv_cache_gib": 67.09, "kv_cache_tokens": 2512400, "graphs_gib": 0.42
    }  # fmt: skip


def test_profiles_hold_no_pattern_that_matches_everything() -> None:
    for name in engineprofile.NAMES:
        data: dict[str, Any] = dict(engineprofile.load(name).data)
        for one in data["markers"]:
            assert not re.search(one["pattern"], "INFO: something else"), (name, one["name"])
