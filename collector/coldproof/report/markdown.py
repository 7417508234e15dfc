"""Put the report together, in the order in which an SRE reads it: the verdict first."""

from __future__ import annotations

from collections.abc import Iterable

from coldproof.fleet.analysis import Fleet, look
from coldproof.gather import Gathered
from coldproof.report import evidence, overview
from coldproof.report.configuration import configuration
from coldproof.report.findings import found_on_nodes
from coldproof.report.fleet import compared, outlier_bullets
from coldproof.report.gpus import gpus
from coldproof.report.interpretation import interpretation
from coldproof.report.limits import limits
from coldproof.report.method import command, method
from coldproof.report.prewarming import prewarming
from coldproof.text import cell, plural

COLUMNS = (
    "Seconds from process start to ready: median (range) n, proven starts only. Factor, cache "
    "effect (cold - warm) and storage's share (of the cold start) are medians over pairs of a "
    "cold and a warm start. Rows marked unproven stand apart and count for nothing."
)
OPTIONAL = ("What pre-warming buys",)  # left out where no variant asks for it


def render(gathered: Gathered, fleet: Fleet | None = None) -> bytes:
    """Return storage_load_bench.md in UTF-8. The same input gives the same bytes."""
    fleet = fleet or look(gathered)
    found = fleet.entries
    sections: list[tuple[str, Iterable[str]]] = [
        ("Verdict", overview.verdicts(fleet, outlier_bullets(fleet))),
        ("Nodes, tiers and variants", _comparison(overview.comparison_table(fleet))),
        ("First start ever", overview.first_starts(found)),
        ("Where the time goes", evidence.phases(found)),
        ("What the storage can do", limits(fleet)),
        ("What pre-warming buys", prewarming(fleet)),
        ("Nodes held against each other", compared(fleet)),
        ("Findings on nodes", found_on_nodes(fleet)),
        ("What made no verdict, and why", evidence.left_out(gathered, found, fleet.odd)),
        ("What was left out of the input", evidence.exclusions(gathered)),
        ("Server and storage", [*configuration(gathered), *gpus(gathered)]),
        ("Method", method(gathered, found)),
        ("Repeat it", command(gathered)),
        ("Interpretation", interpretation(fleet)),
    ]
    lines = ["# Cold and warm starts by storage", "", _subtitle(gathered), ""]
    for title, body in sections:
        content = list(body)
        if content or title not in OPTIONAL:
            lines += [f"## {title}", "", *content, ""]
    text = "\n".join(lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return (text.rstrip("\n") + "\n").encode("utf-8", "replace")


def _subtitle(gathered: Gathered) -> str:
    counts = (
        f"{plural(len(gathered.nodes), 'node')}, {plural(len(gathered.runs), 'start')}, "
        f"{len(gathered.incomplete)} of the nodes not complete"
    )
    model, engine = gathered.settings.get("model"), gathered.settings.get("engine")
    what = f" Model {cell(str(model))}, engine {cell(str(engine))}." if model and engine else ""
    return f"Campaign {cell(gathered.name)}: {counts}.{what}"


def _comparison(rows: str) -> list[str]:
    return [
        COLUMNS,
        "",
        rows,
    ]
