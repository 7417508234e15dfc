"""A campaign as metrics: proven starts as medians with n and range, all others counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from coldproof.campaign import STATUSES
from coldproof.export.exposition import Exposition
from coldproof.export.families import FAMILIES
from coldproof.fleet.analysis import Fleet
from coldproof.fleet.ceilings import weights_bytes
from coldproof.fleet.hardware import storage_of
from coldproof.groups import Entry, Group
from coldproof.names import CAMPAIGN
from coldproof.runs import MODES, PROVEN, Run
from coldproof.stats import Summary, summarise

ROWS_LIMIT = 20  # of a place; an honest node has one, or a few after its kernel or engine changed
PHASES_LIMIT = 24
UNLISTED = "unlisted"
Labels = Mapping[str, str]


def exposition(fleet: Fleet) -> Exposition:
    """Return the metrics of a campaign, in the order of its nodes, tiers and variants."""
    out = Exposition(FAMILIES)
    base = {"campaign": fleet.gathered.name}
    _campaign(out, base, fleet)
    left_out = fleet.gathered.exclusions.counts()
    for node in fleet.gathered.nodes:
        labels = {**base, "node": node}
        _node(out, labels, fleet)
        out.add("coldproof_left_out", labels, left_out.get(node, 0))
    for entry in fleet.entries:
        _entry(out, base, fleet, entry)
    for (node, tier), ceiling in sorted(fleet.ceilings.items()):
        if ceiling.bytes_per_s is not None and ceiling.doubt is None:
            labels = {**base, "node": node, "tier": tier}
            out.add("coldproof_ceiling_bytes_per_second", labels, ceiling.bytes_per_s)
    for outlier in fleet.outliers:
        member = outlier.member
        row = next(n for n, one in enumerate(member.entry.groups, 1) if one is member.group)
        labels = {**_place(base, member.entry), "row": str(row), "mode": outlier.mode}
        out.add("coldproof_outlier_difference_seconds", labels, outlier.difference)
    return out


def _campaign(out: Exposition, base: Labels, fleet: Fleet) -> None:
    gathered = fleet.gathered
    told = {
        name: value if isinstance(value := gathered.settings.get(name), str) else ""
        for name in ("model", "engine", "cold_method")
    }
    demo = "true" if gathered.demo else "false"
    out.add("coldproof_campaign_info", {**base, "demo": demo, **told}, 1)
    if CAMPAIGN.fullmatch(gathered.name):
        opened = datetime.strptime(gathered.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        out.add("coldproof_campaign_start_timestamp_seconds", base, opened.timestamp())


def _node(out: Exposition, labels: Labels, fleet: Fleet) -> None:
    node = labels["node"]
    status = fleet.gathered.nodes[node].status
    for one in (*STATUSES, UNLISTED):
        out.add("coldproof_node_status", {**labels, "status": one}, float(one == status))
    hardware = fleet.hardware.get(node)
    if hardware:
        known = {name: str(value).lower() if name == "virtual" else str(value)
                 for name, value in hardware._asdict().items()}  # fmt: skip
        out.add("coldproof_node_info", {**labels, **known}, 1)
    out.add("coldproof_findings", labels, len(fleet.of_node.get(node, ())))


def _place(base: Labels, entry: Entry) -> dict[str, str]:
    return {**base, **vars(entry.place)}


def _entry(out: Exposition, base: Labels, fleet: Fleet, entry: Entry) -> None:
    place = _place(base, entry)
    counts = Counter((run.mode, _became(run)) for run in [*entry.attempts, *entry.abandoned])
    for mode in MODES:
        proof = (PROVEN[mode], "unproven", "refuted") if mode in PROVEN else ("not_applicable",)
        for state in (*proof, "failed", "cut_short"):
            labels = {**place, "mode": mode, "state": state}
            out.add("coldproof_starts", labels, counts[mode, state])
    first = entry.primes[0] if entry.primes else None
    if first and first.ready and first.load_s is not None:
        out.add("coldproof_first_start_seconds", place, first.load_s)
    for number, group in enumerate(entry.groups[:ROWS_LIMIT], 1):
        _row(out, {**place, "row": str(number)}, fleet, group)
    if len(entry.groups) > ROWS_LIMIT:
        out.add("coldproof_rows_left_out", place, len(entry.groups) - ROWS_LIMIT)


def _became(run: Run) -> str:
    if run.abandoned:
        return "cut_short"
    return "failed" if run.failed else run.state


def _row(out: Exposition, row: Labels, fleet: Fleet, group: Group) -> None:
    facts = {
        name: "" if value is None else str(value)
        for name, value in group.circumstances.facts.items()
        if name != "campaign"
    }
    where = storage_of((*group.cold, *group.warm)[0])
    storage = {"filesystem": where.filesystem, "storage": where.model}
    out.add("coldproof_row_info", {**row, **facts, **storage}, 1)
    for mode, times, runs in (
        ("cold", group.cold_s, group.cold),
        ("warm", group.warm_s, group.warm),
    ):
        labels = {**row, "mode": mode}
        out.add("coldproof_start_proven", labels, len(runs))
        _spread(out, "coldproof_start", "seconds", labels, times)
        _phases(out, labels, runs)
    out.add("coldproof_pairs", row, len(group.pairs))
    if group.sufficient:
        _spread(out, "coldproof_cold_to_warm", "ratio", row, group.factor)
        _spread(out, "coldproof_cache_effect", "seconds", row, group.effect)
        _spread(out, "coldproof_storage_share", "ratio", row, group.share)
    size, use = weights_bytes(group), fleet.use(group)
    if size:
        out.add("coldproof_weights_bytes", row, size)
    if use.fraction is not None:
        out.add("coldproof_ceiling_used_ratio", row, use.fraction)


def _phases(out: Exposition, labels: Labels, runs: Sequence[Run]) -> None:
    names = list(dict.fromkeys(name for run in runs for name in run.phases))
    for name in names[:PHASES_LIMIT]:
        took = summarise(_of_phase(runs, name))
        if took:
            own = {**labels, "phase": name}
            out.add("coldproof_phase_proven", own, took.n)
            _spread(out, "coldproof_phase", "seconds", own, took)


def _of_phase(runs: Sequence[Run], name: str) -> Iterable[float]:
    return (run.phases[name] for run in runs if name in run.phases)


def _spread(out: Exposition, name: str, unit: str, labels: Labels, summary: Summary | None) -> None:
    if summary is None:
        return
    for part, value in (("median", summary.median), ("min", summary.low), ("max", summary.high)):
        out.add(f"{name}_{part}_{unit}", labels, value)
