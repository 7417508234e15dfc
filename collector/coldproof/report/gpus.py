"""The GPUs under the servers, and what the engines said of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coldproof.gather import Gathered
from coldproof.groups import Place
from coldproof.report.overview import where
from coldproof.report.tables import table
from coldproof.runs import Run, dig, seconds
from coldproof.stats import summarise
from coldproof.text import cell, listing

DEVICES_LISTED = 64
TOLD_LISTED = 12
TOLD_NOTE = "As the engines said themselves, medians over all ready starts:"
TOKEN_NOTE = (
    "First token: one completion, asked for after a start was ready and its evidence taken; it is "
    "no part of load_s."
)


def gpus(gathered: Gathered) -> list[str]:
    """Return a table of GPUs by node, and of what engines told and first tokens by place."""
    return [*_devices(gathered.runs), *_told(gathered.runs), *_tokens(gathered.runs)]


def _devices(runs: Sequence[Run]) -> list[str]:
    seen: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    others: dict[str, dict[str, None]] = {}
    for run in runs:
        for one in _objects(dig(run.record, "gpu", "devices"))[:DEVICES_LISTED]:
            if "mem_ready_mb" in one:
                key = (run.node, f"{one.get('index')} {one.get('name') or ''}")
                seen.setdefault(key, []).append(one)
        for one in _objects(dig(run.record, "gpu", "others")):
            others.setdefault(run.node, {})[cell(str(one.get("name") or "?"), 80)] = None
    if not seen:
        return []
    rows = [
        [
            cell(node),
            cell(name),
            *(_mib(devices, f"mem_{when}_mb") for when in ("before", "ready", "after")),
            _distinct(str(one.get("persistence_mode") or "") for one in devices),
            _distinct(_link(one) for one in devices),
        ]
        for (node, name), devices in sorted(seen.items())[:DEVICES_LISTED]
    ]
    head = ("node", "GPU", "MiB before", "at ready", "after", "persistence", "PCIe at ready")
    lines = ["", table(head, rows, right=(2, 3, 4))]
    for node, names in sorted(others.items()):
        lines += ["", f"Others on the GPUs of {cell(node)} at ready: {listing(list(names))}."]
    return lines


def _link(one: Mapping[str, Any]) -> str:
    """Return generation and lanes against their greatest; fewer lanes are a degraded link."""
    link = one.get("pcie")
    if not isinstance(link, Mapping):
        return ""
    known = [link.get(name) for name in ("generation", "generation_max", "width", "width_max")]
    numbers = [number for number in known if isinstance(number, int)]
    if len(numbers) != len(known):
        return ""
    text = f"gen {numbers[0]} of {numbers[1]}, x{numbers[2]} of x{numbers[3]}"
    return f"{text}: DEGRADED, lanes are missing" if numbers[2] < numbers[3] else text


def _mib(devices: Sequence[Mapping[str, Any]], name: str) -> str:
    found = summarise(
        value for value in (seconds(one.get(name)) for one in devices) if value is not None
    )
    if found is None:
        return "-"
    span = f" ({found.low:.0f} to {found.high:.0f})" if found.low != found.high else ""
    return f"{found.median:.0f}{span} n={found.n}"


def _told(runs: Sequence[Run]) -> list[str]:
    rows = []
    for place, members in _by_place(runs).items():
        said: dict[tuple[str, str], list[float]] = {}
        for run in members:
            told = run.record.get("told")
            for one in list(told.values())[:TOLD_LISTED] if isinstance(told, Mapping) else ():
                value = dig(one, "value") if isinstance(one, Mapping) else None
                if isinstance(value, int | float) and not isinstance(value, bool):
                    key = (str(one.get("title") or ""), str(one.get("unit") or ""))
                    said.setdefault(key, []).append(float(value))
        for (title, unit), values in list(said.items())[:TOLD_LISTED]:
            found = summarise(values)
            if found is not None:
                low, high = _number(found.low), _number(found.high)
                span = f" ({low} to {high})" if low != high else ""
                shown = f"{_number(found.median)} {cell(unit, 12)}{span} n={found.n}"
                rows.append([where(place), cell(title, 60), shown])
    return ["", TOLD_NOTE, "", table(("where", "what", "size"), rows, right=(2,))] if rows else []


def _number(value: float) -> str:
    """Return a size as an engine prints it: whole where it is large, else six digits."""
    return f"{value:.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:g}"


def _tokens(runs: Sequence[Run]) -> list[str]:
    rows = []
    for place, members in _by_place(runs).items():
        for mode in ("prime", "cold", "warm"):
            took = [
                value
                for run in members
                if run.mode == mode
                for value in [seconds(dig(run.record, "first_token", "seconds"))]
                if value is not None
            ]
            found = summarise(took)
            if found is not None:
                rows.append([where(place), mode, found.bare()])
    head = ("where", "start", "first token after ready, s")
    return ["", TOKEN_NOTE, "", table(head, rows, right=(2,))] if rows else []


def _by_place(runs: Sequence[Run]) -> dict[Place, list[Run]]:
    found: dict[Place, list[Run]] = {}
    for run in runs:
        if run.ready:
            found.setdefault(Place(run.node, run.tier, run.variant), []).append(run)
    return dict(sorted(found.items()))


def _distinct(texts: Any) -> str:
    found = sorted({text for text in texts if text})
    return cell(listing(found, 3)) if found else "-"


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
