"""Two campaigns compared, as markdown and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coldproof.compare.match import (
    FASTER,
    NOT_COMPARABLE,
    SLOWER,
    Row,
    Side,
    summary_line,
)
from coldproof.gather import Gathered
from coldproof.report.overview import DEMO, where
from coldproof.report.tables import table
from coldproof.runs import Run
from coldproof.stats import EFFECT_FLOOR, EFFECT_FLOOR_S, in_seconds
from coldproof.text import cell

SCHEMA = "coldproof.comparison/1"
RULE = (
    "Different means: the ranges of the proven starts do not overlap, and the medians are at least "
    f"{100 * EFFECT_FLOOR:.0f} % and {EFFECT_FLOOR_S:.0f} s apart; each side has three proven "
    "pairs. `same` means that no such difference was shown, not that there is none. A start that "
    "failed in the new campaign alone makes its row slower."
)
HEAD = ("node", "tier", "variant", "start", "base, s", "new, s", "difference", "verdict", "why")
BULLETS = 50


def markdown(base: Gathered, new: Gathered, rows: Sequence[Row], across: frozenset[str]) -> str:
    """Return comparison.md; the same input gives the same text."""
    demo = f"{DEMO}: " if base.demo or new.demo else ""
    allowed = f" Allowed to differ: {', '.join(sorted(across))}." if across else ""
    telling = [row for name in (SLOWER, FASTER, NOT_COMPARABLE) for row in rows
               if row.verdict == name]  # fmt: skip
    bullets = [f"- {demo}{_bullet(row)}" for row in telling[:BULLETS]]
    if len(telling) > BULLETS:
        bullets.append(f"- And {len(telling) - BULLETS} more in the table.")
    lines = [
        "# Two campaigns compared",
        "",
        f"Base {cell(base.name)}, new {cell(new.name)}.{allowed}",
        "",
        "## Verdict",
        "",
        f"{demo}{summary_line(rows)}.",
        "",
        *(bullets or ["- Nothing is faster, slower or not comparable."]),
        "",
        "## Rows",
        "",
        RULE,
        "",
        table(HEAD, [_cells(row) for row in rows] or [["-"] * len(HEAD)], right=(4, 5, 6)),
    ]
    return "\n".join(lines) + "\n"


def document(
    base: Gathered, new: Gathered, rows: Sequence[Row], across: frozenset[str], code: int
) -> dict[str, Any]:
    """Return comparison.json: every row with its numbers in seconds, and the exit code."""
    return {
        "schema": SCHEMA,
        "base": base.name,
        "new": new.name,
        "demo": base.demo or new.demo,
        "across": sorted(across),
        "exit_code": code,
        "rows": [
            {
                "node": row.place.node,
                "tier": row.place.tier,
                "variant": row.place.variant,
                "mode": row.mode,
                "verdict": row.verdict,
                "why": row.why,
                "difference_s": None if row.difference_s is None else round(row.difference_s, 3),
                "base": _side(row.base),
                "new": _side(row.new),
            }
            for row in rows
        ],
    }


def _bullet(row: Row) -> str:
    why = f" ({cell(row.why, 500)})" if row.why else ""
    return f"{where(row.place)}, {row.mode}: **{row.verdict}**{_by(row)}{why}"


def _by(row: Row) -> str:
    difference, base = row.difference_s, row.base
    if difference is None or base is None or row.verdict not in (SLOWER, FASTER):
        return ""
    share = f" ({100 * difference / base.summary.median:+.0f} %)" if base.summary.median else ""
    return f" by {in_seconds(abs(difference))} s{share}"


def _cells(row: Row) -> list[str]:
    difference = row.difference_s
    return [
        cell(row.place.node), cell(row.place.tier), cell(row.place.variant), row.mode,
        _bare(row.base), _bare(row.new),
        "-" if difference is None else f"{difference:+.2f} s",
        row.verdict, cell(row.why, 500),
    ]  # fmt: skip


def _bare(side: Side | None) -> str:
    return side.summary.bare() if side else "-"


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    summary = side.summary
    return {
        "n": summary.n,
        "median_s": round(summary.median, 3),
        "low_s": round(summary.low, 3),
        "high_s": round(summary.high, 3),
        "pairs": len(side.group.pairs),
        "failed": [_failed(run) for run in side.failed],
    }


def _failed(run: Run) -> dict[str, Any]:
    return {"run_id": run.run_id, "outcome": run.outcome, "elapsed_s": run.elapsed_s}
