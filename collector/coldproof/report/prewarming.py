"""What reading the files into memory before a start costs, and what it buys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from coldproof.fleet.analysis import Fleet
from coldproof.fleet.ceilings import COLD_SHARE
from coldproof.groups import PAIRS_NEEDED, Group, Place
from coldproof.report.overview import DEMO, where
from coldproof.runs import Run, dig, seconds
from coldproof.stats import Summary, in_seconds, summarise
from coldproof.text import cell

NOTE = (
    "Before each start of these variants all files were evicted and then read into memory. Bought: "
    "the median cold start of the same settings less the median start after the reading. In "
    "sequence: each reading and the start after it, together. What is told apart here is told by "
    "ranges that do not overlap."
)


@dataclass(frozen=True)
class Gain:
    """Seconds that pre-warming takes off a start of a place, medians; told by ranges apart."""

    place: Place
    seconds: float


def prewarming(fleet: Fleet) -> list[str]:
    """Return the section: a bullet for each place that pre-warmed; nothing without one."""
    demo = f"{DEMO}: " if fleet.gathered.demo else ""
    lines = [
        f"- {demo}{where(place)}: {_told(own, twins, twin)}"
        for place, own, twins, twin in _prewarmed(fleet)
    ]
    return [NOTE, "", *lines] if lines else []


def gains(fleet: Fleet) -> list[Gain]:
    """Return what pre-warming was measured to win; places where it won nothing are left out."""
    found = []
    for place, own, twins, _twin in _prewarmed(fleet):
        starts = own[0].warm_s if len(own) == 1 and _readings(own[0]) else None
        held = _cold_of(own[0], twins) if starts else None
        cold = held.cold_s if held else None
        if starts and cold and cold.low > starts.high:
            found.append(Gain(place, cold.median - starts.median))
    return found


def _prewarmed(
    fleet: Fleet,
) -> Iterator[tuple[Place, Sequence[Group], Sequence[Group], str | None]]:
    """Yield each place that pre-warmed, its groups, those of its twin without it, and the twin."""
    plan = fleet.gathered.planned
    groups = {
        entry.place: [group for group in entry.groups if group.cold or group.warm]
        for entry in fleet.entries
    }
    for place, own in groups.items():
        if plan.prewarms.get(place.variant) and not plan.tiers.get(place.tier):
            twin = plan.twins.get(place.variant)
            other = Place(place.node, place.tier, twin) if twin else None
            yield place, own, groups.get(other, []) if other else [], twin


def _readings(group: Group) -> list[float]:
    """Return the seconds of the reading before each start; none if one is not known or too few."""
    found = [took for run in group.warm for took in [_seconds(run)] if took is not None]
    return found if PAIRS_NEEDED <= len(group.warm) == len(found) else []


def _cold_of(own: Group, twins: Sequence[Group]) -> Group | None:
    """Return the group of cold starts to hold it against, if there is one and only one."""
    able = [group for group in twins if _alike(group, own) and len(group.cold) >= PAIRS_NEEDED]
    return able[0] if len(able) == 1 else None


def _told(own: Sequence[Group], twins: Sequence[Group], twin: str | None) -> str:
    if len(own) != 1 or len(own[0].warm) < PAIRS_NEEDED:
        most = max((len(group.warm) for group in own), default=0)
        return f"insufficient evidence ({most} proven starts of {PAIRS_NEEDED} in one setup)."
    warm, starts, readings = own[0].warm, own[0].warm_s, _readings(own[0])
    reading = summarise(readings)
    if starts is None or reading is None:
        return "insufficient evidence: a reading was not recorded, or not from cold storage."
    text = f"reading {_size(warm[-1])} took {reading.seconds()}; the start after it "
    text += f"{starts.seconds()}"
    held = _cold_of(own[0], twins)
    cold = held.cold_s if held else None
    if held is None or cold is None:
        return f"{text}. No cold starts of the same settings to hold it against."
    text += (
        f", where a cold start of {cell(twin)} (scope {cell(held.scope)}) takes {cold.seconds()}. "
    )
    both = summarise(
        took + run.load_s
        for took, run in zip(readings, warm, strict=True)
        if run.load_s is not None
    )
    if starts.low > cold.high:
        return f"{text}After it a start took longer: pre-warming bought nothing here."
    if cold.low <= starts.high or both is None:
        return f"{text}Their ranges overlap: pre-warming buys nothing that was measured here."
    return (
        f"{text}Pre-warming on deploy buys {in_seconds(cold.median - starts.median)} s of a start "
        f"(n={starts.n} and {cold.n}). In sequence it takes {both.seconds()}: {_held(both, cold)}."
    )


def _alike(one: Group, other: Group) -> bool:
    """Return whether both are of one setup, concurrency, weights and state of compile caches."""
    names = ("setup", "concurrency", "manifest", "compile")
    mine, its = one.circumstances, other.circumstances
    return all(getattr(mine, name) == getattr(its, name) for name in names)


def _held(both: Summary, cold: Summary) -> str:
    """Return how reading and starting compare with a cold start, where their ranges tell."""
    if both.low > cold.high:
        return "longer than the cold start"
    return "shorter than the cold start" if both.high < cold.low else "as long as the cold start"


def _seconds(run: Run) -> float | None:
    """Return the seconds of reading both sets, None unless each was cold before."""
    total = 0.0
    sets = dig(run.record, "prewarm")
    for name in sets if isinstance(sets, dict) else {}:
        took, left = seconds(dig(sets, name, "seconds")), seconds(dig(sets, name, "left"))
        if took is None or left is None or left > COLD_SHARE:
            return None
        total += took
    return total if isinstance(sets, dict) and "weights" in sets else None


def _size(run: Run) -> str:
    sizes = {}
    for name in ("weights", "engine"):
        size = dig(run.record, "prewarm", name, "bytes")
        if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 1 << 60:
            sizes[name] = f"{size / 1e9:.2f} GB of {name}{' files' if name == 'engine' else ''}"
    return " and ".join(sizes.values()) or "the files"
