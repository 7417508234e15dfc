"""Rows of the comparison: runs that may be averaged together, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coldproof.pairs import Pair, Unpaired, pair_up
from coldproof.runs import Run
from coldproof.stats import Summary, summarise

PAIRS_NEEDED = 3


@dataclass(frozen=True, order=True)
class Place:
    """Where starts are compared: one row of the report, unless circumstances changed."""

    node: str
    tier: str
    variant: str

    @property
    def inside(self) -> str:
        """Tier and variant as one word."""
        return "/".join(part for part in (self.tier, self.variant) if part) or "unnamed tier"


@dataclass(frozen=True)
class Group:
    """Proven starts of one place under the same circumstances.

    `cold` and `warm` share concurrency, manifest and compile state; `cold` also scope and
    method. `pairs` are those whose cold start is in `cold`.
    """

    place: Place
    scope: str | None
    method: str | None
    concurrency: int | None
    manifest: str | None
    compile: str
    cold: Sequence[Run]
    warm: Sequence[Run]
    pairs: Sequence[Pair]

    @property
    def cold_s(self) -> Summary | None:
        """load_s of the proven cold starts."""
        return summarise(run.load_s for run in self.cold if run.load_s is not None)

    @property
    def warm_s(self) -> Summary | None:
        """load_s of the proven warm starts."""
        return summarise(run.load_s for run in self.warm if run.load_s is not None)

    @property
    def effect(self) -> Summary | None:
        """Cache effect over the pairs, seconds."""
        return summarise(pair.effect for pair in self.pairs)

    @property
    def factor(self) -> Summary | None:
        """Cold by warm over the pairs."""
        return summarise(pair.factor for pair in self.pairs if pair.factor is not None)

    @property
    def weights_effect(self) -> Summary | None:
        """Cold - warm of the weights phase over the pairs, seconds."""
        effects = (pair.weights_effect for pair in self.pairs)
        return summarise(effect for effect in effects if effect is not None)

    @property
    def share(self) -> Summary | None:
        """Storage's share of the cold start over the pairs, a fraction."""
        shares = (pair.storage_share for pair in self.pairs)
        return summarise(share for share in shares if share is not None)

    @property
    def resolution_s(self) -> float:
        """The coarsest readiness poll among the pairs, seconds; 0 if not recorded."""
        runs = (run for pair in self.pairs for run in (pair.cold, pair.warm))
        return max((run.resolution_s or 0.0 for run in runs), default=0.0)

    @property
    def sufficient(self) -> bool:
        """Whether there are enough pairs for a verdict."""
        return len(self.pairs) >= PAIRS_NEEDED


@dataclass(frozen=True)
class Entry:
    """All runs of one place: the groups with a number, and everything without one."""

    place: Place
    groups: Sequence[Group]
    primes: Sequence[Run]
    unproven: Sequence[Run]
    refuted: Sequence[Run]
    failed: Sequence[Run]
    unpaired: Sequence[Unpaired]
    starts: int

    @property
    def unsettled(self) -> bool:
        """Whether the last prime start still changed the compile caches."""
        return bool(self.primes) and self.primes[-1].compile_changed is True


def entries(runs: Iterable[Run]) -> list[Entry]:
    """Return one entry for each node, tier and variant, sorted."""
    places: dict[Place, list[Run]] = {}
    for run in runs:
        places.setdefault(Place(run.node, run.tier, run.variant), []).append(run)
    return [_entry(place, sorted(places[place], key=_order)) for place in sorted(places)]


def odd_manifests(found: Sequence[Entry]) -> dict[str, list[Place]]:
    """Return the places by manifest if they differ, without the manifest of most places.

    Empty if all are the same. If no manifest holds more than half of the places, all are odd.
    """
    places: dict[str, list[Place]] = {}
    for entry in found:
        for manifest in sorted({group.manifest for group in entry.groups if group.manifest}):
            places.setdefault(manifest, []).append(entry.place)
    if len(places) < 2:
        return {}
    counts = Counter({manifest: len(where) for manifest, where in places.items()})
    common, count = max(counts.items(), key=lambda item: (item[1], item[0]))
    if 2 * count > sum(counts.values()):
        places.pop(common)
    return dict(sorted(places.items()))


def _order(run: Run) -> tuple[str, int, str]:
    return run.order


def _entry(place: Place, runs: list[Run]) -> Entry:
    pairs, unpaired = pair_up(runs)
    measured = [run for run in runs if run.mode != "prime"]
    return Entry(
        place=place,
        groups=_groups(place, measured, pairs),
        primes=[run for run in runs if run.mode == "prime"],
        unproven=[run for run in measured if run.ready and run.state == "unproven"],
        refuted=[run for run in measured if run.state == "refuted"],
        failed=[run for run in runs if run.failed],
        unpaired=unpaired,
        starts=len(runs),
    )


_Key = tuple[int | None, str | None, str]


def _key(run: Run) -> _Key:
    return (run.concurrency, run.manifest, run.compile)


def _groups(place: Place, runs: list[Run], pairs: list[Pair]) -> list[Group]:
    cold: dict[tuple[_Key, str | None, str | None], list[Run]] = {}
    warm: dict[_Key, list[Run]] = {}
    for run in runs:
        if run.proven and run.mode == "cold":
            cold.setdefault((_key(run), run.scope, run.method), []).append(run)
        elif run.proven:
            warm.setdefault(_key(run), []).append(run)
    for key in warm:
        if not any(key == circumstances for circumstances, _, _ in cold):
            cold[(key, None, None)] = []
    scopes = {id(run): key for key, members in cold.items() for run in members}
    return [
        Group(
            place=place,
            scope=key[1],
            method=key[2],
            concurrency=key[0][0],
            manifest=key[0][1],
            compile=key[0][2],
            cold=members,
            warm=warm.get(key[0], []),
            pairs=[pair for pair in pairs if scopes[id(pair.cold)] == key],
        )
        for key, members in sorted(cold.items(), key=lambda item: repr(item[0]))
    ]
