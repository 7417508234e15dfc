"""What may be said of a row: flags, budgets and verdicts, derived from its numbers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from coldproof.fleet.hardware import drivers, kernels
from coldproof.groups import PAIRS_NEEDED, Entry, Group, Place
from coldproof.policy import default_policy
from coldproof.runs import Run
from coldproof.setups import MANIFEST_PREFIX
from coldproof.stats import in_seconds
from coldproof.text import cell, listing, plural

INSUFFICIENT = "insufficient evidence"
REFERENCE = "reference"
WARM_ONLY = "warm only by plan: no cold start here"


@dataclass(frozen=True)
class Budget:
    """How long a start may take for a use, seconds."""

    use: str
    seconds: float


BUDGETS = tuple(
    Budget(one.title, one.cold_start_s)
    for one in default_policy().classes
    if one.cold_start_s is not None
)


def meets(budget: Budget, entry: Entry, group: Group, left_out: str = "") -> str:
    """Say whether every proven cold start of `group` is within `budget`; safe to print.

    A failed start would have taken longer than any budget: one is enough to forbid `yes`. It may
    be in what was `left_out` of the node's files.
    """
    cold = group.cold_s
    if cold is None or not group.sufficient:
        return INSUFFICIENT
    if cold.median > budget.seconds:
        return f"no: median {in_seconds(cold.median)} s of {cold.n}"
    if entry.concerning(entry.failed, group):
        return f"no: {_failed_of(entry, group)} failed"
    if cold.high > budget.seconds:
        return f"not reliably: slowest {in_seconds(cold.high)} s of {cold.n}"
    if left_out:
        return f"{INSUFFICIENT}: {cell(left_out)}"
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
        here = f": {circumstances(entry, group)}" if group is not None else ""
        found.append(f"several circumstances, never averaged{here}")
    if entry.warm_only:
        found.append(WARM_ONLY)
    if entry.same_storage:
        found.append(f"{same_storage(entry)}")
    if entry.unsettled_in(group):
        found.append("unsettled")
    if group is not None and not group.sufficient and not entry.warm_only:
        found.append(f"{INSUFFICIENT} ({plural(len(group.pairs), 'pair')} of {PAIRS_NEEDED})")
    failed = entry.concerning(entry.failed, group)
    found += [f"{count} failed ({outcome})" for outcome, count in outcomes(failed)]
    cut_short = entry.concerning(entry.abandoned, group)
    found += [f"{count} cut short ({outcome})" for outcome, count in outcomes(cut_short)]
    for name, others in (("refuted", entry.refuted), ("unproven", entry.unproven)):
        count = len(entry.concerning(others, group))
        found += [f"{count} {name}"] if count else []
    runs = [*group.cold, *group.warm] if group is not None else []
    found += several(runs)
    remarks = Counter(flag for run in runs for flag in set(run.flags))
    found += [f"{cell(flag, 60)} ({count})" for flag, count in sorted(remarks.items())[:6]]
    return "; ".join(found) or "none"


def several(runs: Sequence[Run]) -> list[str]:
    """Name what ought to be one over the starts of a row and is not; safe to print."""
    found = []
    for what, told in (("kernel", kernels(runs)), ("driver", drivers(runs))):
        if len(told) > 1:
            named = listing([cell(one, 60) for one in told])
            found.append(f"starts of {len(told)} {what}s in one: {named}")
    return found


def outcomes(runs: Sequence[Run]) -> list[tuple[str, int]]:
    """Return the outcomes of starts that were not ready with their number; safe to print."""
    return sorted(Counter(cell(f"{run.mode}: {run.outcome}", 60) for run in runs).items())


def same_storage(entry: Entry) -> str:
    """Say with which other tiers the entry shares its storage; safe to print."""
    tiers = listing([cell(tier, 60) for tier in entry.same_storage])
    return f"same device and mount as tier {tiers}: no comparison of storages"


def circumstances(entry: Entry, group: Group) -> str:
    """Return what tells a group from the others of the same place, safe to print."""
    return ", ".join(cell(text, 120) for text in distinctions(entry, group))


def distinctions(entry: Entry, group: Group) -> list[str]:
    """Return each circumstance in which the groups of a place differ; not safe to print."""
    facts = group.circumstances.facts
    return [
        _fact(name, value)
        for name, value in facts.items()
        if name in entry.differing and (group.cold or name not in ("scope", "method"))
    ] + ["no cold start"] * (not group.cold and bool(entry.differing & {"scope", "method"}))


def _fact(name: str, value: object) -> str:
    label = {"compile": "compile caches", "manifest": "weights"}.get(name, name.replace("_", " "))
    label = "max_model_len" if name == "max_model_len" else label
    if value is None or value == "":
        return f"{label} not recorded"
    if name == "concurrency":
        return f"{plural(int(str(value)), 'node')} at once"
    return f"{label} {str(value)[:MANIFEST_PREFIX] if name == 'manifest' else value}"


def verdict(entry: Entry, group: Group, *, mixed: bool) -> str:
    """Return the row's verdict in plain sentences, without its place."""
    cold, warm = group.cold_s, group.warm_s
    under = f" ({circumstances(entry, group)})" if mixed else ""
    if entry.warm_only:
        told = f"warm start {warm.seconds()}" if warm else "no proven warm start"
        return f"{WARM_ONLY}; {told}{under}.{caveats(entry, group)}"
    parts = [
        f"cold start {cold.seconds()}" if cold else "no proven cold start",
        f"warm start {warm.seconds()}" if warm else "no proven warm start",
    ]
    told = f"{', '.join(parts)}{under}."
    if not group.sufficient:
        return (
            f"{told} {INSUFFICIENT.capitalize()}: {plural(len(group.pairs), 'proven pair')}, "
            f"a verdict needs {PAIRS_NEEDED}.{caveats(entry, group)}"
        )
    return f"{told} {effect_in_short(group)}{caveats(entry, group)}"


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
        clock = in_seconds(group.resolution_s)
        least = f"above the clock's {clock} s" if group.resolution_s else "above 0"
        return f"No cache effect shown: cold - warm is {span}, not {least} in every pair."
    times = f": cold takes {factor.factor()} as long as warm" if factor else ""
    weights = group.weights_effect
    storage = (
        f"Of it {weights.seconds()} is in the weights phase, so storage's share of the cold start "
        f"is {share.percent()}."
        if share and weights
        else "Storage's share was not measured: no weights phase was recorded."
    )
    return f"Cold caches cost {effect.seconds()}{times}. {storage}"


def caveats(entry: Entry, group: Group | None) -> str:
    """Say what else must be known beside a verdict; safe to print."""
    said = ""
    if entry.concerning(entry.failed, group):
        budget = "" if entry.warm_only else ", so it meets no budget"
        said += f" {_failed_of(entry, group)} failed{budget}."
    if entry.unsettled_in(group):
        said += " Unsettled: the last prime start still changed the compile caches."
    if entry.same_storage:
        said += f" S{same_storage(entry)[1:]}."
    return said


def _failed_of(entry: Entry, group: Group | None) -> str:
    failed = len(entry.concerning(entry.failed, group))
    return f"{failed} of {plural(len(entry.concerning(entry.attempts, group)), 'start')}"
