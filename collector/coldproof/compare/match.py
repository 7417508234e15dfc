"""Find which rows of two campaigns may be held against each other, and judge them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from coldproof.compare.facts import differences, facts_of, told
from coldproof.gather import Gathered
from coldproof.groups import PAIRS_NEEDED, Entry, Group, Place, entries
from coldproof.runs import Run
from coldproof.stats import EFFECT_FLOOR, EFFECT_FLOOR_S, Summary, beyond_floor
from coldproof.text import plural

FASTER, SLOWER, SAME = "faster", "slower", "same"
NOT_COMPARABLE, INSUFFICIENT = "not comparable", "insufficient evidence"
VERDICTS = (SLOWER, FASTER, SAME, NOT_COMPARABLE, INSUFFICIENT)


@dataclass(frozen=True)
class Side:
    """One campaign's starts of a place and mode: proven ones, and the failed ones beside them.

    `tried` counts all that were made. A first start counts among the cold ones, or among the warm
    ones where none is cold by plan: without it there is none of the others.
    """

    group: Group
    summary: Summary
    failed: Sequence[Run]
    tried: int
    enough: bool

    @property
    def failing(self) -> float:
        """The failed ones of those that were made, a fraction."""
        return len(self.failed) / self.tried if self.tried else 0.0


@dataclass(frozen=True)
class Row:
    """A place and mode in both campaigns; `why` is not safe to print."""

    place: Place
    mode: str
    base: Side | None
    new: Side | None
    verdict: str
    why: str

    @property
    def difference_s(self) -> float | None:
        """New median less base median, seconds; None unless the two may be compared."""
        if self.base is None or self.new is None or self.verdict == NOT_COMPARABLE:
            return None
        return self.new.summary.median - self.base.summary.median


def compare(base: Gathered, new: Gathered, across: frozenset[str] = frozenset()) -> list[Row]:
    """Return a row for each node, tier, variant and mode of either campaign, sorted.

    `across` names facts (compare.facts.NAMES) that may differ and are the point of it.
    """
    before = {entry.place: entry for entry in entries(base.runs, base.planned)}
    after = {entry.place: entry for entry in entries(new.runs, new.planned)}
    rows: list[Row] = []
    for place in sorted(before.keys() | after.keys()):
        for mode in ("cold", "warm"):
            rows += _place(place, mode, before.get(place), after.get(place), across)
            rows += _strays(place, mode, before.get(place), after.get(place))
    rows = [_doubted(row, base, new) for row in rows]
    seen = {row.place.node for row in rows}
    rows += [_absent(node, base, new) for node in sorted({*base.nodes, *new.nodes} - seen)]
    return sorted(rows, key=lambda row: (row.place, row.mode))


def _doubted(row: Row, base: Gathered, new: Gathered) -> Row:
    """Return a row without its verdict where a failed start may have been left out of the input."""
    node = row.place.node
    told = [
        f"{name}: {gathered.left_out[node]}"
        for name, gathered in (("base", base), ("new", new))
        if node in gathered.left_out
    ]
    if not told or row.verdict == NOT_COMPARABLE:
        return row
    why = "; ".join([*told, *([row.why] if row.why else [])])
    return replace(row, verdict=row.verdict if row.verdict == SLOWER else INSUFFICIENT, why=why)


def _place(
    place: Place, mode: str, before: Entry | None, after: Entry | None, across: frozenset[str]
) -> list[Row]:
    old, fresh = _sides(before, mode), _sides(after, mode)
    modes = _modes(after, mode)
    failed = [run for run in (after.failed if after else ()) if run.mode in modes]
    if not old and not fresh:
        why = f"no proven {mode} start in either{_told(failed)}"
        planned = after is not None and after.warm_only and mode == "cold"
        return [] if planned else [Row(place, mode, None, None, INSUFFICIENT, why)]
    if not fresh:
        verdict = SLOWER if failed else NOT_COMPARABLE
        why = f"no proven {mode} start in the new campaign{_told(failed)}"
        return [Row(place, mode, side, None, verdict, why) for side in old]
    if not old:
        why = f"no proven {mode} start in the base campaign"
        return [Row(place, mode, None, side, NOT_COMPARABLE, why) for side in fresh]
    rows = [_nearest(place, mode, side, old, across) for side in fresh]
    held = {id(row.base) for row in rows}
    why = "in the new campaign only under other circumstances"
    rest = [side for side in old if id(side) not in held]
    return [*rows, *(Row(place, mode, side, None, NOT_COMPARABLE, why) for side in rest)]


def _strays(place: Place, mode: str, before: Entry | None, after: Entry | None) -> list[Row]:
    """Return a row for failed starts that were made otherwise than all proven ones beside them."""
    old, new = (
        [run for run in (entry.strays if entry and entry.groups else ()) if run.mode in modes]
        for entry, modes in ((before, _modes(before, mode)), (after, _modes(after, mode)))
    )
    if len(new) <= len(old):
        return []
    why = f"started otherwise than the proven ones, and never proven{_told(new)}"
    return [Row(place, mode, None, None, SLOWER, why)]


def _sides(entry: Entry | None, mode: str) -> list[Side]:
    """Return the groups of a place that have starts of `mode`, each warm one once."""
    found: dict[str, Side] = {}
    modes = _modes(entry, mode)
    for group in entry.groups if entry else ():
        summary = group.cold_s if mode == "cold" else group.warm_s
        if entry is None or summary is None:
            continue
        enough = group.sufficient or (entry.warm_only and summary.n >= PAIRS_NEEDED)
        failed = [run for run in entry.concerning(entry.failed, group) if run.mode in modes]
        tried = [run for run in entry.concerning(entry.attempts, group) if run.mode in modes]
        side = Side(group, summary, failed, len(tried), enough)
        key = repr((group.circumstances.setup, facts_of(group, mode)))
        if key not in found or (enough and not found[key].enough):
            found[key] = side
    return list(found.values())


def _modes(entry: Entry | None, mode: str) -> tuple[str, ...]:
    first = "warm" if entry is not None and entry.warm_only else "cold"
    return (mode, "prime") if mode == first else (mode,)


def _nearest(
    place: Place, mode: str, side: Side, old: Sequence[Side], across: frozenset[str]
) -> Row:
    """Judge `side` against the base row that differs in the fewest facts."""
    mine = facts_of(side.group, mode)
    choices = [(differences(facts_of(one.group, mode), mine, across), one) for one in old]
    apart, base = min(choices, key=lambda choice: (len(choice[0]), not choice[1].enough))
    if apart:
        why = "; ".join(told(name, a, b) for name, a, b in apart)
        return Row(place, mode, base, side, NOT_COMPARABLE, why)
    return Row(place, mode, base, side, *_judge(base, side))


def _judge(base: Side, new: Side) -> tuple[str, str]:
    failed = "".join(
        f"; {len(one.failed)} of {plural(one.tried, 'start')} failed in {name}{_named(one.failed)}"
        for name, one in (("base", base), ("new", new))
        if one.failed
    )
    verdict, why = _by_time(base, new)
    if len(new.failed) > len(base.failed) and new.failing > base.failing:
        return SLOWER, f"a greater part of the starts failed than in base{failed}"
    return verdict, f"{why}{failed}".removeprefix("; ")


def _by_time(base: Side, new: Side) -> tuple[str, str]:
    if not (base.enough and new.enough):
        counts = f"{len(base.group.pairs)} and {len(new.group.pairs)}"
        return INSUFFICIENT, f"{counts} proven pairs of {PAIRS_NEEDED} in base and new"
    a, b = base.summary, new.summary
    if not beyond_floor(b.median, a.median):
        return SAME, f"less than {100 * EFFECT_FLOOR:.0f} % or {EFFECT_FLOOR_S:.0f} s apart"
    if b.low <= a.high and a.low <= b.high:
        return SAME, "no difference shown: the ranges overlap"
    return (SLOWER if b.median > a.median else FASTER), ""


def _told(failed: Sequence[Run]) -> str:
    return f"; failed: {_named(failed).removeprefix(': ')}" if failed else ""


def _named(failed: Sequence[Run]) -> str:
    first = failed[0]
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    return f": {first.run_id[:200]} ({first.outcome}){more}"


def _absent(node: str, base: Gathered, new: Gathered) -> Row:
    """Return the row of a node of which neither campaign has a run that could be compared."""
    told = []
    for name, gathered in (("base", base), ("new", new)):
        status = gathered.nodes.get(node)
        words = f"{status.status}: {status.message or 'no usable run'}" if status else "not in it"
        told.append(f"{name}: {words}")
    return Row(Place(node, "", ""), "cold", None, None, NOT_COMPARABLE, "; ".join(told))


def summary_line(rows: Sequence[Row]) -> str:
    """Return e.g. `1 slower, 0 faster, 3 same, 0 not comparable, 0 insufficient evidence`."""
    counts = [f"{sum(row.verdict == name for row in rows)} {name}" for name in VERDICTS]
    return f"{plural(len(rows), 'row')}: {', '.join(counts)}"
