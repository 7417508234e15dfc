"""What reading the files into memory before a start costs, and what it buys."""

from __future__ import annotations

from collections.abc import Sequence

from coldproof.fleet.analysis import Fleet
from coldproof.groups import PAIRS_NEEDED, Group, Place
from coldproof.report.overview import DEMO, where
from coldproof.runs import Run, dig, seconds
from coldproof.stats import Summary, in_seconds, summarise
from coldproof.text import cell

COLD_SHARE = 0.01
NOTE = (
    "Before each start of these variants all files were evicted and then read into memory. Bought: "
    "the median cold start of the same settings less the median start after the reading. In "
    "sequence: each reading and the start after it, together. What is told apart here is told by "
    "ranges that do not overlap."
)


def prewarming(fleet: Fleet) -> list[str]:
    """Return the section: a bullet for each place that pre-warmed; nothing without one."""
    plan = fleet.gathered.planned
    demo = f"{DEMO}: " if fleet.gathered.demo else ""
    groups = {
        entry.place: [group for group in entry.groups if group.cold or group.warm]
        for entry in fleet.entries
    }
    lines = []
    for place, own in groups.items():
        if not plan.prewarms.get(place.variant):
            continue
        twin = plan.twins.get(place.variant)
        other = Place(place.node, place.tier, twin) if twin else None
        told = _told(own, groups.get(other, []) if other else [], twin)
        lines.append(f"- {demo}{where(place)}: {told}")
    return [NOTE, "", *lines] if lines else []


def _told(own: Sequence[Group], twins: Sequence[Group], twin: str | None) -> str:
    if len(own) != 1 or len(own[0].warm) < PAIRS_NEEDED:
        most = max((len(group.warm) for group in own), default=0)
        return f"insufficient evidence ({most} proven starts of {PAIRS_NEEDED} in one setup)."
    warm, starts = own[0].warm, own[0].warm_s
    readings = [took for run in warm for took in [_seconds(run)] if took is not None]
    reading = summarise(readings)
    if starts is None or reading is None or reading.n < len(warm):
        return "insufficient evidence: a reading was not recorded, or not from cold storage."
    text = f"reading {_size(warm[-1])} took {reading.seconds()}; the start after it "
    text += f"{starts.seconds()}"
    able = [group for group in twins if _alike(group, own[0]) and len(group.cold) >= PAIRS_NEEDED]
    cold = able[0].cold_s if len(able) == 1 else None
    if cold is None:
        return f"{text}. No cold starts of the same settings to hold it against."
    text += (
        f", where a cold start of {cell(twin)} (scope {cell(able[0].scope)}) takes "
        f"{cold.seconds()}. "
    )
    both = summarise(
        took + run.load_s
        for took, run in zip(readings, warm, strict=True)
        if run.load_s is not None
    )
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
