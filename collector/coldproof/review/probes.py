"""Thresholds of a startup probe and the engine's own time-out, by the slowest of all starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from coldproof.fleet.analysis import Fleet
from coldproof.groups import Entry
from coldproof.policy import Policy
from coldproof.runs import Run

READY_TIMEOUT = {"vllm": "VLLM_ENGINE_READY_TIMEOUT_S"}  # by engine: its variable, seconds
LEADING = ("interpreter and imports", "config and tokenizer")
ROUND_S = 10


@dataclass(frozen=True)
class Probe:
    """What one hardware class, tier and variant needs. Seconds; `slowest` is any start at all.

    `censored` are starts that ended without being ready: how long they would have taken is
    unknown, so the thresholds are too low if they were on their way. `lead_s` is how long the
    server runs before its own time-out begins to count, at most.
    """

    hardware: int | None
    tier: str
    variant: str
    slowest: Run
    slowest_s: float
    n: int
    first_ever: int
    censored: int
    lead_s: float
    period_s: int
    failure_threshold: int
    ready_timeout_s: int
    variable: str | None


def probes(fleet: Fleet, policy: Policy) -> list[Probe]:
    """Return the thresholds of each hardware class, tier and variant with a start, sorted."""
    cells: dict[tuple[int | None, str, str], list[Entry]] = {}
    for entry in fleet.entries:
        kind = fleet.hardware.get(entry.place.node)
        number = fleet.classes[kind] if kind else None
        cells.setdefault((number, entry.place.tier, entry.place.variant), []).append(entry)
    ordered = sorted(cells, key=lambda key: (key[0] or 0, *key[1:]))
    found = (_probe(key, cells[key], policy) for key in ordered)
    return [one for one in found if one]


def _probe(
    key: tuple[int | None, str, str], entries: Sequence[Entry], policy: Policy
) -> Probe | None:
    starts = [(_took(run), run) for entry in entries for run in entry.attempts]
    timed = [(took, run) for took, run in starts if took is not None]
    if not timed:
        return None
    slowest_s, slowest = max(timed, key=lambda item: (item[0], item[1].order))
    ready_timeout_s = _up(slowest_s * policy.margin, ROUND_S) * ROUND_S
    variable = READY_TIMEOUT.get(slowest.engine)
    lead_s = _lead([run for _, run in timed], slowest_s) if variable else 0.0
    return Probe(
        *key,
        slowest=slowest,
        slowest_s=slowest_s,
        n=len(timed),
        first_ever=sum(run.mode == "prime" and run.compile == "miss" for _, run in timed),
        censored=sum(run.failed for _, run in starts),
        lead_s=lead_s,
        period_s=policy.period_s,
        # The first probe may come at once: so many failures last one period less.
        failure_threshold=_up(ready_timeout_s + lead_s, policy.period_s) + 1,
        ready_timeout_s=ready_timeout_s,
        variable=variable,
    )


def _up(seconds: float, step: int) -> int:
    """Return the steps that `seconds` take, rounded up; 110.00000000000001 s are 110."""
    return math.ceil(round(seconds / step, 6))


def _lead(runs: Sequence[Run], slowest_s: float) -> float:
    """Return the longest that the phases before the engine's process took.

    Where no start tells its phases, it cannot have been longer than the slowest of them.
    """
    known = [
        sum(run.phases.get(name, 0.0) for name in LEADING)
        for run in runs
        if any(name in run.phases for name in LEADING)
    ]
    ready = [run.load_s for run in runs if run.load_s is not None]
    return max(known or ready, default=slowest_s)


def _took(run: Run) -> float | None:
    """Return how long a start took, or at least would have taken, seconds."""
    return run.load_s if run.load_s is not None else run.elapsed_s
