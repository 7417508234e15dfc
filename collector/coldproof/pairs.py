"""Pairs: one cold and one warm start that may be held against each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coldproof.runs import Run


@dataclass(frozen=True)
class Pair:
    """A cold and a warm run, both proven, with the same compile caches that neither changed."""

    cold: Run
    warm: Run

    @property
    def effect(self) -> float:
        """Cache effect: seconds that the cold start took longer."""
        return (self.cold.load_s or 0.0) - (self.warm.load_s or 0.0)

    @property
    def factor(self) -> float | None:
        """Cold load_s by warm load_s; None if the warm one took no time."""
        return (self.cold.load_s or 0.0) / self.warm.load_s if self.warm.load_s else None

    @property
    def weights_effect(self) -> float | None:
        """Seconds that the weights phase took longer cold than warm; None if not measured."""
        cold, warm = self.cold.weights_s, self.warm.weights_s
        return None if cold is None or warm is None else cold - warm

    @property
    def storage_share(self) -> float | None:
        """The weights phase's difference by cold load_s, a fraction; None if not measured."""
        if self.weights_effect is None or not self.cold.load_s:
            return None
        return self.weights_effect / self.cold.load_s


@dataclass(frozen=True)
class Unpaired:
    """A pair that does not count, and why."""

    number: int
    reason: str


def pair_up(runs: Iterable[Run]) -> tuple[list[Pair], list[Unpaired]]:
    """Return the pairs among runs of one node, tier and variant, and those that do not count.

    Of several proven runs with one number and mode the last counts: a resumed campaign
    repeats an interrupted pair.
    """
    numbered: dict[int, list[Run]] = {}
    for run in runs:
        if run.pair is not None and run.mode in ("cold", "warm"):
            numbered.setdefault(run.pair, []).append(run)
    pairs: list[Pair] = []
    unpaired: list[Unpaired] = []
    for number, members in sorted(numbered.items()):
        cold, warm = _last(members, "cold"), _last(members, "warm")
        if cold is None or warm is None:
            unpaired.append(Unpaired(number, _lacking(members)))
            continue
        reason = _mismatch(cold, warm)
        if reason:
            unpaired.append(Unpaired(number, reason))
        else:
            pairs.append(Pair(cold, warm))
    return pairs, unpaired


def _last(members: Sequence[Run], mode: str) -> Run | None:
    proven = [run for run in members if run.mode == mode and run.proven]
    return max(proven, key=lambda run: run.order) if proven else None


def _lacking(members: Sequence[Run]) -> str:
    parts = []
    for mode in ("cold", "warm"):
        of_mode = [run for run in members if run.mode == mode]
        if any(run.proven for run in of_mode):
            continue
        last = max(of_mode, key=lambda run: run.order) if of_mode else None
        if last is None:
            parts.append(f"no {mode} start")
        else:
            parts.append(f"{mode} start {last.state if last.ready else last.outcome}")
    return ", ".join(parts)


def _mismatch(cold: Run, warm: Run) -> str | None:
    if cold.manifest != warm.manifest:
        return "the weights changed between the two starts"
    if cold.concurrency != warm.concurrency:
        return "different numbers of nodes ran at once"
    if cold.compile != warm.compile:
        return f"compile caches: {cold.compile} when cold, {warm.compile} when warm"
    if cold.compile == "unknown":
        return "the state of the compile caches is unknown"
    for run in (cold, warm):
        if run.compile_changed:
            return f"the {run.mode} start changed the compile caches"
        if run.compile_changed is None and run.compile != "disabled":
            return f"not recorded whether the {run.mode} start changed the compile caches"
    return None
