"""The report's rows as JSON, for scripts: what `coldproof report --json` prints."""

from __future__ import annotations

from typing import Any

from coldproof.gather import Gathered
from coldproof.groups import Entry, Group, entries
from coldproof.publish import Published
from coldproof.report.judge import distinctions
from coldproof.stats import Summary

SCHEMA = "coldproof.report/1"


def document(gathered: Gathered, published: Published, code: int) -> dict[str, Any]:
    """Return the rows with their numbers, times in seconds; text is as it came from nodes.

    Factor, effect and storage's share are null with fewer than three pairs.
    """
    found = entries(gathered.runs, gathered.planned, gathered.complete)
    return {
        "schema": SCHEMA,
        "campaign": gathered.name,
        "demo": gathered.demo,
        "exit_code": code,
        "files": {
            "csv": str(published.sheet),
            "markdown": str(published.report),
            "html": str(published.page),
        },
        "nodes": {
            name: {"status": node.status, "code": node.code, "message": node.message}
            for name, node in gathered.nodes.items()
        },
        "incomplete": gathered.incomplete,
        "left_out": gathered.exclusions.counts(),
        "rows": [_row(entry, group) for entry in found for group in entry.groups or (None,)],
    }


def _row(entry: Entry, group: Group | None) -> dict[str, Any]:
    place = entry.place
    counts = {
        "failed": entry.failed,
        "refuted": entry.refuted,
        "unproven": entry.unproven,
        "cut_short": entry.abandoned,
    }
    judged = group if group and group.sufficient else None
    return {
        "node": place.node,
        "tier": place.tier,
        "variant": place.variant,
        "apart": distinctions(entry, group) if group else [],
        "scope": group.scope if group else None,
        "method": group.method if group else None,
        "cold_s": _summary(group.cold_s if group else None),
        "warm_s": _summary(group.warm_s if group else None),
        "pairs": len(group.pairs) if group else 0,
        "factor": _summary(judged.factor if judged else None),
        "effect_s": _summary(judged.effect if judged else None),
        "storage_share": _summary(judged.share if judged else None),
        **{name: len(entry.concerning(runs, group)) for name, runs in counts.items()},
        "warm_only": entry.warm_only,
        "unsettled": entry.unsettled_in(group),
    }


def _summary(summary: Summary | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    low, median, high = (round(value, 6) for value in (summary.low, summary.median, summary.high))
    return {"n": summary.n, "median": median, "low": low, "high": high}
