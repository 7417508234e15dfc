"""Places that hold other weights than most nodes: nobody may take their starts for the others'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from coldproof.groups import Entry, Place
from coldproof.setups import MANIFEST_PREFIX


def odd_manifests(found: Sequence[Entry]) -> dict[str, list[Place]]:
    """Return the places by the first digits of their manifest, without that of most nodes.

    Empty if all are the same. Each node has one vote, whatever the number of its tiers, and gives
    it to the manifest of more than half of its places. If no manifest has more than half of all
    votes, all are odd. A CSV knows the first digits alone, so no more of them are compared.
    """
    places: dict[str, list[Place]] = {}
    own: dict[str, Counter[str]] = {}
    for entry in found:
        for manifest in sorted(
            {group.manifest[:MANIFEST_PREFIX] for group in entry.groups if group.manifest}
        ):
            places.setdefault(manifest, []).append(entry.place)
            own.setdefault(entry.place.node, Counter())[manifest] += 1
    if len(places) < 2:
        return {}
    votes = Counter(_most(counts) for counts in own.values())
    common = _most(votes)
    if common:
        places.pop(common)
    return dict(sorted(places.items()))


def _most(counts: Counter[str]) -> str:
    """Return what has more than half of all that was counted; empty text if nothing has."""
    ((name, count),) = counts.most_common(1)
    return name if 2 * count > counts.total() else ""
