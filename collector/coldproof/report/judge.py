"""What may be said of a row: flags, budgets and verdicts, derived from its numbers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from coldproof.groups import PAIRS_NEEDED, Entry, Group, Place
from coldproof.runs import Run
from coldproof.stats import in_seconds
from coldproof.text import cell, plural

INSUFFICIENT = "insufficient evidence"
REFERENCE = "reference"


@dataclass(frozen=True)
class Budget:
    """How long a start may take for a use, seconds."""

    use: str
    seconds: float


BUDGETS = (
    Budget("a demo", 300.0),
    Budget("a small internal service", 120.0),
    Budget("a latency-sensitive endpoint", 30.0),
)


def meets(budget: Budget, entry: Entry, group: Group) -> str:
    """Say whether every proven cold start of `group` is within `budget`.

    A failed start would have taken longer than any budget: one is enough to forbid `yes`.
    """
    cold = group.cold_s
    if cold is None or not group.sufficient:
        return INSUFFICIENT
    if cold.median > budget.seconds:
        return f"no: median {in_seconds(cold.median)} s of {cold.n}"
    if entry.failed:
        return f"no: {_failed_of(entry)} failed"
    if cold.high > budget.seconds:
        return f"not reliably: slowest {in_seconds(cold.high)} s of {cold.n}"
    return f"yes: slowest {in_seconds(cold.high)} s of {cold.n}"


def shows_effect(group: Group) -> bool:
    """Whether every pair's cold start was slower by more than the clock's resolution."""
    effect = group.effect
    return effect is not None and effect.low > group.resolution_s


def flags(entry: Entry, group: Group | None, odd: Collection[Place], mixed: bool) -> str:
    """Return the remarks that belong beside the row's numbers, `none` if there are none."""
    found: list[str] = []
    if entry.place in odd:
        found.append("not comparable (other weights)")
    if mixed:
        found.append("several circumstances, never averaged")
    if entry.unsettled:
        found.append("unsettled")
    if group is not None and not group.sufficient:
        found.append(f"{INSUFFICIENT} ({plural(len(group.pairs), 'pair')} of {PAIRS_NEEDED})")
    found += [f"{count} failed ({outcome})" for outcome, count in failures(entry.failed)]
    if entry.refuted:
        found.append(f"{len(entry.refuted)} refuted")
    if entry.unproven:
        found.append(f"{len(entry.unproven)} unproven")
    runs = [*group.cold, *group.warm] if group is not None else []
    remarks = Counter(flag for run in runs for flag in set(run.flags))
    found += [f"{cell(flag, 60)} ({count})" for flag, count in sorted(remarks.items())[:6]]
    return "; ".join(found) or "none"


def failures(failed: Sequence[Run]) -> list[tuple[str, int]]:
    """Return the outcomes of failed starts with their number, sorted; safe to print."""
    return sorted(Counter(cell(f"{run.mode}: {run.outcome}", 60) for run in failed).items())


def circumstances(group: Group) -> str:
    """Return what distinguishes a group from another of the same place."""
    parts = [
        f"scope {cell(group.scope, 40)}" if group.scope else "",
        f"method {cell(group.method, 40)}" if group.method else "",
        f"{plural(group.concurrency, 'node')} at once" if group.concurrency else "",
        f"compile caches {group.compile}",
        f"weights {cell(group.manifest[:12])}" if group.manifest else "",
    ]
    return ", ".join(part for part in parts if part)


def verdict(entry: Entry, group: Group, *, mixed: bool) -> str:
    """Return the row's verdict in plain sentences, without its place."""
    cold, warm = group.cold_s, group.warm_s
    under = f" ({circumstances(group)})" if mixed else ""
    parts = [
        f"cold start {cold.seconds()}" if cold else "no proven cold start",
        f"warm start {warm.seconds()}" if warm else "no proven warm start",
    ]
    told = f"{', '.join(parts)}{under}."
    if not group.sufficient:
        return (
            f"{told} {INSUFFICIENT.capitalize()}: {plural(len(group.pairs), 'proven pair')}, "
            f"a verdict needs {PAIRS_NEEDED}.{_caveats(entry)}"
        )
    return f"{told} {effect_in_short(group)}{_caveats(entry)}"


def effect_in_short(group: Group) -> str:
    """Say how much longer a cold start takes and storage's share; for sufficient groups."""
    factor, share = group.factor, group.share
    if factor is None or not shows_effect(group):
        return effect_sentence(group)
    storage = f"storage's share of it is {share.percent()}" if share else "storage's share unknown"
    return f"Cold takes {factor.factor()} as long as warm; {storage}."


def effect_sentence(group: Group) -> str:
    """Say what the caches are worth and how much of it is storage; for sufficient groups."""
    effect, factor, share = group.effect, group.factor, group.share
    if effect is None or not shows_effect(group):
        span = effect.seconds() if effect else "none"
        return f"No cache effect shown: cold - warm is {span}, not above 0 in every pair."
    times = f": cold takes {factor.factor()} as long as warm" if factor else ""
    weights = group.weights_effect
    storage = (
        f"Of it {weights.seconds()} is in the weights phase, so storage's share of the cold start "
        f"is {share.percent()}."
        if share and weights
        else "Storage's share was not measured: no weights phase was recorded."
    )
    return f"Cold caches cost {effect.seconds()}{times}. {storage}"


def _caveats(entry: Entry) -> str:
    said = ""
    if entry.failed:
        said += f" {_failed_of(entry)} failed, so it meets no budget."
    if entry.unsettled:
        said += " Unsettled: the last prime start still changed the compile caches."
    return said


def _failed_of(entry: Entry) -> str:
    return f"{len(entry.failed)} of {plural(entry.starts, 'start')}"
