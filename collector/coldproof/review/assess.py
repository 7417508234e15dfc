"""Hold each service class against each family of rows: meets, fails, or not enough evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coldproof.fleet.analysis import Fleet
from coldproof.fleet.families import Family, Kin, Member
from coldproof.groups import PAIRS_NEEDED, Entry
from coldproof.policy import Policy, ServiceClass
from coldproof.report.overview import absent
from coldproof.runs import Run
from coldproof.stats import in_percent, in_seconds
from coldproof.text import cell, plural

MEETS, FAILS = "meets", "fails"
INSUFFICIENT, NOT_JUDGED = "insufficient evidence", "not judged"
WARM_ONLY = "warm only by plan: no cold start here"
NAMED = 5


@dataclass(frozen=True)
class Assessment:
    """One class against one family, or against a row without any proven start (`kin` is None).

    `slowest` of the `starts` proven ones on nodes with enough evidence is what counts: no median
    is taken over nodes. `why` is not safe to print.
    """

    service: ServiceClass
    mode: str
    budget_s: float
    kin: Kin | None
    tier: str
    variant: str
    nodes: Sequence[str]
    verdict: str
    starts: int
    slowest: Run | None
    why: str

    @property
    def room_s(self) -> float | None:
        """Budget less the slowest start, seconds; None without one."""
        return None if self.slowest is None else self.budget_s - (self.slowest.load_s or 0.0)


def assess(fleet: Fleet, policy: Policy) -> list[Assessment]:
    """Return every class against every family and bare row that it applies to."""
    found = []
    for service in policy.classes:
        for mode, budget in (("cold", service.cold_start_s), ("warm", service.warm_start_s)):
            if budget is None:
                continue
            found += [
                _family(service, mode, budget, family, fleet.gathered.left_out)
                for family in fleet.families
                if service.applies(family.kin.tier, family.kin.variant)
                and (mode == "warm" or _has_cold(family))
            ]
            found += [
                _bare(service, mode, budget, entry)
                for entry in fleet.entries
                if service.applies(entry.place.tier, entry.place.variant)
                and (not entry.groups or entry.strays)
            ]
    return found


def missing_nodes(fleet: Fleet) -> list[tuple[str, str]]:
    """Return the nodes without a complete result and the reason, which is safe to print."""
    return absent(fleet.gathered)


def outcome(
    fleet: Fleet, assessments: Sequence[Assessment], policy: Policy
) -> tuple[str, list[str]]:
    """Return the verdict over all required classes, and why it is not `meets`; safe to print.

    A fail outweighs missing evidence. A required class that nothing was held against has none. Of
    a node of which something was left out nobody knows whether a start failed.
    """
    missing = missing_nodes(fleet)
    required = [one for one in policy.classes if one.required]
    mine = [one for one in assessments if one.service.required]
    failed = [one for one in mine if one.verdict == FAILS]
    if failed:
        return FAILS, [f"{plural(len(failed), 'row')} of required classes over budget or failed"]
    reasons = []
    places = {(entry.place.tier, entry.place.variant) for entry in fleet.entries}
    lacking = [one for one in mine if one.verdict == INSUFFICIENT]
    if lacking:
        reasons.append(f"{plural(len(lacking), 'row')} of required classes without enough evidence")
    for service in required:
        if not any(one.service is service and one.verdict != NOT_JUDGED for one in assessments):
            name = cell(service.name)
            reasons.append(f"nothing was measured that class {name} applies to")
        else:
            named = ", ".join(cell(one) for one in service.unmeasured(places))
            if named:
                reasons.append(f"class {cell(service.name)} names what nobody measured: {named}")
    if not required:
        reasons.append("no class of the policy is required, so nothing is decided")
    absent_ones = {node for node, _ in missing}
    doubted = [node for node in fleet.gathered.left_out if node not in absent_ones]
    if doubted:
        reasons.append(f"something was left out of the files of {plural(len(doubted), 'node')}")
    if len(missing) > policy.max_missing_nodes:
        reasons.append(
            f"{plural(len(missing), 'node')} without a complete result "
            f"(max_missing_nodes: {policy.max_missing_nodes})"
        )
    return (INSUFFICIENT if reasons else MEETS), reasons


def _has_cold(family: Family) -> bool:
    """Whether a family has cold starts, or lacks them though the plan asks for them."""
    return any(member.group.cold or not _covered(member) for member in family.members)


def _covered(member: Member) -> bool:
    """Whether cold starts of the member's place are in another family."""
    return any(group.cold for group in member.entry.groups)


def _family(
    service: ServiceClass, mode: str, budget: float, family: Family, left_out: Mapping[str, str]
) -> Assessment:
    members = family.members
    able = [member for member in members if _enough(member, mode)]
    short = [member.node for member in members if not _enough(member, mode)]
    slowest = _slowest(able, mode)
    failed = [run for member in members for run in member.failed]
    verdict, why = MEETS, ""
    if failed:
        verdict, why = FAILS, _named(failed)
    elif slowest and (slowest.load_s or 0.0) > budget:
        verdict, why = FAILS, _over(able, mode, budget)
    elif mode == "cold" and all(member.entry.warm_only for member in members):
        verdict, why = NOT_JUDGED, WARM_ONLY
    elif short or not able:
        named = ", ".join(short[:NAMED]) + (" and others" if len(short) > NAMED else "")
        verdict = INSUFFICIENT
        why = f"under {PAIRS_NEEDED} proven pairs on {plural(len(short), 'node')}: {named}"
    elif doubted := [member.node for member in members if member.node in left_out]:
        verdict = INSUFFICIENT
        why = "; ".join(f"{node}: {left_out[node]}" for node in doubted[:NAMED])
        why += f"; and {len(doubted) - NAMED} more nodes" if len(doubted) > NAMED else ""
    return Assessment(
        service=service,
        mode=mode,
        budget_s=budget,
        kin=family.kin,
        tier=family.kin.tier,
        variant=family.kin.variant,
        nodes=[member.node for member in members],
        verdict=verdict,
        starts=len(_runs(able, mode)),
        slowest=slowest,
        why=why,
    )


def _bare(service: ServiceClass, mode: str, budget: float, entry: Entry) -> Assessment:
    """Assess a row without a single proven start; of a place with some, the strays alone."""
    verdict, why = INSUFFICIENT, "no proven start"
    if not entry.attempts and not entry.abandoned:
        why = "the plan asks for it, and no start of it was fetched"
    failed = entry.strays if entry.groups else entry.failed
    if failed:
        verdict, why = FAILS, _named(failed)
        why += "; started otherwise than the proven ones" if entry.groups else ""
    elif entry.warm_only and mode == "cold":
        verdict, why = NOT_JUDGED, WARM_ONLY
    place = entry.place
    return Assessment(
        service, mode, budget, None, place.tier, place.variant, [place.node], verdict, 0, None,
        why,
    )  # fmt: skip


def _enough(member: Member, mode: str) -> bool:
    if mode == "warm" and member.entry.warm_only:
        return len(member.group.warm) >= PAIRS_NEEDED
    return member.group.sufficient


def _runs(members: Iterable[Member], mode: str) -> list[Run]:
    return [
        run
        for member in members
        for run in (member.group.cold if mode == "cold" else member.group.warm)
    ]


def _slowest(members: Iterable[Member], mode: str) -> Run | None:
    runs = _runs(members, mode)
    return max(runs, key=lambda run: (run.load_s or 0.0, run.order)) if runs else None


def _over(members: Sequence[Member], mode: str, budget: float) -> str:
    """Say which nodes are over the budget: by their median, or only by their slowest start."""
    told = []
    for member in members:
        summary = member.group.cold_s if mode == "cold" else member.group.warm_s
        if summary is not None and summary.high > budget:
            kind = "median" if summary.median > budget else "not reliably: slowest"
            value = summary.median if summary.median > budget else summary.high
            over = f"over by {_by(value - budget)} s ({in_percent(value / budget - 1)} %)"
            told.append(
                (value, f"{member.node} {kind} {in_seconds(value)} s of {summary.n}, {over}")
            )
    told.sort(key=lambda item: (-item[0], item[1]))
    more = f"; and {len(told) - NAMED} more nodes" if len(told) > NAMED else ""
    return "; ".join(text for _, text in told[:NAMED]) + more


def _by(seconds: float) -> str:
    """Return seconds as elsewhere, but never as nothing what is not nothing."""
    return in_seconds(seconds) if seconds >= 0.005 else f"{seconds:.3f}"


def _named(failed: Sequence[Run]) -> str:
    """Name the failed starts, each of which would have taken longer than any budget."""
    told = [
        f"{run.run_id[:200]} ({run.mode}) {run.outcome}"
        + (f" after {in_seconds(run.elapsed_s)} s" if run.elapsed_s is not None else "")
        for run in failed[:NAMED]
    ]
    more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    return f"{plural(len(failed), 'start')} failed: {'; '.join(told)}{more}"
