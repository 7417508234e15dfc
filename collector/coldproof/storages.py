"""Which tiers of a node lie on one and the same storage, as far as records tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coldproof.runs import Run, dig

_Where = tuple[tuple[str, ...], str, str]


def shared_storage(runs: Iterable[Run]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return by (node, tier) the node's other tiers of equal devices, mount and manifest.

    Whether two paths lead to the same files is not recorded, so that is not said.
    """
    tiers: dict[tuple[str, _Where], set[str]] = {}
    for run in runs:
        where = _where(run)
        if where is not None:
            tiers.setdefault((run.node, where), set()).add(run.tier)
    found: dict[tuple[str, str], set[str]] = {}
    for (node, _), names in tiers.items():
        for name in names:
            found.setdefault((node, name), set()).update(names - {name})
    return {place: tuple(sorted(others)) for place, others in found.items() if others}


def _where(run: Run) -> _Where | None:
    devices, mount = dig(run.record, "storage", "devices"), dig(run.record, "storage", "mount")
    if not isinstance(devices, list) or not devices or not isinstance(mount, str) or not mount:
        return None
    return (tuple(map(str, devices[:100])), mount, run.manifest) if run.manifest else None
