"""Hit, miss, disabled or unknown: by the engine's own words, and by what is in its folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldproof_agent import compilecache, engineprofile
from coldproof_agent.compilecache import Snapshot, Watch

EMPTY, SOME, MORE = (Snapshot(n, n, 0.0, str(n)) for n in (0, 1, 2))
LOADED = "INFO [backends.py:292] Directly load the compiled graph(s) for compile range (1, 8) from"
TAGGED = "INFO [decorators.py:320] [backbone] Directly load AOT compilation from path /c"
COMPILED = "INFO [backends.py:393] [backbone] Compiling a graph for compile range (1, 8192) takes 9"
SAVED = "INFO [decorators.py:743] [backbone] saved AOT compiled function to /home/user/.cache"
OFF = "INFO [backends.py:1102] vLLM's torch.compile cache is disabled."
EAGER = "WARNING [vllm.py:1] Enforce eager set, disabling torch.compile and CUDAGraphs."


@pytest.mark.parametrize(
    ("lines", "argv", "before", "after", "expected"),
    [
        ([LOADED], [], SOME, SOME, "hit"),
        ([TAGGED], [], SOME, SOME, "hit"),
        ([LOADED], [], SOME, MORE, "miss"),
        ([COMPILED], [], SOME, SOME, "miss"),
        ([SAVED], [], EMPTY, SOME, "miss"),
        ([LOADED, COMPILED], [], SOME, SOME, "miss"),
        ([], [], SOME, SOME, "hit"),
        ([], [], EMPTY, SOME, "miss"),
        ([], [], EMPTY, EMPTY, "disabled"),
        ([OFF], [], SOME, SOME, "disabled"),
        ([EAGER], [], SOME, SOME, "disabled"),
        ([], ["--enforce-eager"], SOME, SOME, "disabled"),
        ([], ["--enforce_eager"], SOME, SOME, "disabled"),
    ],
)
def test_state_of_the_compile_caches(
    lines: list[str], argv: list[str], before: Snapshot, after: Snapshot, expected: str
) -> None:
    watch = Watch(engineprofile.load("vllm").data["compile"])
    for line in lines:
        watch.line(line)
    assert watch.verdict(argv, before, after, known=True) == expected


def test_without_known_folders_the_profile_decides() -> None:
    assert Watch({"default": "unknown"}).verdict([], EMPTY, EMPTY, known=False) == "unknown"


def test_a_snapshot_counts_files_bytes_and_the_newest_change(tmp_path: Path) -> None:
    first = compilecache.look([str(tmp_path), str(tmp_path / "absent")])
    assert first.as_dict() == {"files": 0, "bytes": 0, "newest": 0.0}
    (tmp_path / "a").write_bytes(b"12345")
    second = compilecache.look([str(tmp_path)])
    assert (second.files, second.bytes) == (1, 5)
    assert second.newest == pytest.approx((tmp_path / "a").stat().st_mtime)
    (tmp_path / "a").write_bytes(b"54321")  # rewritten as it was: no change
    assert compilecache.look([str(tmp_path)]).digest == second.digest != first.digest


def test_flashinfers_folder_lies_below_its_base() -> None:
    where = engineprofile.Place("/usr/bin/python3", "/i", "u", "/home/u")
    profile = engineprofile.load("vllm")
    assert "/home/u/.cache/flashinfer" in engineprofile.cache_folders(profile, where, {}, [])
    env = {"FLASHINFER_WORKSPACE_BASE": "/data", "VLLM_CACHE_ROOT": "/v"}
    found = engineprofile.cache_folders(profile, where, env, ["/more"])
    assert {"/data/.cache/flashinfer", "/v", "/more"} <= set(found)


def test_a_home_that_is_given_is_where_they_lie() -> None:
    where = engineprofile.Place("/usr/bin/python3", "/i", "u", "/home/u")
    found = engineprofile.cache_folders(
        engineprofile.load("sglang"), where, {"HOME": "/scratch/h"}, []
    )
    assert "/scratch/h/.cache/sglang" in found
    assert not any(one.startswith("/home/u") for one in found)
