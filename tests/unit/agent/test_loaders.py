"""Loaders that do not read through the page cache are judged by their own rule."""

from __future__ import annotations

from typing import Any

import pytest

from coldproof_agent.loaders import Loading
from coldproof_agent.verdict import judge
from tests.unit.agent.test_verdict import GIB, WARM, evidence, look

DIRECT = Loading("direct_io", "bypasses", "it reads with direct I/O", True)
DROPS = Loading("drop_cache", "drops", "it drops what it read", True)
MAYBE = Loading("fastsafetensors", "may_bypass", "it reads to the GPU", False)
ELSEWHERE = Loading("ipc_cache", "elsewhere", "its weights come from a process", True)
AGAIN: dict[str, Any] = {**WARM, "process_bytes": GIB, "devices": (GIB, GIB)}

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("warm, all read again", {**AGAIN, "loading": DIRECT}, "unproven", "by design"),
    ("warm, all read again by each rank",
     {**AGAIN, "process_bytes": 4 * GIB, "loading": DIRECT, "ranks": 4}, "unproven", "by design"),
    ("warm, a part read again", {**AGAIN, "process_bytes": GIB // 2, "loading": MAYBE},
     "unproven", "by design"),
    ("warm, nothing resident", {**AGAIN, "weights": look(0.0), "loading": DROPS},
     "unproven", "by design"),
    ("warm, nothing resident, nothing counted", {**WARM, "weights": look(0.0), "loading": MAYBE},
     "unproven", "0.0 % of the weights"),
    ("warm, and it used the cache all the same", {**WARM, "loading": MAYBE}, "proven_warm", ""),
    ("warm, engine files cold", {**AGAIN, "engine": look(0.0), "loading": DIRECT},
     "refuted", "engine files"),
    ("warm, weights from elsewhere", {**WARM, "loading": ELSEWHERE}, "unproven", "neither"),
    ("cold", {"loading": DIRECT}, "proven_cold", ""),
    ("cold, but it read nothing", {"loading": DIRECT, "process_bytes": 0}, "refuted", "in a cache"),
    ("cold, read where no counter looks", {"loading": MAYBE, "process_bytes": 0, "devices": (0, 0)},
     "unproven", "say nothing of the weights"),
    ("cold, weights from elsewhere", {"loading": ELSEWHERE, "process_bytes": 0, "devices": (0, 0)},
     "unproven", "neither"),
    ("cold and resident all the same", {"loading": DIRECT, "weights": look(1.0)},
     "refuted", "resident"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "state", "words"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_a_loader_is_judged_by_its_own_rule(
    changes: dict[str, Any], state: str, words: str
) -> None:
    found = judge(evidence(**changes))
    assert found.state == state, found
    assert words in "; ".join(found.reasons)
    loading = changes["loading"]
    assert f"loader_{loading.name}_{loading.kind}" in found.flags


def test_an_ordinary_loader_that_reads_again_is_refuted() -> None:
    assert judge(evidence(**AGAIN)).state == "refuted"


def test_ranks_read_through_the_cache_once_and_past_it_each() -> None:
    """With a page cache between them, four ranks make storage deliver the files once."""
    four = {"process_bytes": 5 * GIB, "devices": (5 * GIB, 5 * GIB)}
    assert "bytes_above_expected" in judge(evidence(**four, ranks=4)).flags
    once = judge(evidence(ranks=4))
    assert (once.state, once.flags) == ("proven_cold", [])
    each = judge(evidence(**four, ranks=4, loading=DIRECT))
    assert each.state == "proven_cold"
    assert "bytes_above_expected" not in each.flags
    assert "bytes_above_expected" in judge(evidence(**four, ranks=1, loading=DIRECT)).flags
