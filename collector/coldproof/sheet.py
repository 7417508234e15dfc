"""The merged storage_load_bench.csv: node, tier, variant, the seven columns, then evidence.

A cell of text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets a leading
apostrophe: a spreadsheet would otherwise run it as a formula (CSV injection), and the text
comes from nodes. `load_s` is empty where the run failed or is refuted, as on the node.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pandas as pd

from coldproof.runs import Run, dig
from coldproof.text import guard

COLUMNS = (
    "node", "tier", "variant",
    "run_id", "mode", "model", "max_model_len", "load_s", "gpu_mem_used_mb", "notes",
    "state", "scope", "method", "compile", "engine", "outcome", "pair", "concurrency",
    "expected_bytes", "read_bytes", "weights_s", "weights_resident_before",
    "engine_resident_before", "manifest", "flags", "reasons",
)  # fmt: skip

CHUNK = 50_000
CONTROLS = str.maketrans("\n\r\0", "   ")


def frame(runs: Iterable[Run]) -> pd.DataFrame:
    """Return one row a run, prime runs too, all cells text; the order is that of `runs`."""
    rows = [[_cell(value) for value in _values(run)] for run in runs]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)


def merged_csv(runs: Sequence[Run]) -> bytes:
    """Return the merged CSV in UTF-8; equal runs give equal bytes."""
    parts = [",".join(COLUMNS) + "\n"]
    for start in range(0, len(runs), CHUNK):
        part = frame(runs[start : start + CHUNK])
        parts.append(part.to_csv(index=False, header=False, lineterminator="\n", na_rep=""))
    return "".join(parts).encode("utf-8", "replace")


def _values(run: Run) -> tuple[object, ...]:
    refuted = run.state == "refuted"
    load_s = run.load_s if run.ready and not refuted else None
    notes = run.notes
    if refuted and run.load_s is not None and not notes:
        notes = f"load_s={run.load_s:.3f}"
    return (
        run.node, run.tier, run.variant,
        run.run_id, run.mode, run.model, run.max_model_len,
        None if load_s is None else f"{load_s:.3f}", _whole(run.gpu_mem_used_mb), notes,
        run.state, run.scope, run.method, run.compile, run.engine, run.outcome, run.pair,
        run.concurrency,
        _number(dig(run.record, "bytes", "expected")),
        _number(dig(run.record, "bytes", "process_at_ready")),
        None if run.weights_s is None else f"{run.weights_s:.3f}",
        _number(dig(run.record, "residency", "before", "weights", "fraction")),
        _number(dig(run.record, "residency", "before", "engine", "fraction")),
        run.manifest, "; ".join(run.flags), "; ".join(run.reasons),
    )  # fmt: skip


def _whole(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f}"


def _number(value: object) -> str | None:
    """Return a record's number as JSON writes it; whatever else stands there is left out."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return json.dumps(value) if abs(value) < 1e18 else None


def _cell(value: object) -> str:
    return "" if value is None else guard(str(value).translate(CONTROLS))
