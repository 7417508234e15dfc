"""One run (one start of the server) as the collector sees it, whatever file it came from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

MODES = ("prime", "cold", "warm")
OUTCOMES = ("ready", "timeout", "crashed", "wrong_model", "foreign_listener", "oom",
            "interrupted", "not_started")  # fmt: skip
STATES = ("proven_cold", "proven_warm", "unproven", "refuted", "not_applicable")
COMPILE = ("hit", "miss", "disabled", "unknown")
ABANDONED = ("interrupted", "not_started")
PROVEN = {"cold": "proven_cold", "warm": "proven_warm"}
WEIGHTS_PHASE = "weights"
SECONDS_LIMIT = 1e9
NOTHING: Mapping[str, Any] = MappingProxyType({})  # shared: a million rows have no record
NO_EVIDENCE = "no evidence recorded"


@dataclass(frozen=True, slots=True)
class Run:
    """A run's facts. Times in seconds, memory in MiB; None means not known.

    `record` is the full record of runs.jsonl, empty for a row that only the CSV holds.
    `phases` maps a phase's name to its seconds; empty if none were recorded.
    """

    node: str
    run_id: str
    seq: int | None
    tier: str
    variant: str
    mode: str
    model: str
    max_model_len: str
    load_s: float | None
    elapsed_s: float | None
    gpu_mem_used_mb: float | None
    outcome: str
    outcome_detail: str | None
    state: str
    scope: str | None
    method: str | None
    compile: str
    compile_changed: bool | None
    engine: str
    pair: int | None
    concurrency: int | None
    manifest: str | None
    resolution_s: float | None
    engine_version: str | None = None
    phases: Mapping[str, float] = field(default_factory=lambda: NOTHING)
    flags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    notes: str = ""
    record: Mapping[str, Any] = field(default_factory=lambda: NOTHING)

    @property
    def ready(self) -> bool:
        """Whether the server became ready."""
        return self.outcome == "ready" and self.load_s is not None

    @property
    def proven(self) -> bool:
        """Whether the run became ready in the proven state of its mode."""
        return self.ready and self.state == PROVEN.get(self.mode)

    @property
    def failed(self) -> bool:
        """Whether the server ended without being ready: a right-censored observation."""
        return self.outcome != "ready" and not self.abandoned

    @property
    def abandoned(self) -> bool:
        """Whether the start was cut short or never made: no failure of the server."""
        return self.outcome in ABANDONED

    @property
    def fresh_caches(self) -> bool:
        """Whether it began with empty compile caches of its own, that nobody used after it."""
        return bool(dig(self.record, "compile_cache", "mode") == "fresh")

    @property
    def cached_files(self) -> int | None:
        """How many files were in the compile caches before it; None if that is not recorded."""
        files = dig(self.record, "compile_cache", "before", "files")
        return files if isinstance(files, int) else None

    @property
    def order(self) -> tuple[str, int, str]:
        """The order of runs: node, then the journal's number; wall time plays no part."""
        return (self.node, self.seq if self.seq is not None else 1 << 30, self.run_id)

    @property
    def weights_s(self) -> float | None:
        """Seconds in the weights phase."""
        return self.phases.get(WEIGHTS_PHASE)


def seconds(value: object) -> float | None:
    """Return `value` if it is a finite number of seconds from 0 to 1e9, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and 0 <= number <= SECONDS_LIMIT else None


def dig(record: Mapping[str, Any], *path: str) -> Any:
    """Return the value at `path` in nested objects; None where one of them is missing."""
    value: Any = record
    for name in path:
        if not value or not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def contradiction(mode: str, state: str) -> str | None:
    """Say how a state contradicts its run's mode; None if it does not."""
    allowed = {"prime": ("not_applicable",)}.get(
        mode, (PROVEN.get(mode, ""), "unproven", "refuted")
    )
    return None if state in allowed else f"state {state} cannot be that of a {mode} run"
