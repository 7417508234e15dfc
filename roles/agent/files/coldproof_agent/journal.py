"""The journal: what was begun and what ended, so that a campaign goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Optional

from coldproof_agent import durable
from coldproof_agent.plan import Step


class Begun(NamedTuple):
    """A run that was begun and never ended."""

    seq: int
    step: Step


class Journal:
    """journal.jsonl and runs.jsonl of one campaign, read once and appended to.

    Args:
        folder: the campaign's folder on the node.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.jsonl"
        self._runs_path = folder / "runs.jsonl"
        self.events: list[dict[str, Any]] = durable.read_records(self._path)
        self.runs: list[dict[str, Any]] = durable.read_records(self._runs_path)

    def note(self, event: str, **fields: Any) -> None:
        """Appends an event durably."""
        self.events.append(durable.append_record(self._path, {"event": event, **fields}))

    def first(self, event: str) -> Optional[dict[str, Any]]:
        """Returns the first event of a kind."""
        return next((one for one in self.events if one["event"] == event), None)

    def begin(self, step: Step) -> int:
        """Notes that a run begins. Returns its seq: one more than any before."""
        used = [int(one["seq"]) for one in [*self.events, *self.runs] if "seq" in one]
        seq = max(used, default=0) + 1
        self.note("begin", seq=seq, **step._asdict())
        return seq

    def end(self, record: dict[str, Any]) -> dict[str, Any]:
        """Appends a run's record durably: from now on it has finished."""
        sealed = durable.append_record(self._runs_path, record)
        self.runs.append(sealed)
        return sealed

    def open_runs(self) -> list[Begun]:
        """Returns the runs that were begun and have no record."""
        ended = {int(one["seq"]) for one in self.runs}
        ended |= {int(one["of"]) for one in self.events if one["event"] == "interrupted"}
        return [
            Begun(int(one["seq"]), Step(one["tier"], one["variant"], one["mode"], one["pair"]))
            for one in self.events
            if one["event"] == "begin" and int(one["seq"]) not in ended
        ]

    def of(self, tier: str, variant: str, mode: str) -> list[dict[str, Any]]:
        """Returns the finished runs of a tier, variant and mode."""
        return [
            one
            for one in self.runs
            if (one["tier"], one["variant"], one["mode"]) == (tier, variant, mode)
        ]

    def finished_pairs(self, tier: str, variant: str, warm_only: bool = False) -> set[int]:
        """Returns the pairs of which both starts were made, whatever came of them."""
        warm = {int(one["pair"]) for one in self.of(tier, variant, "warm") if _made(one)}
        if warm_only:
            return warm
        return warm & {int(one["pair"]) for one in self.of(tier, variant, "cold") if _made(one)}

    def next_pair(self, tier: str, variant: str) -> int:
        """Returns a pair number that no finished run has."""
        used = [
            int(one["pair"])
            for one in self.runs
            if one["pair"] and (one["tier"], one["variant"]) == (tier, variant)
        ]
        return max(used, default=0) + 1

    def unused(self, event: str) -> Optional[dict[str, Any]]:
        """Returns the last event of a kind if no run was begun after it."""
        for one in self.events[::-1]:
            if one["event"] == event:
                return one
            if one["event"] == "begin":
                return None
        return None


def _made(record: dict[str, Any]) -> bool:
    return str(record["outcome"]) not in ("interrupted", "not_started")
