"""Find which rows of two campaigns may be held against each other, and judge them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coldproof.compare.facts import differences, facts_of
from coldproof.gather import Gathered
from coldproof.groups import PAIRS_NEEDED, Entry, Group, Place, entries
from coldproof.runs import Run
from coldproof.stats import EFFECT_FLOOR, EFFECT_FLOOR_S, Summary, beyond_floor
from coldproof.text import plural

FASTER, SLOWER, SAME = "faster", "slower", "same"
NOT_COMPARABLE, INSUFFICIENT = "not comparable", "insufficient evidence"
VERDICTS = (SLOWER, FASTER, SAME, NOT_COMPARABLE, INSUFFICIENT)
SHOWN = 100  # characters of a fact in a reason


@dataclass(frozen=True)
class Side:
    """One campaign's starts of a place and mode: proven ones, and the failed ones beside them."""

    group: Group
    summary: Summary
    failed: Sequence[Run]
    enough: bool


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
    seen = {row.place.node for row in rows}
    rows += [_absent(node, base, new) for node in sorted({*base.nodes, *new.nodes} - seen)]
    return sorted(rows, key=lambda row: (row.place, row.mode))


def _place(
    place: Place, mode: str, before: Entry | None, after: Entry | None, across: frozenset[str]
) -> list[Row]:
    old, fresh = _sides(before, mode), _sides(after, mode)
    if not old and not fresh:
        failed = [run for run in (after.failed if after else ()) if run.mode == mode]
        why = f"no proven {mode} start in either{_told(failed)}"
        planned = after is not None and after.warm_only and mode == "cold"
        return [] if planned else [Row(place, mode, None, None, INSUFFICIENT, why)]
    if not fresh:
        failed = [run for run in (after.failed if after else ()) if run.mode == mode]
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


def _sides(entry: Entry | None, mode: str) -> list[Side]:
    """Return the groups of a place that have starts of `mode`, each warm one once."""
    found: dict[str, Side] = {}
    for group in entry.groups if entry else ():
        summary = group.cold_s if mode == "cold" else group.warm_s
        if entry is None or summary is None:
            continue
        enough = group.sufficient or (entry.warm_only and summary.n >= PAIRS_NEEDED)
        failed = [run for run in entry.concerning(entry.failed, group) if run.mode == mode]
        side = Side(group, summary, failed, enough)
        key = repr((group.circumstances.setup, facts_of(group, mode)))
        if key not in found or (enough and not found[key].enough):
            found[key] = side
    return list(found.values())


def _nearest(
    place: Place, mode: str, side: Side, old: Sequence[Side], across: frozenset[str]
) -> Row:
    """Judge `side` against the base row that differs in the fewest facts."""
    mine = facts_of(side.group, mode)
    choices = [(differences(facts_of(one.group, mode), mine, across), one) for one in old]
    apart, base = min(choices, key=lambda choice: (len(choice[0]), not choice[1].enough))
    if apart:
        why = "; ".join(f"{name}: {a[:SHOWN]} in base, {b[:SHOWN]} in new" for name, a, b in apart)
        return Row(place, mode, base, side, NOT_COMPARABLE, why)
    return Row(place, mode, base, side, *_judge(base, side))


def _judge(base: Side, new: Side) -> tuple[str, str]:
    if new.failed and not base.failed:
        return SLOWER, f"a start failed that did not in base{_told(new.failed)}"
    if not (base.enough and new.enough):
        counts = f"{len(base.group.pairs)} and {len(new.group.pairs)}"
        return INSUFFICIENT, f"{counts} proven pairs of {PAIRS_NEEDED} in base and new"
    a, b = base.summary, new.summary
    if not beyond_floor(b.median, a.median):
        return SAME, f"less than {100 * EFFECT_FLOOR:.0f} % or {EFFECT_FLOOR_S:.0f} s apart"
    if b.low <= a.high and a.low <= b.high:
        return SAME, "no difference shown: the ranges overlap"
    verdict = SLOWER if b.median > a.median else FASTER
    if new.failed:
        return verdict, f"starts failed in both{_told(new.failed)}"
    return verdict, ""


def _told(failed: Sequence[Run]) -> str:
    if not failed:
        return ""
    first = failed[0]
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    return f"; failed: {first.run_id[:200]} ({first.outcome}){more}"


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
