"""Server, host and storage of each node, as the records tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coldproof.gather import Gathered
from coldproof.groups import Place
from coldproof.report.tables import table
from coldproof.runs import Run, dig
from coldproof.served import arguments, environment
from coldproof.text import HIDDEN, SECRET_NAME, cell, listing, plural, redact

GIB = 1 << 30
DISTINCT = 3


def configuration(gathered: Gathered) -> list[str]:
    """Return the section: one table of servers and hosts, one of storage."""
    by_node: dict[str, list[Run]] = {}
    by_place: dict[Place, list[Run]] = {}
    for run in gathered.runs:
        by_node.setdefault(run.node, []).append(run)
        by_place.setdefault(Place(run.node, run.tier, ""), []).append(run)
    if not by_node:
        return ["No run, so nothing is known of servers and storage."]
    nodes = [
        [cell(node), *(_distinct(runs, tell) for tell in SERVER)]
        for node, runs in sorted(by_node.items())
    ]
    places = [
        [
            cell(place.node),
            cell(place.tier),
            *(_distinct(runs, tell) for tell in STORAGE),
        ]
        for place, runs in sorted(by_place.items())
    ]
    lines = [
        table(("node", "engine", "model", "host", "GPU"), nodes),
        "",
        table(("node", "tier", "filesystem", "device", "queue", "weights"), places),
    ]
    commands = _commands(gathered.runs)
    return [*lines, "", *commands] if commands else lines


def _distinct(runs: Sequence[Run], tell: Callable[[Run], str]) -> str:
    """Return what `tell` says of the runs; several circumstances are all named."""
    if tell not in (_engine, _model, _weights):
        runs = [run for run in runs if run.record]
    found = sorted({text for text in (tell(run) for run in runs) if text})
    return cell(listing(found, DISTINCT))


def _engine(run: Run) -> str:
    version = _text(run.record, "engine", "version")
    user = _text(run.record, "engine", "user")
    runtime = _text(run.record, "engine", "container", "runtime")
    parts = (run.engine, version, f"in {runtime}" if runtime else "", f"as {user}" if user else "")
    return " ".join(part for part in parts if part)


def _model(run: Run) -> str:
    length = f", max_model_len {run.max_model_len}" if run.max_model_len else ""
    return f"{run.model}{length}" if run.model else ""


def _host(run: Run) -> str:
    host = run.record
    cores, memory = _number(host, "host", "cores"), _number(host, "host", "mem_total_bytes")
    limit = _number(host, "host", "mem_limit_bytes")
    return ", ".join(
        part
        for part in (
            _text(host, "host", "cpu"),
            plural(int(cores), "core") if cores else "",
            f"{memory / GIB:.0f} GiB RAM" if memory else "",
            f"limited to {limit / GIB:.0f} GiB" if limit else "",
            f"kernel {_text(host, 'host', 'kernel')}" if _text(host, "host", "kernel") else "",
            "virtual machine" if dig(host, "host", "virtual") is True else "",
        )
        if part
    )


def _gpu(run: Run) -> str:
    devices = dig(run.record, "gpu", "devices")
    names = (
        [_text(device, "name") for device in devices if isinstance(device, Mapping)]
        if isinstance(devices, list)
        else []
    )
    named = sorted(name for name in names if name)
    if named:
        return ", ".join(f"{named.count(name)} x {name}" for name in sorted(set(named)))
    return _text(run.record, "gpu", "reason")


def _mount(run: Run) -> str:
    kind, mount = _text(run.record, "storage", "filesystem"), _text(run.record, "storage", "mount")
    network = ", network" if dig(run.record, "storage", "network") is True else ""
    return f"{kind} at {mount}{network}" if kind or mount else ""


def _device(run: Run) -> str:
    model = _text(run.record, "storage", "model")
    source = _text(run.record, "storage", "source")
    link = dig(run.record, "storage", "pcie")
    pcie = link if isinstance(link, str) else ""
    if isinstance(link, Mapping):
        pcie = "PCIe " + " ".join(f"{key} {link[key]}" for key in sorted(link))
    virtual = "virtual disk" if dig(run.record, "storage", "virtual") is True else ""
    return ", ".join(part for part in (source, model, pcie, virtual) if part)


def _queue(run: Run) -> str:
    ahead = _number(run.record, "storage", "read_ahead_kb")
    scheduler = _text(run.record, "storage", "scheduler")
    return ", ".join(
        part
        for part in (
            f"read-ahead {ahead:.0f} KiB" if ahead is not None else "",
            f"scheduler {scheduler}" if scheduler else "",
        )
        if part
    )


def _weights(run: Run) -> str:
    size, files = _number(run.record, "weights", "bytes"), _number(run.record, "weights", "files")
    manifest = f", manifest {run.manifest[:12]}" if run.manifest else ""
    if size is None:
        return manifest.removeprefix(", ")
    count = f" in {plural(int(files), 'file')}" if files else ""
    return f"{size / GIB:.2f} GiB{count}{manifest}"


def _commands(runs: Sequence[Run]) -> list[str]:
    found: dict[str, set[str]] = {}
    for run in (run for run in runs if run.record):
        words = arguments(run.record)
        if words:
            command = redact(" ".join(words))
            found.setdefault(f"{command}{_environment(run)}", set()).add(run.node)
    lines = [
        f"- {cell(command, 600)} (on {listing([cell(node) for node in sorted(nodes)])})"
        for command, nodes in sorted(found.items())[:DISTINCT]
    ]
    if len(found) > DISTINCT:
        lines.append(f"- and {len(found) - DISTINCT} more, each in its record in runs.jsonl")
    return ["Commands of the servers, secrets left out:", "", *lines] if lines else []


def _environment(run: Run) -> str:
    text = " ".join(
        f"{name}={HIDDEN if SECRET_NAME.search(name) else value}"
        for name, value in environment(run.record).items()
    )
    return f" with {text}" if text else ""


def _text(record: Mapping[str, Any], *path: str) -> str:
    value = dig(record, *path)
    return value if isinstance(value, str) else ""


def _number(record: Mapping[str, Any], *path: str) -> float | None:
    value = dig(record, *path)
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if usable and abs(value) < 1e18 else None


SERVER = (_engine, _model, _host, _gpu)
STORAGE = (_mount, _device, _queue, _weights)
