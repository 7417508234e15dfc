"""`coldproof compare`: two campaigns in, comparison.md and comparison.json out, an exit code."""

from __future__ import annotations

from pathlib import Path

from coldproof.answer import Answer
from coldproof.compare.facts import NAMES
from coldproof.compare.match import FASTER, SAME, SLOWER, Row, compare, summary_line
from coldproof.compare.render import document, markdown
from coldproof.errors import InputError
from coldproof.files import locked, write_atomic, write_document
from coldproof.gather import gather_campaign

MARKDOWN, JSON = "comparison.md", "comparison.json"
NOTHING_WORSE, WORSE, NOT_JUDGED = 0, 1, 3


def run(base: Path, new: Path, out: Path | None, across: frozenset[str]) -> Answer:
    """Write the comparison into `out`, or into the folder `new`, and return the answer.

    Its code is 0: every row was judged and none is slower; 1: a row is slower; 3: none is, but not
    every row could be judged. Raises InputError on folders that are none, or
    facts that do not exist.
    """
    unknown = sorted(across - set(NAMES))
    if unknown:
        raise InputError(f"--across {unknown[0]}: no such fact; there are {', '.join(NAMES)}")
    before, after = gather_campaign(base.resolve()), gather_campaign(new.resolve())
    rows = compare(before, after, across)
    code = exit_code(rows)
    folder = new if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".report.lock"):
        write_atomic(folder / MARKDOWN, markdown(before, after, rows, across))
        found = document(before, after, rows, across, code)
        write_document(folder / JSON, found)
    files = {"markdown": str(folder / MARKDOWN), "json": str(folder / JSON)}
    text = f"{summary_line(rows)}\n\nComparison: {folder / MARKDOWN}"
    return Answer(code, {**found, "files": files}, text)


def exit_code(rows: list[Row]) -> int:
    """Return what the rows mean to a script."""
    if any(row.verdict == SLOWER for row in rows):
        return WORSE
    judged = all(row.verdict in (SAME, FASTER) for row in rows)
    return NOTHING_WORSE if rows and judged else NOT_JUDGED
