"""What the storage can do, what of it a start used, and whether that explains the difference."""

from __future__ import annotations

from coldproof.fleet.analysis import Fleet
from coldproof.fleet.ceilings import LOADER_BOUND, STORAGE_BOUND, UNMEASURED, Use, weights_bytes
from coldproof.fleet.hardware import storage_of
from coldproof.groups import Group
from coldproof.report.tables import table
from coldproof.stats import GB, in_gb, in_percent, in_seconds, summarise
from coldproof.text import cell

GIB = 1 << 30
MATCH = 1.5  # measured and modelled seconds this close are called a match
ROWS_LISTED = 200
NOTE = (
    "Ceiling: the best of O_DIRECT and buffered sweeps over the weights' own files, each twice, "
    "after the last cold start. Floor: weights by ceiling. Used: weights by the weights phase of a "
    f"cold start, of the ceiling. Below {100 * LOADER_BOUND:.0f} % the loader is the bottleneck, "
    f"from {100 * STORAGE_BOUND:.0f} % the storage is."
)
NONE = "No ceiling was measured, so no percentage is said of any storage."
# Seconds a GB (1e9 bytes) of weights; measured by others, for "does this match?".
PUBLISHED = (
    "others published 3.1 to 3.2 s a GB for default mmap loading of safetensors on a 1 GB/s and on "
    "a 4 GB/s volume (run-ai/runai-model-streamer, its benchmarks)"
)


def limits(fleet: Fleet) -> list[str]:
    """Return the section on ceilings: a row for each with one, honest where no % is said."""
    rows = [
        _row(group, use)
        for entry in fleet.entries
        for group in entry.groups
        for use in [fleet.use(group)]
        if group.cold and use.ceiling.doubt != UNMEASURED
    ]
    if not rows:
        return [NONE]
    head = ("where", "ceiling, GB/s", "weights, GiB", "floor, s", "weights phase cold, s",
            "used", "so")  # fmt: skip
    more = [f"And {len(rows) - ROWS_LISTED} more rows."] if len(rows) > ROWS_LISTED else []
    return [NOTE, "", table(head, rows[:ROWS_LISTED], right=range(1, 6)), "", *more]


def in_short(use: Use) -> str:
    """Return the cell of the comparison table: the ceiling and how much of it was used."""
    best = use.ceiling.bytes_per_s
    if best is None:
        return use.doubt or UNMEASURED
    used = f"{in_percent(use.fraction)} % used" if use.fraction is not None else "no %"
    return f"{in_gb(best)} GB/s, {used}"


def bottleneck(group: Group, use: Use) -> str:
    """Return e.g. `9 % of what the disk can do: the loader is the bottleneck`; or why not."""
    if use.fraction is None:
        return f"no percentage: {use.doubt or 'no weights phase was recorded'}"
    what = f"{in_percent(use.fraction)} % of what {_storage(group)} can do"
    if use.loader_bound:
        return f"{what}: the loader is the bottleneck"
    if use.storage_bound:
        return f"{what}: the storage is the bottleneck of the weights phase"
    return f"{what}: loader and storage both take their part"


def model(group: Group, use: Use) -> str:
    """Say whether weights by ceiling explain what cold weights cost; empty without weights."""
    effect = group.weights_effect
    if effect is None or not group.sufficient:
        return ""
    rate = _a_gb(group)
    if use.floor_s is None:
        why = use.doubt or UNMEASURED
        return (
            f" Ceiling: {why}, so the page-cache model (weights by ceiling) is not checked.{rate}"
        )
    told = (
        f" By the page-cache model cold weights cost {in_seconds(use.floor_s)} s more (weights by "
        f"ceiling); measured were {effect.seconds()}"
    )
    if effect.median > MATCH * use.floor_s:
        verdict = "more than the storage explains; the loader takes the rest"
    elif effect.median * MATCH < use.floor_s:
        verdict = "less than that: reading overlaps other work, or warm starts read too"
    else:
        verdict = "it matches"
    return f"{told}: {verdict}. {bottleneck(group, use).capitalize()}.{rate}"


def _a_gb(group: Group) -> str:
    size = weights_bytes(group)
    took = summarise(run.weights_s for run in group.cold if run.weights_s is not None)
    if not size or took is None:
        return ""
    a_gb = summarise(run.weights_s / (size / GB) for run in group.cold if run.weights_s)
    if a_gb is None or group.circumstances.setup.engine != "vllm":
        return ""
    return f" Cold weights took {a_gb.seconds()} a GB; {PUBLISHED}."


def _storage(group: Group) -> str:
    told = next((run for run in group.cold if run.record), None)
    local = told is not None and not storage_of(told).network and storage_of(told).filesystem
    return "the disk" if local else "the storage"


def _row(group: Group, use: Use) -> list[str]:
    best, size = use.ceiling.bytes_per_s, weights_bytes(group)
    took = summarise(run.weights_s for run in group.cold if run.weights_s is not None)
    return [
        f"{cell(group.place.node)}, {cell(group.place.inside)}",
        in_gb(best) if best else "-",
        f"{size / GIB:.2f}" if size else "-",
        in_seconds(use.floor_s) if use.floor_s is not None else "-",
        took.bare() if took else "-",
        f"{in_percent(use.fraction)} %" if use.fraction is not None else "-",
        cell(bottleneck(group, use)),
    ]
