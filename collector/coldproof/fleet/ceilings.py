"""Ceilings of tiers, and how much of them a cold start's weights phase used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coldproof.groups import Group
from coldproof.runs import Run, dig, seconds
from coldproof.stats import Summary, summarise

SPREAD = 1.3  # two sweeps further apart measure the moment, not the storage
SWEEPS_READ = 16
MOST_BYTES_PER_S = 1e15
UNMEASURED = "not measured"
BEATEN = "something read faster than the ceiling's sweeps"
COLD_SHARE = 0.01  # of a set that was evicted, what may be left of it in memory
LOADER_BOUND = 0.5  # a loader that uses less leaves most of the storage idle
STORAGE_BOUND = 0.8


@dataclass(frozen=True)
class Ceiling:
    """What a tier's storage delivered at best, bytes a second; why it is none to count on."""

    bytes_per_s: float | None
    doubt: str | None


@dataclass(frozen=True)
class Use:
    """A group's cold starts against their tier's ceiling.

    `achieved` is weights by seconds of the weights phase, bytes a second; `fraction` of the
    ceiling and `floor_s` (weights by ceiling, seconds) are None where `doubt` says why.
    """

    ceiling: Ceiling
    achieved: Summary | None
    fraction: float | None
    floor_s: float | None
    doubt: str | None

    @property
    def loader_bound(self) -> bool:
        """Whether most of what the storage can do was left unused."""
        return self.fraction is not None and self.fraction < LOADER_BOUND

    @property
    def storage_bound(self) -> bool:
        """Whether the storage gave nearly all it can."""
        return self.fraction is not None and self.fraction >= STORAGE_BOUND


def ceilings(runs: Iterable[Run]) -> dict[tuple[str, str], Ceiling]:
    """Return the ceiling by (node, tier), from the last record that holds one.

    It is in doubt for all that lies on the tier where anything read its weights faster.
    """
    last: dict[tuple[str, str], Run] = {}
    fastest: dict[tuple[str, str], float] = {}
    for run in runs:
        key = (run.node, run.tier)
        fastest[key] = max(fastest.get(key, 0.0), *_read(run))
        if isinstance(run.record.get("ceiling"), Mapping) and (
            key not in last or last[key].order < run.order
        ):
            last[key] = run
    found = {key: _ceiling(run.record["ceiling"]) for key, run in last.items()}
    return {key: _beaten(one, fastest[key]) for key, one in found.items()}


def _read(run: Run) -> Iterable[float]:
    """Yield how fast a start, or the reading before it, got its weights from cold storage."""
    yield 0.0
    size = number(dig(run.record, "weights", "bytes"))
    if size and run.weights_s and run.proven and run.mode == "cold":
        yield size / run.weights_s
    took = seconds(dig(run.record, "prewarm", "weights", "seconds"))
    left = seconds(dig(run.record, "prewarm", "weights", "left"))
    read = number(dig(run.record, "prewarm", "weights", "bytes"))
    if took and read and left is not None and left <= COLD_SHARE:
        yield read / took


def _beaten(one: Ceiling, fastest: float) -> Ceiling:
    if one.doubt is not None or one.bytes_per_s is None or fastest <= one.bytes_per_s:
        return one
    return Ceiling(one.bytes_per_s, BEATEN)


def use_of(group: Group, known: Mapping[tuple[str, str], Ceiling]) -> Use:
    """Return how much of its tier's ceiling a group used; honest where that cannot be said."""
    ceiling = known.get((group.place.node, group.place.tier), Ceiling(None, UNMEASURED))
    size = weights_bytes(group)
    rates = [size / run.weights_s for run in group.cold if size and run.weights_s]
    achieved = summarise(rates)
    best = ceiling.bytes_per_s
    if ceiling.doubt is not None or best is None:
        return Use(ceiling, achieved, None, None, ceiling.doubt or UNMEASURED)
    fraction = achieved.median / best if achieved else None
    return Use(ceiling, achieved, fraction, size / best if size else None, None)


def weights_bytes(group: Group) -> float | None:
    """Return the bytes that a group's weights occupy on the device; None if not recorded."""
    for run in (*group.cold, *group.warm):
        value = number(dig(run.record, "weights", "bytes"))
        if value:
            return value
    return None


def number(value: object) -> float | None:
    """Return a record's number if it is one from 0 to 1e15; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= MOST_BYTES_PER_S else None


def _ceiling(told: Mapping[str, object]) -> Ceiling:
    ways: dict[str, list[float]] = {}
    sweeps = told.get("sweeps")
    for sweep in (sweeps if isinstance(sweeps, list) else [])[:SWEEPS_READ]:
        speed = number(sweep.get("bytes_per_s")) if isinstance(sweep, Mapping) else None
        if speed:
            ways.setdefault(str(sweep.get("way")), []).append(speed)
    if not ways:
        return Ceiling(None, "no sweep of it succeeded")
    best = max(ways.values(), key=max)
    if len(best) < 2:
        return Ceiling(max(best), "swept only once")
    if max(best) > SPREAD * min(best):
        return Ceiling(max(best), f"two sweeps differ by {max(best) / min(best):.1f}x")
    if told.get("reliable") is False:
        return Ceiling(max(best), "the sweeps are called unreliable by the node")
    return Ceiling(max(best), None)
