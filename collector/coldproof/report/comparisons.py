"""Nodes within a class, tiers within a node, variants within both: ranked, never averaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from coldproof.fleet.analysis import Fleet
from coldproof.fleet.families import Family
from coldproof.groups import Group
from coldproof.stats import Summary, in_times
from coldproof.text import cell, listing, plural

BULLETS = 100


def nodes(fleet: Fleet, demo: str) -> list[str]:
    """Return a bullet for each family of several nodes with enough evidence."""
    found = (_family(fleet, family, demo) for family in fleet.families)
    return _capped([line for line in found if line])


def tiers_and_variants(fleet: Fleet, demo: str) -> list[str]:
    """Return a bullet for each node's tiers of one variant, and its variants of one tier."""
    by_node: dict[str, list[Group]] = {}
    alone: dict[tuple[str, str], bool] = {}
    for entry in fleet.entries:
        able = [group for group in entry.groups if group.sufficient]
        alone[entry.place.node, entry.place.tier] = not entry.same_storage
        if len(able) == 1:  # several circumstances of one place are not for one number
            by_node.setdefault(entry.place.node, []).append(able[0])
    lines = []
    for node, groups in by_node.items():
        for axis in ("tier", "variant"):
            rows = list(_along(groups, axis))
            times = Counter(row[0] for row in rows)
            for kept, members in rows:
                same = axis == "tier" and not all(
                    alone[node, group.place.tier] for group in members
                )
                under = _under(members[0], axis) if times[kept] > 1 else ""
                lines.append(_ranked(demo, node, axis, kept, under, members, same_storage=same))
    return _capped(lines)


def _family(fleet: Fleet, family: Family, demo: str) -> str:
    able = [
        (member.node, member.group.cold_s)
        for member in family.members
        if member.group.sufficient and member.group.place not in fleet.odd_places
    ]
    ranked = sorted(
        ((node, cold) for node, cold in able if cold), key=lambda item: (item[1].median, item[0])
    )
    if len(ranked) < 2:
        return ""
    (fast, fast_s), (slow, slow_s) = ranked[0], ranked[-1]
    number = fleet.classes.get(family.kin.hardware) if family.kin.hardware else None
    kind = f" of hardware class {number}" if number and len(fleet.classes) > 1 else ""
    inside = cell("/".join((family.kin.tier, family.kin.variant)))
    return (
        f"- {demo}{inside} over {len(ranked)} nodes{kind}, cold: fastest {cell(fast)} "
        f"{fast_s.seconds()}, slowest {cell(slow)} {slow_s.seconds()}.{_apart(fast_s, slow_s)}"
    )


def _along(groups: Sequence[Group], axis: str) -> Iterator[tuple[str, list[Group]]]:
    """Yield groups that differ only in `axis`, with the name of the other one.

    Of a variant it is its own affair whether it has compile caches at all, but not what is in them.
    """
    found: dict[tuple[object, ...], list[Group]] = {}
    filled = {
        (group.place.tier, group.circumstances.compile)
        for group in groups
        if group.circumstances.compile != "disabled"
    }
    for group in groups:
        place, held = group.place, group.circumstances
        kept = place.variant if axis == "tier" else place.tier
        scope = None if axis == "tier" else held.scope  # each tier has its own rule of proof
        caches = held.compile
        if axis == "variant" and caches == "disabled":
            states = sorted(state for tier, state in filled if tier == place.tier)
            caches = "hit" if "hit" in states or not states else states[0]
        key = (kept, held.setup, held.manifest, held.concurrency if axis == "variant" else None,
               held.method, scope, caches)  # fmt: skip
        found.setdefault(key, []).append(group)
    for same, members in found.items():
        if len(members) > 1:
            yield str(same[0]), members


def _ranked(
    demo: str,
    node: str,
    axis: str,
    kept: str,
    under: str,
    groups: Sequence[Group],
    *,
    same_storage: bool,
) -> str:
    ranked = sorted(
        ((getattr(group.place, axis), group, group.cold_s) for group in groups),
        key=lambda item: (item[2].median if item[2] else 0.0, item[0]),
    )
    (fast, best, fast_s), *rest = ranked
    if fast_s is None:
        return ""
    told = [
        f"{_named(name, group, axis)} {in_times(cold.median / fast_s.median)}x as long "
        f"({cold.seconds()}{'; ranges overlap' if cold.low <= fast_s.high else ''})"
        for name, group, cold in rest
        if cold and fast_s.median
    ]
    other = "variant" if axis == "tier" else "tier"
    note = " On one device and mount, so this compares no storages." if same_storage else ""
    return (
        f"- {demo}{cell(node)}, {axis}s with {other} {cell(kept)}{under}, cold: fastest "
        f"{_named(fast, best, axis)} {fast_s.seconds()}; {listing(told, 10)}.{note}"
    )


def _under(group: Group, axis: str) -> str:
    """Return what tells comparisons of the same place from each other; safe to print."""
    held = group.circumstances
    own = f"scope {cell(held.scope)}, " if axis == "variant" else ""
    count = held.concurrency if axis == "variant" else None
    many = f", {plural(count, 'node')} at once" if count else ""
    return f" ({own}method {cell(held.method)}, compile caches {held.compile}{many})"


def _named(name: str, group: Group, axis: str) -> str:
    """Return a tier with its scope and concurrency, which go with it; or a variant."""
    held = group.circumstances
    many = f", {held.concurrency} nodes at once" if held.concurrency not in (None, 1) else ""
    return f"{cell(name)} (scope {cell(held.scope)}{many})" if axis == "tier" else cell(name)


def _apart(fast: Summary, slow: Summary) -> str:
    return "" if slow.low > fast.high else " Their ranges overlap."


def _capped(lines: list[str]) -> list[str]:
    over = len(lines) - BULLETS
    return [*lines[:BULLETS], *([f"- And {over} more comparisons."] if over > 0 else [])]
