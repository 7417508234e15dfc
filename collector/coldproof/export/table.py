"""One row a run as Parquet: flat columns of fixed types, phases nested, the evidence as JSON text.

What a column means is what docs/formats.md says of the record's field of that name, and
docs/pandas.md of those that are named otherwise.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from coldproof.errors import InputError
from coldproof.fleet.ceilings import number
from coldproof.gather import Gathered
from coldproof.runs import Run, dig

PARTS = ("weights", "engine")
MOST_DIGITS = 12  # of a context length, as in records


def parquet(gathered: Gathered) -> bytes:
    """Return the runs of a campaign, prime runs too, sorted by node and number.

    Equal runs give equal bytes with the same pyarrow. Raises InputError without pyarrow.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet as pq
    except ImportError as error:
        raise InputError(
            "--format parquet: needs pyarrow; install it with pip install 'coldproof[parquet]'"
        ) from error
    types = {
        str: pa.string(),
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        list: pa.list_(pa.string()),
        dict: pa.list_(pa.struct([("name", pa.string()), ("seconds", pa.float64())])),
    }
    arrays = {
        name: pa.array([value(run) for run in gathered.runs], types[kind])
        for name, (kind, value) in COLUMNS.items()
    }
    about = {"coldproof.campaign": gathered.name, "coldproof.demo": json.dumps(gathered.demo)}
    table = pa.table({"campaign": pa.array([gathered.name] * len(gathered.runs)), **arrays})
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(about), stream, compression="zstd")
    return stream.getvalue()


def _text(name: str) -> tuple[type, Callable[[Run], Any]]:
    return str, lambda run: _clean(getattr(run, name))


def _as_is(name: str, kind: type) -> tuple[type, Callable[[Run], Any]]:
    return kind, lambda run: getattr(run, name)


def _texts(name: str) -> tuple[type, Callable[[Run], Any]]:
    return list, lambda run: [_clean(one) for one in getattr(run, name)]


def _in_record(kind: type, *path: str) -> tuple[type, Callable[[Run], Any]]:
    def value(run: Run) -> Any:
        found = dig(run.record, *path)
        if kind is str:
            return _clean(found) if isinstance(found, str) else None
        if kind is bool:
            return found if isinstance(found, bool) else None
        known = number(found)
        return None if known is None else kind(known)

    return kind, value


def _load_s(run: Run) -> float | None:
    """Return load_s as the merged CSV has it: nobody shall take a median of refuted starts."""
    return run.load_s if run.ready and run.state != "refuted" else None


def _length(run: Run) -> int | None:
    text = run.max_model_len
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None


def _phases(run: Run) -> list[Mapping[str, Any]]:
    return [{"name": _clean(name), "seconds": took} for name, took in run.phases.items()]


def _record(run: Run) -> str | None:
    return _clean(json.dumps(run.record, sort_keys=True)) if run.record else None


def _clean(text: str | None) -> str | None:
    """Return `text` without half characters, which no UTF-8 can hold."""
    return None if text is None else text.encode("utf-8", "replace").decode()


COLUMNS: Mapping[str, tuple[type, Callable[[Run], Any]]] = {
    **{name: _text(name) for name in ("node", "tier", "variant", "run_id")},
    "seq": _as_is("seq", int),
    "mode": _text("mode"),
    "pair": _as_is("pair", int),
    "proven": _as_is("proven", bool),
    **{name: _text(name) for name in ("state", "outcome", "outcome_detail", "scope", "method")},
    "compile": _text("compile"),
    "compile_changed": _as_is("compile_changed", bool),
    "concurrency": _as_is("concurrency", int),
    "model": _text("model"),
    "max_model_len": (int, _length),
    "engine": _text("engine"),
    "engine_version": _text("engine_version"),
    "load_s": (float, _load_s),
    **{name: _as_is(name, float) for name in ("elapsed_s", "resolution_s", "weights_s")},
    "gpu_mem_used_mb": _as_is("gpu_mem_used_mb", float),
    "manifest": _text("manifest"),
    "weights_bytes": _in_record(int, "weights", "bytes"),
    "engine_bytes": _in_record(int, "engine_files", "bytes"),
    "expected_bytes": _in_record(int, "bytes", "expected"),
    "read_bytes": _in_record(int, "bytes", "process_at_ready"),
    "network_bytes": _in_record(int, "bytes", "network"),
    **{
        f"{part}_resident_before": _in_record(float, "residency", "before", part, "fraction")
        for part in PARTS
    },
    "filesystem": _in_record(str, "storage", "filesystem"),
    "network": _in_record(bool, "storage", "network"),
    "storage_model": _in_record(str, "storage", "model"),
    "kernel": _in_record(str, "host", "kernel"),
    "cpu": _in_record(str, "host", "cpu"),
    "virtual": _in_record(bool, "host", "virtual"),
    "flags": _texts("flags"),
    "reasons": _texts("reasons"),
    "phases": (dict, _phases),
    "notes": _text("notes"),
    "record": (str, _record),
}
