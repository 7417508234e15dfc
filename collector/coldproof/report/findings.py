"""Faults of nodes: each with its evidence and the command that fixes it, and what is unknown."""

from __future__ import annotations

from coldproof.fleet.analysis import Fleet
from coldproof.report.tables import table
from coldproof.text import cell, listing, plural

ROWS_LISTED = 100
NODES_LISTED = 10
NOTHING = "No fault was found in what the nodes recorded of themselves."
UNKNOWN = "Unknown, because no record tells it: "


def found_on_nodes(fleet: Fleet) -> list[str]:
    """Return the section: findings, nodes with equal ones together; then what is unknown."""
    alike: dict[tuple[str, str, str, str], list[str]] = {}
    for one in fleet.findings:
        nodes = alike.setdefault((one.what, one.fix, one.evidence, one.tier), [])
        nodes.append(one.node)
    rows = [
        [_nodes(nodes), cell(tier), cell(what), cell(evidence), cell(fix)]
        for (what, fix, evidence, tier), nodes in list(alike.items())[:ROWS_LISTED]
    ]
    lines = [NOTHING]
    if rows:
        lines = [table(("nodes", "tier", "what", "evidence", "what fixes it"), rows)]
    if len(alike) > ROWS_LISTED:
        lines += ["", f"And {len(alike) - ROWS_LISTED} more."]
    return [*lines, "", *_unknown(fleet)]


def beside(fleet: Fleet, node: str) -> str:
    """Return what else was found on a node, for the sentence on an outlier; safe to print."""
    told = [f"{cell(one.what)} ({cell(one.evidence)})" for one in fleet.of_node.get(node, ())]
    return f" On this node also: {listing(told)}." if told else ""


def _nodes(nodes: list[str]) -> str:
    return listing([cell(node) for node in dict.fromkeys(nodes)], NODES_LISTED)


def _unknown(fleet: Fleet) -> list[str]:
    checks: dict[str, int] = {}
    for one in fleet.unknown:
        checks[one.check] = checks.get(one.check, 0) + 1
    if not checks:
        return []
    told = [f"{check} ({plural(count, 'node')})" for check, count in checks.items()]
    return [f"{UNKNOWN}{', '.join(told)}."]
