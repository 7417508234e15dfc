"""Rows of the comparison: runs that may be averaged together, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

from coldproof.pairs import Pair, Unpaired, pair_up
from coldproof.planned import NOTHING, Planned
from coldproof.runs import Run
from coldproof.setups import Setup, completed, setup_of
from coldproof.stats import Summary, summarise
from coldproof.storages import shared_storage

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


class Circumstances(NamedTuple):
    """What starts must have in common to be averaged; scope and method are those of cold ones."""

    setup: Setup
    concurrency: int | None
    manifest: str | None
    compile: str
    scope: str | None = None
    method: str | None = None

    @property
    def facts(self) -> dict[str, object]:
        """Every circumstance by its name."""
        rest = dict(zip(self._fields[1:], self[1:], strict=True))
        return {**self.setup._asdict(), **rest}


@dataclass(frozen=True)
class Group:
    """Proven starts of one place under the same circumstances.

    `pairs` are those whose cold start is in `cold`; `warm` may be in several groups.
    """

    place: Place
    circumstances: Circumstances
    cold: Sequence[Run]
    warm: Sequence[Run]
    pairs: Sequence[Pair]

    @property
    def scope(self) -> str | None:
        """What was measured cold; None without a cold start."""
        return self.circumstances.scope

    @property
    def method(self) -> str | None:
        """How it was made cold; None without a cold start."""
        return self.circumstances.method

    @property
    def manifest(self) -> str | None:
        """Which weights were loaded."""
        return self.circumstances.manifest

    def concerns(self, run: Run) -> bool:
        """Whether nothing recorded says that `run` is of another campaign, model or engine."""
        return self.circumstances.setup.may_be(setup_of(run))

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
    def most_gain(self) -> Summary | None:
        """What caches are worth of the cold start over the pairs, a fraction."""
        gains = (pair.most_gain for pair in self.pairs)
        return summarise(gain for gain in gains if gain is not None)

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
    """All runs of one place: the groups with a number, and everything without one.

    `attempts` are all starts that were not abandoned. `warm_only` is true if the plan asks for
    no cold start there and there is none. `same_storage` are other tiers on the same storage.
    """

    place: Place
    groups: Sequence[Group]
    primes: Sequence[Run]
    unproven: Sequence[Run]
    refuted: Sequence[Run]
    failed: Sequence[Run]
    abandoned: Sequence[Run]
    unpaired: Sequence[Unpaired]
    attempts: Sequence[Run]
    warm_only: bool = False
    same_storage: Sequence[str] = ()

    @cached_property
    def differing(self) -> frozenset[str]:
        """The names of the circumstances in which the groups differ."""
        facts = [group.circumstances.facts for group in self.groups]
        return frozenset(
            name for name in (facts[0] if facts else ()) if len({one[name] for one in facts}) > 1
        )

    @cached_property
    def campaigns(self) -> frozenset[str]:
        """The campaigns of all starts; empty text for those of none."""
        return frozenset(setup_of(run).campaign for run in self.attempts)

    @property
    def unsettled(self) -> bool:
        """Whether the last prime start of a setup still changed the compile caches."""
        return _unsettled(self.primes)

    def concerning(self, runs: Sequence[Run], group: Group | None) -> Sequence[Run]:
        """Return those of this entry's `runs` that may tell against `group`; all without one."""
        if group is None:
            return runs
        return [run for run in runs if group.concerns(run)]

    @cached_property
    def strays(self) -> Sequence[Run]:
        """The failed starts that concern none of the groups: of another engine's version, say."""
        return [run for run in self.failed if not any(group.concerns(run) for group in self.groups)]

    def unsettled_in(self, group: Group | None) -> bool:
        """Whether the last prime start that concerns `group` still changed the caches."""
        return _unsettled(self.concerning(self.primes, group))


def _unsettled(primes: Iterable[Run]) -> bool:
    last = {setup_of(run): run for run in primes}
    return any(run.compile_changed is True and not run.fresh_caches for run in last.values())


def entries(
    runs: Iterable[Run], plan: Planned = NOTHING, complete: Collection[str] = ()
) -> list[Entry]:
    """Return one entry for each node, tier and variant, sorted.

    `plan` says which have no cold start, and which there ought to be on nodes that are `complete`:
    those have an entry without any run where they are missing.
    """
    known = completed(runs)
    places: dict[Place, list[Run]] = {}
    for run in known:
        places.setdefault(Place(run.node, run.tier, run.variant), []).append(run)
    for node in complete:
        for tier, variant in product(plan.tiers, plan.prewarms):
            places.setdefault(Place(node, tier, variant), [])
    storage = shared_storage(known)
    return [
        _entry(
            place,
            sorted(places[place], key=_order),
            plan.warm_only(place.tier, place.variant),
            storage.get((place.node, place.tier), ()),
        )
        for place in sorted(places)
    ]


def _order(run: Run) -> tuple[str, int, str]:
    return run.order


def _entry(place: Place, runs: list[Run], planned_warm: bool, same: Sequence[str]) -> Entry:
    pairs, unpaired = pair_up(runs)
    measured = [run for run in runs if run.mode != "prime"]
    warm_only = planned_warm and not any(run.mode == "cold" for run in runs)
    return Entry(
        place=place,
        groups=_groups(place, measured, pairs),
        primes=[run for run in runs if run.mode == "prime"],
        unproven=[run for run in measured if run.ready and run.state == "unproven"],
        refuted=[run for run in measured if run.state == "refuted"],
        failed=[run for run in runs if run.failed],
        abandoned=[run for run in runs if run.abandoned],
        unpaired=[] if warm_only else unpaired,
        attempts=[run for run in runs if not run.abandoned],
        warm_only=warm_only,
        same_storage=same,
    )


def _key(run: Run) -> Circumstances:
    return Circumstances(setup_of(run), run.concurrency, run.manifest, run.compile)


def _groups(place: Place, runs: list[Run], pairs: list[Pair]) -> list[Group]:
    cold: dict[Circumstances, list[Run]] = {}
    warm: dict[Circumstances, list[Run]] = {}
    for run in runs:
        key = _key(run)
        if run.proven and run.mode == "cold":
            cold.setdefault(key._replace(scope=run.scope, method=run.method), []).append(run)
        elif run.proven:
            warm.setdefault(key, []).append(run)
    for key in warm.keys() - {_of_both(key) for key in cold}:
        cold[key] = []
    paired: dict[Circumstances, list[Pair]] = {}
    for pair in pairs:
        key = _key(pair.cold)._replace(scope=pair.cold.scope, method=pair.cold.method)
        paired.setdefault(key, []).append(pair)
    return [
        Group(
            place=place,
            circumstances=key,
            cold=members,
            warm=warm.get(_of_both(key), []),
            pairs=paired.get(key, []),
        )
        for key, members in sorted(cold.items(), key=lambda item: repr(item[0]))
    ]


def _of_both(key: Circumstances) -> Circumstances:
    """Return what cold and warm starts have in common."""
    return key._replace(scope=None, method=None)
