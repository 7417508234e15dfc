"""The capacity review as markdown: the verdict first, then what to do, then the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from coldproof.fleet.analysis import Fleet
from coldproof.fleet.families import Kin
from coldproof.report.evidence import exclusions
from coldproof.report.overview import DEMO
from coldproof.report.tables import table
from coldproof.review.actions import LISTED
from coldproof.review.alternatives import Action
from coldproof.review.assess import Assessment
from coldproof.review.probes import Probe
from coldproof.review.restore import Restore
from coldproof.review.result import Review
from coldproof.stats import in_percent, in_seconds
from coldproof.text import cell, plural

ROWS_LISTED = 500
NOT_HERE = "-"
JUDGED = (
    "A row is one hardware class, tier, variant and scope; nodes are never averaged. It meets a "
    "budget if every node has three proven pairs, the slowest proven start of all nodes is within "
    "the budget and no start failed. `room` is the budget less that slowest start."
)
BOUNDS = (
    "Lower bounds: a machine's boot, image pulls, scheduling and traffic shifting are not in them, "
    "and no herd was measured (no more nodes at once than the campaign had); a shared storage may "
    "deliver less to many. Restore: all nodes that are needed start their replicas at once, cold; "
    "several replicas on one node were not measured together. Roll: batch after batch."
)
THRESHOLDS = (
    "From the slowest of all starts that were made (first ones, cold, warm, proven or not), times "
    "the margin: that is the engine's own time-out. The probe lets it live longer, also by what "
    "comes before that begins to count (lead), so that the engine is the one who says what is "
    "wrong; the first probe may come at once, so N failures last N - 1 periods."
)
FIRST = "Seconds that it wins at most, of one start; medians over nodes (n counts nodes)."


def markdown(review: Review) -> str:
    """Return capacity_review.md; the same input gives the same text."""
    demo = f"{DEMO}: " if review.fleet.gathered.demo else ""
    head = f"{demo}**{review.verdict}**: policy {cell(review.policy.name)}"
    reasons = [f"- {demo}{text}" for text in review.reasons]
    sections = [
        ("Verdict", [f"{head}.", "", *reasons, *_failing(review, demo), *_passing(review, demo)]),
        ("What to change first", _actions(review.actions)),
        ("Budgets", [JUDGED, "", *_budgets(review)]),
        ("Time to restore and to roll", [_asked(review), "", BOUNDS, "", *_restores(review)]),
        ("Startup probe and ready time-out", [THRESHOLDS, "", *_probes(review)]),
        ("Nodes without a complete result", _missing(review)),
        ("What was left out of the input", exclusions(review.fleet.gathered)),
    ]
    lines = ["# Capacity review", "", f"Campaign {cell(review.fleet.gathered.name)}.", ""]
    for title, body in sections:
        lines += [f"## {title}", "", *body, ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def row_label(fleet: Fleet, kin: Kin | None, tier: str, variant: str) -> list[str]:
    """Return the cells hardware class, tier, variant, scope; safe to print."""
    number = fleet.classes.get(kin.hardware) if kin and kin.hardware else None
    scope = kin.circumstances.scope if kin else None
    return [f"class {number}" if number else "not recorded", cell(tier), cell(variant), cell(scope)]


def _failing(review: Review, demo: str) -> list[str]:
    """Return why required rows do not meet, the others' rows being in the table."""
    return [
        f"- {demo}{cell(one.service.name)}, {_place(one)}: {one.verdict}{_why(one)}"
        for one in review.assessments
        if one.service.required and one.verdict not in ("meets", "not judged")
    ][:ROWS_LISTED]


def _passing(review: Review, demo: str) -> list[str]:
    mine = [one for one in review.assessments if one.service.required and one.verdict == "meets"]
    return [
        f"- {demo}{cell(one.service.name)}, {_place(one)}: meets {in_seconds(one.budget_s)} s, "
        f"{_room(one)} of room; slowest of {one.starts} starts on "
        f"{plural(len(one.nodes), 'node')}"
        for one in mine
    ][:ROWS_LISTED]


def _place(one: Assessment) -> str:
    nodes = f"{one.nodes[0]}" if len(one.nodes) == 1 else plural(len(one.nodes), "node")
    return f"{cell(one.tier)}/{cell(one.variant)} {one.mode} on {cell(nodes)}"


def _slowest_of(one: Assessment) -> str:
    if one.slowest is None:
        return NOT_HERE
    return f"{in_seconds(one.slowest.load_s or 0.0)} ({cell(one.slowest.node)}) of {one.starts}"


def _why(one: Assessment) -> str:
    return f": {cell(one.why, 600)}" if one.why else ""


def _room(one: Assessment) -> str:
    if one.room_s is None:
        return NOT_HERE
    return f"{in_seconds(one.room_s)} s ({in_percent(one.room_s / one.budget_s)} %)"


def _actions(found: Sequence[Action]) -> list[str]:
    if not found:
        return ["Nothing that wins 2 s or more was seen."]
    lines = [
        f"{number}. {cell(one.where)}: {cell(one.text, 500)}"
        for number, one in enumerate(found[:LISTED], 1)
    ]
    more = [f"\nAnd {len(found) - LISTED} more: see capacity_review.json."]
    return [FIRST, "", *lines, *(more if len(found) > LISTED else [])]


def _budgets(review: Review) -> list[str]:
    rows = [
        [
            cell(one.service.name),
            "yes" if one.service.required else "no",
            *row_label(review.fleet, one.kin, one.tier, one.variant),
            str(len(one.nodes)),
            one.mode,
            in_seconds(one.budget_s),
            _slowest_of(one),
            one.verdict,
            _room(one),
            cell(one.why, 600),
        ]
        for one in review.assessments[:ROWS_LISTED]
    ]
    head = ("service class", "required", "hardware", "tier", "variant", "scope", "nodes", "start",
            "budget, s", "slowest, s", "verdict", "room", "why")  # fmt: skip
    if not rows:
        return ["Nothing was measured that a class of the policy applies to."]
    classes = [
        f"- Hardware class {number}: {cell(kind.text)}"
        for kind, number in review.fleet.classes.items()
    ]
    over = len(review.assessments) - ROWS_LISTED
    more = [f"And {over} more: see capacity_review.json."] if over > 0 else []
    return [table(head, rows, right=(6, 8, 9, 11)), "", *more, *classes]


def _asked(review: Review) -> str:
    policy = review.policy
    return (
        f"Asked: {plural(policy.replicas, 'replica')}, {policy.per_node} on each node; rolled "
        f"{plural(policy.batch, 'node')} at once."
    )


def _restores(review: Review) -> list[str]:
    rows = [_restore(review, one) for one in review.restores[:ROWS_LISTED]]
    if not rows:
        return ["No row has enough evidence."]
    head = ("hardware", "tier", "variant", "scope", "nodes", "nodes needed",
            "restore, at least s", "slowest cold seen, s", "batches", "roll cold, at least s",
            "roll warm, at least s")  # fmt: skip
    return [table(head, rows, right=range(4, 11))]


def _restore(review: Review, one: Restore) -> list[str]:
    restore = (
        in_seconds(one.restore_s)
        if one.restore_s is not None
        else (f"not said: {plural(one.nodes, 'node')} measured")
    )
    return [
        *row_label(review.fleet, one.kin, one.kin.tier, one.kin.variant),
        str(one.nodes),
        str(one.nodes_needed),
        restore,
        _bare(one.slowest_seen_s),
        str(one.batches),
        _bare(one.roll_cold_s),
        _bare(one.roll_warm_s),
    ]


def _bare(value: float | None) -> str:
    return NOT_HERE if value is None else in_seconds(value)


def _probes(review: Review) -> list[str]:
    if not review.probes:
        return ["No start was timed."]
    margin = f"{review.policy.margin:g}"
    rows = [
        [
            f"class {one.hardware}" if one.hardware else "not recorded",
            cell(one.tier),
            cell(one.variant),
            _slowest(one),
            f"{one.n}, {one.first_ever} first",
            str(one.period_s),
            str(one.failure_threshold),
            f"{one.ready_timeout_s}" + (f" ({one.variable})" if one.variable else ""),
            in_seconds(one.lead_s) if one.variable else NOT_HERE,
            _remark(one),
        ]
        for one in review.probes[:ROWS_LISTED]
    ]
    head = ("hardware", "tier", "variant", "slowest, s", "starts", "periodSeconds",
            "failureThreshold", "ready time-out, s", "lead, s", "remark")  # fmt: skip
    return [f"Margin: {margin}.", "", table(head, rows, right=(5, 6, 8))]


def _slowest(one: Probe) -> str:
    run = one.slowest
    name = cell(str(run.seq or run.run_id), 80)
    return f"{in_seconds(one.slowest_s)} ({cell(run.node)} run {name}, {run.mode})"


def _remark(one: Probe) -> str:
    said = []
    if one.censored:
        said.append(
            f"{plural(one.censored, 'start')} failed: how long it would have taken is unknown, so "
            "these are too low"
        )
    if not one.first_ever:
        said.append("no first start with empty compile caches was made: a new node takes longer")
    return "; ".join(said) or NOT_HERE


def _missing(review: Review) -> list[str]:
    if not review.missing:
        return ["None."]
    rows = [[cell(node), reason] for node, reason in review.missing]
    return [table(("node", "why"), rows)]
