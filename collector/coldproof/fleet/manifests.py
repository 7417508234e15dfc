"""Places that hold other weights than most nodes: nobody may take their starts for the others'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from coldproof.groups import Entry, Place


def odd_manifests(found: Sequence[Entry]) -> dict[str, list[Place]]:
    """Return the places by manifest if they differ, without the manifest of most nodes.

    Empty if all are the same. A node has one vote, whatever the number of its tiers, and for the
    manifest of most of its own places. If no manifest has more than half of them, all are odd.
    """
    places: dict[str, list[Place]] = {}
    own: dict[str, Counter[str]] = {}
    for entry in found:
        for manifest in sorted({group.manifest for group in entry.groups if group.manifest}):
            places.setdefault(manifest, []).append(entry.place)
            own.setdefault(entry.place.node, Counter())[manifest] += 1
    if len(places) < 2:
        return {}
    votes = Counter(_most(counts)[0] for counts in own.values())
    common, count = _most(votes)
    if 2 * count > votes.total():
        places.pop(common)
    return dict(sorted(places.items()))


def _most(counts: Counter[str]) -> tuple[str, int]:
    """Return what was counted most; of several the last by name."""
    return max(counts.items(), key=lambda item: (item[1], item[0]))
