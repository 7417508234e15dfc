"""Logs of real starts, replayed by their own time stamps, are told apart into phases."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from coldproof_agent import engineprofile
from coldproof_agent.phases import Phases, markers

LOGS = Path(__file__).parents[2] / "corpus/engine-logs"
STAMP = re.compile(r"(?:\d{4}-)?11-23 (\d\d):(\d\d):(\d\d)")
ANSWERED = '"GET /v1/models HTTP/1.1" 200'

# Log, its load_s, whether it had a GPU; then for each phase the least and most plausible seconds.
# The stamps are whole seconds, so each edge may be one off.
STARTS: dict[str, tuple[float, bool, dict[str, tuple[float, float]]]] = {
    "vllm-0.24-h100-warm1.log": (
        66.7,
        True,
        {
            "interpreter and imports": (14, 18),
            "config and tokenizer": (0, 1),
            "engine process start": (21, 24),
            "weights": (0, 1.5),
            "compile": (2.2, 4.5),
            "profiling and KV cache": (1, 4),
            "kernel warm-up and autotune": (0, 3),
            "graph capture": (5, 7),
            "API start": (1, 3),
            "unattributed": (13, 18),
        },
    ),
    "vllm-0.24-h100-cold1.log": (
        82.4,
        True,
        {
            "interpreter and imports": (29, 32),
            "engine process start": (23, 29),
            "weights": (1, 3.2),
            "compile": (3.5, 7),
            "graph capture": (6, 8),
            "unattributed": (4, 8),
        },
    ),
    "vllm-0.24-h100-prime.log": (
        207.4,
        True,
        {
            "interpreter and imports": (16, 20),
            "config and tokenizer": (21, 23),
            "engine process start": (23, 25),
            "weights": (0, 1.5),
            "compile": (19, 21.5),
            "graph capture": (3, 6),
            "unattributed": (108, 118),
        },
    ),
    "vllm-0.32-cpu-prime.log": (
        150.0,
        False,
        {
            "interpreter and imports": (10, 14),
            "config and tokenizer": (8, 10),
            "engine process start": (16, 18),
            "weights": (4, 6),
            "compile": (84, 88),
            "profiling and KV cache": (0, 1),
            "API start": (0, 2),
            "unattributed": (16, 21),
        },
    ),
}


def replay(name: str) -> Phases:
    """Feeds a log to the profile's markers, as far as the first answered readiness poll."""
    load_s, gpu, _ = STARTS[name]
    data = engineprofile.load("vllm").data
    argv = ["vllm", "serve", "/srv/models/m"]
    known = Phases(str(data["first_phase"]), markers(data["markers"], argv, gpu))
    lines: list[tuple[float, str]] = []
    for text in (LOGS / name).read_text("utf-8").splitlines():
        found = STAMP.search(text)
        time = lines[-1][0] if lines else 0.0
        if found:
            hours, minutes, seconds = map(int, found.groups())
            time = datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        if found and lines and not lines[0][0]:  # what came before the first stamp came with it
            lines = [(time, earlier) for _, earlier in lines]
        lines.append((time, text))
        if ANSWERED in text:
            break
    begun = lines[-1][0] - load_s
    for at, text in lines:
        known.line(at - begun, text)
    return known


@pytest.mark.parametrize("name", STARTS)
def test_a_real_start_is_told_apart(name: str) -> None:
    load_s, _, plausible = STARTS[name]
    known = replay(name)
    found = {one["name"]: one["seconds"] for one in known.result(load_s)}
    print(name, found, known.gaps(load_s))
    assert sum(found.values()) == pytest.approx(load_s)
    for phase, (least, most) in plausible.items():
        assert least <= found[phase] <= most, (phase, found)
    assert known.missing() == []


@pytest.mark.parametrize("name", STARTS)
def test_what_is_unattributed_is_stated_with_what_would_name_it(name: str) -> None:
    load_s = STARTS[name][0]
    known = replay(name)
    gaps = known.gaps(load_s)
    found = {one["name"]: one["seconds"] for one in known.result(load_s)}
    assert sum(one["seconds"] for one in gaps) == pytest.approx(found["unattributed"])
    assert gaps
    assert all(one["to_name"] for one in gaps)


def test_the_first_start_ever_spent_its_time_in_silence_after_the_first_run() -> None:
    """108 s in which nothing was logged: FlashInfer and Triton built their kernels."""
    longest = max(replay("vllm-0.24-h100-prime.log").gaps(207.4), key=lambda one: one["seconds"])
    assert longest["since"] == "first run"
    assert 106 <= longest["seconds"] <= 110
    assert "kernels" in longest["to_name"]


# Logs as the agent keeps them: seconds since the process start before each line. The engine, its
# load_s, and the seconds of each phase that it was recorded with.
STAMPED: dict[str, tuple[str, float, dict[str, float]]] = {
    "llama-server-0.5-cpu-cold.log": (
        "llama-server",
        1.166,
        {
            "interpreter and imports": 0.057,
            "config and tokenizer": 0.018,
            "weights": 0.153,
            "profiling and KV cache": 0.057,
            "kernel warm-up and autotune": 0.859,
            "API start": 0.022,
            "unattributed": 0.0,
        },
    ),
    "transformers-5.24-cpu-cold.log": (
        "transformers",
        8.775,
        {
            "interpreter and imports": 5.27,
            "config and tokenizer": 2.128,
            "weights": 1.227,
            "API start": 0.093,
            "unattributed": 0.057,
        },
    ),
}


def stamped(name: str, only: str = "") -> Phases:
    """Feeds a stamped log to its profile's markers, or only the lines that look so."""
    data = engineprofile.load(STAMPED[name][0]).data
    known = Phases(str(data["first_phase"]), markers(data["markers"], gpu=False))
    for text in (LOGS / name).read_text("utf-8").splitlines():
        at, _, line = text.partition(" ")
        if re.search(only, line):
            known.line(float(at), line)
    return known


@pytest.mark.parametrize("name", STAMPED)
def test_a_stamped_log_is_told_apart_as_it_was_recorded(name: str) -> None:
    _, load_s, phases = STAMPED[name]
    known = stamped(name)
    found = {one["name"]: one["seconds"] for one in known.result(load_s)}
    assert found == pytest.approx(phases, abs=0.0015)
    assert known.missing() == []


def test_llama_server_names_its_weights_only_at_the_verbosity_that_the_profile_asks_for() -> None:
    """At its default, 3, only its server's own lines of information come, and none of llama.cpp."""
    name = "llama-server-0.5-cpu-cold.log"
    assert engineprofile.load("llama-server").data["env"] == {"LLAMA_ARG_LOG_VERBOSITY": "4"}
    default = r" I srv .*(initializing|loading model|model loaded|listening)"
    assert stamped(name, default).missing() == ["weights begun", "context begun"]
