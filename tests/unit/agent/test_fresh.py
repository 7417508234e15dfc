"""Fresh compile caches and the first token, with real starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import engineprofile, firsttoken, freshcache, ready
from coldproof_agent.errors import Refusal
from tests.unit.agent import plans
from tests.unit.agent.drivers import drive

RunAgent = Callable[..., subprocess.CompletedProcess[str]]
# An engine that compiles: it fills the folder it is told, if that is empty.
COMPILER = """
import os, pathlib, runpy, sys
for name in ("VLLM_CACHE_ROOT", "TRITON_CACHE_DIR"):
    folder = pathlib.Path(os.environ.get(name) or os.environ["HOME"] + "/" + name)
    folder.mkdir(parents=True, exist_ok=True)
    print(name, "held", len(list(folder.iterdir())), flush=True)
    (folder / "kernel").write_text("compiled")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def compiler(tmp_path: Path) -> list[str]:
    """A command line: the reference server behind an engine that compiles."""
    program = tmp_path / "compiler.py"
    program.write_text(COMPILER)
    server = drive.SOURCE / "coldproof_agent/reference_server.py"
    return [
        sys.executable, str(program), str(server), "--model", "{model_path}", "--host", "{host}",
        "--port", "{port}", "--served-model-name", "{served_model_name}",
    ]  # fmt: skip


def campaign(
    run_agent: RunAgent, folder: Path, model: Path, python: Path, **settings: Any
) -> list[dict[str, Any]]:
    """Carries out one pair. Returns its records."""
    state = folder / "state"
    local = {"engine_python": str(python), "engine_files": [str(folder)]}
    name = plans.put(state, plans.make(model, engine="vllm", local=local, **settings))
    done = run_agent("run", "--state", state, HOME=str(folder))
    assert done.returncode == 0, done.stderr + (state / "status.json").read_text()
    lines = (state / "campaigns" / name / "runs.jsonl").read_text().splitlines()
    assert not (state / "campaigns" / name / freshcache.FOLDER).exists()
    return [json.loads(line) for line in lines]


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter beside which a package of vLLM's name lies."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/lib/python3.11/site-packages/vllm").mkdir(parents=True)
    (tmp_path / "venv/pyvenv.cfg").touch()
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    return tmp_path / "venv/bin/python"


def test_fresh_starts_each_find_empty_caches(
    run_agent: RunAgent, tmp_path: Path, model: Path, compiler: list[str], python: Path
) -> None:
    records = campaign(
        run_agent, tmp_path, model, python, engine_command=compiler, compile_cache="fresh"
    )
    assert [one["mode"] for one in records] == ["prime", "cold", "warm"]
    for one in records:
        assert one["compile"] == "miss"
        assert one["compile_cache"]["mode"] == "fresh"
        assert one["compile_cache"]["before"]["files"] == 0
        assert one["compile_cache"]["after"]["files"] == 2
        assert "fresh_compile_cache" in one["flags"]
        assert "VLLM_CACHE_ROOT held 0" in " ".join(one["log"]["tail"])
    assert not (tmp_path / "VLLM_CACHE_ROOT").exists()


def test_kept_caches_are_filled_by_the_first_start(
    run_agent: RunAgent, tmp_path: Path, model: Path, compiler: list[str], python: Path
) -> None:
    env = {"VLLM_CACHE_ROOT": str(tmp_path / "kept"), "TRITON_CACHE_DIR": str(tmp_path / "triton")}
    records = campaign(run_agent, tmp_path, model, python, engine_command=compiler, engine_env=env)
    assert [one["mode"] for one in records] == ["prime", "prime", "cold", "warm"]
    assert [one["compile"] for one in records] == ["miss", "hit", "hit", "hit"]
    assert records[0]["compile_cache"]["after"]["bytes"] == 2 * len("compiled")
    assert records[-1]["compile_cache"]["mode"] == "keep"


def test_an_engine_whose_caches_are_unknown_is_refused(tmp_path: Path) -> None:
    data = engineprofile.load("custom").data
    with pytest.raises(Refusal, match="custom") as refused:
        freshcache.check(data, tmp_path / "x", os.geteuid())
    assert refused.value.variable == "coldproof_compile_cache"
    freshcache.check(engineprofile.load("reference").data, tmp_path / "x", os.geteuid())


def test_a_folder_that_the_servers_user_cannot_reach_is_refused(tmp_path: Path) -> None:
    data = engineprofile.load("vllm").data
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Refusal, match="cannot reach") as refused:
        freshcache.check(data, closed / "state/compile-cache", 65534)
    assert refused.value.variable == "coldproof_state_dir"
    freshcache.check(data, closed / "state/compile-cache", os.geteuid())
    freshcache.check(data, Path("/var/tmp/coldproof/compile-cache"), 65534)


def test_a_link_in_the_private_folder_is_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    root = tmp_path / "root"
    freshcache.empty(root, [str(root / "a/b"), str(tmp_path / "outside")], None, None)
    assert (root / "a/b").is_dir()
    assert not (tmp_path / "outside").exists()
    (root / "link").symlink_to(kept)
    freshcache.remove(root)
    freshcache.remove(root)
    assert (kept / "file").exists()


def test_the_first_token_is_an_edge_outside_load_s(
    measure: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    measure("cold", "--first-token")
    path = next((tmp_path / "state/campaigns").glob("*/runs.jsonl"))
    for line in path.read_text().splitlines():
        one = json.loads(line)
        assert one["first_token"]["problem"] is None
        edge = one["load_s"] + one["first_token"]["seconds"]
        assert one["edges"]["first_token"] == pytest.approx(edge, abs=0.0015)
        assert one["edges"]["ready"] == one["load_s"]


def test_a_token_that_does_not_come_is_told() -> None:
    port = ready.free_port("127.0.0.1", 0)
    check = ready.Check("127.0.0.1", port, "/v1/models", None, "m", 5.0)
    completion = dict(engineprofile.load("vllm").data["completion"])
    found = firsttoken.ask(check, completion)
    assert found["seconds"] is None
    assert found["problem"]
    for behaviour, words in (("wrong", "without a choice"), ("short", "cut off")):
        job = [sys.executable, "-I", "-S", str(drive.HERE / "server.py"), behaviour, str(port), "m"]
        with subprocess.Popen(job, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"listening\n"
            found = firsttoken.ask(check, completion)
            child.kill()
        assert found["seconds"] is None
        assert words in found["problem"]
