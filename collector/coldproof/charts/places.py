"""What charts call their panels and rows, and what they say of rows that are not drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coldproof.groups import Entry, Group, Place
from coldproof.report.judge import distinctions
from coldproof.stats import Summary
from coldproof.text import listing, words

LABEL = 56  # characters that fit 360 pixels


def panel(place: Place) -> str:
    """Return the title of the panel of a place's tier and variant."""
    return f"tier/variant {words(place.inside, LABEL - 14)}"


def label(entry: Entry, group: Group | None = None) -> str:
    """Return a row's label: the node, and the circumstances if they differ within the place."""
    told = ", ".join(distinctions(entry, group)) if group and len(entry.groups) > 1 else ""
    return words(f"{entry.place.node} ({told})" if told else entry.place.node, LABEL)


def tell(entry: Entry, group: Group | None, summaries: Mapping[str, Summary]) -> str:
    """Return a row in words, for whoever does not see it."""
    numbers = ", ".join(f"{mode} {one.seconds()}" for mode, one in summaries.items())
    where = f"{label(entry, group)}, {words(entry.place.inside, LABEL)}"
    return f"{where}: {numbers or 'nothing proven'}."


def nothing(entry: Entry, mode: str) -> str:
    """Return what stands beside an empty lane, where a median would."""
    return "unplanned" if entry.warm_only and mode == "cold" else "0 proven"


def undrawn(why: str, found: Sequence[Entry]) -> list[str]:
    """Return the footnote that names places which are not drawn; none if there are none."""
    named = [f"{words(one.place.node, 40)} {words(one.place.inside, 40)}" for one in found]
    return [f"{why}: {listing(named)}."] if named else []
