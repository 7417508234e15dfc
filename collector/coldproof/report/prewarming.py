"""What reading the files into memory before a start costs, and what it buys."""

from __future__ import annotations

from collections.abc import Sequence

from coldproof.fleet.analysis import Fleet
from coldproof.groups import PAIRS_NEEDED, Group, Place
from coldproof.report.overview import DEMO, where
from coldproof.runs import Run, dig, seconds
from coldproof.stats import in_seconds, summarise
from coldproof.text import cell

COLD_SHARE = 0.01
NOTE = (
    "Before each start of these variants all files were evicted and then read into memory. Bought: "
    "the median cold start of the same settings less the median start after the reading; to read "
    "and to start in sequence, as one does without knowing the next start, costs both."
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
    starts = own[0].warm_s
    reading = summarise(took for run in own[0].warm for took in [_seconds(run)] if took is not None)
    if starts is None or reading is None or reading.n < len(own[0].warm):
        return "insufficient evidence: a reading was not recorded, or not from cold storage."
    text = f"reading {_size(own[0].warm[-1])} took {reading.seconds()}; the start after it "
    text += f"{starts.seconds()}"
    able = [group for group in twins if group.cold_s and len(group.cold) >= PAIRS_NEEDED]
    if len(able) != 1 or able[0].cold_s is None:
        return f"{text}. No cold starts of the same settings to hold it against."
    cold = able[0].cold_s
    bought = cold.median - starts.median
    apart = cold.low > starts.high
    text += f", where a cold start of {cell(twin)} takes {cold.seconds()}. "
    if not apart or bought <= 0:
        return f"{text}Their ranges overlap: pre-warming buys nothing that was measured here."
    left = bought - reading.median
    sequence = "less" if left > 0 else "more"
    return (
        f"{text}Pre-warming on deploy buys {in_seconds(bought)} s of a start; to read and to start "
        f"in sequence takes {in_seconds(abs(left))} s {sequence} than the cold start."
    )


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
