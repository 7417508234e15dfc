"""Read one runs.jsonl: the full records of a node's runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from coldproof.exclusions import Exclusions
from coldproof.files import canonical_json, sha256_text
from coldproof.lines import Line, decode, open_regular, read_lines
from coldproof.names import split_run_id
from coldproof.pool import Pool
from coldproof.runs import COMPILE, MODES, OUTCOMES, STATES, Run, contradiction, dig, seconds

SCHEMA = "coldproof.run/1"
RECORD_LIMIT = 1_000_000
PHASE_LIMIT = 64
PHASE_TOLERANCE_S = 0.05
PHASE_TOLERANCE = 0.01
REQUIRED = ("run_id", "campaign", "node", "seq", "tier", "variant", "mode", "pair", "outcome",
            "state", "scope", "compile", "load_s", "phases")  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One line that is JSON: the run it tells of, or None if it was excluded."""

    line: int
    run_id: str | None
    digest: str
    run: Run | None


class _RejectedError(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field, self.reason = field, reason


def read_records(
    path: Path, label: str, node: str, exclusions: Exclusions, pool: Pool
) -> Iterator[Record]:
    """Yield the records of `path`; what is excluded is listed and yielded without a run.

    Equal parts of records are shared by way of `pool`.
    """
    stream = open_regular(path)
    if stream is None:
        exclusions.add(node, label, 0, "", "not a readable regular file")
        return
    with stream:
        for count, line in enumerate(read_lines(stream)):
            if count >= RECORD_LIMIT:
                reason = f"over {RECORD_LIMIT} records: rest unread"
                exclusions.add(node, label, line.number, "", reason)
                return
            record = _record(line, label, node, exclusions, pool)
            if record is not None:
                yield record


def _record(line: Line, label: str, node: str, exclusions: Exclusions, pool: Pool) -> Record | None:
    document: Any = None
    digest = ""
    try:
        document, digest, replaced = _parse(line)
        run = _run(document, digest, node, pool)
        if replaced:
            reason = f"record kept: {replaced} bytes that are not UTF-8 were replaced"
            exclusions.add(node, label, line.number, "", reason, lost=False)
    except _RejectedError as error:
        exclusions.add(node, label, line.number, error.field, error.reason)
        run = None
    if not isinstance(document, dict):
        return None
    run_id = document.get("run_id")
    return Record(line.number, run_id if isinstance(run_id, str) else None, digest, run)


def _parse(line: Line) -> tuple[Any, str, int]:
    """Return the document, the hash of all but its checksum, and how many bytes were replaced."""
    if line.fault:
        raise _RejectedError("", line.fault)
    text, replaced = decode(line.data)
    try:
        document = json.loads(text, parse_constant=_no_constant)
        content = document
        if isinstance(document, dict):
            content = {name: value for name, value in document.items() if name != "checksum"}
        digest = sha256_text(canonical_json(content))
    except (ValueError, RecursionError) as error:
        torn = "not JSON" if line.complete else "torn last line"
        raise _RejectedError("", f"{torn} ({str(error)[:80]})") from error
    return document, digest, replaced


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _run(document: Any, digest: str, node: str, pool: Pool) -> Run:
    if not isinstance(document, dict):
        raise _RejectedError("", "not a JSON object")
    _check_origin(document, digest, node)
    for name in REQUIRED:
        if name not in document:
            raise _RejectedError(name, "missing")
    mode, state = _one_of(document, "mode", MODES), _one_of(document, "state", STATES)
    wrong = contradiction(mode, state)
    if wrong:
        raise _RejectedError("state", wrong)
    load_s, outcome = _seconds(document, "load_s"), _one_of(document, "outcome", OUTCOMES)
    if outcome == "ready" and load_s is None:
        raise _RejectedError("load_s", "null, though the outcome is ready")
    phases, phase_flags = _phases(document["phases"], load_s)
    text, share = pool.text, pool.optional
    return Run(
        node=node,
        run_id=_text(document, "run_id"),
        seq=_integer(document, "seq"),
        tier=text(_text(document, "tier")),
        variant=text(_text(document, "variant")),
        mode=mode,
        model=text(_optional(document.get("model")) or ""),
        max_model_len=str(_whole(document.get("max_model_len")) or ""),
        load_s=load_s,
        elapsed_s=seconds(document.get("elapsed_s")),
        gpu_mem_used_mb=seconds(document.get("gpu_mem_used_mb")),
        outcome=outcome,
        outcome_detail=_optional(document.get("outcome_detail")),
        state=state,
        scope=share(_optional(document["scope"])),
        method=_optional(document.get("method")),
        compile=_one_of(document, "compile", COMPILE),
        compile_changed=_boolean(document.get("compile_changed")),
        engine=_optional(dig(document, "engine", "name")) or "",
        pair=_whole(document["pair"]),
        concurrency=_whole(document.get("concurrency")),
        manifest=share(_optional(dig(document, "weights", "manifest"))),
        resolution_s=seconds(document.get("resolution_s")),
        engine_version=_optional(dig(document, "engine", "version")),
        phases={text(name): length for name, length in phases.items()},
        flags=(*_texts(document.get("flags")), *phase_flags),
        reasons=_texts(document.get("reasons")),
        record=pool.record(document, ready=outcome == "ready"),
    )


def _check_origin(document: Mapping[str, Any], digest: str, node: str) -> None:
    schema = document.get("schema")
    if schema != SCHEMA:
        newer = isinstance(schema, str) and schema.startswith("coldproof.run/")
        hint = "written by a newer coldproof: update the controller" if newer else "no run record"
        raise _RejectedError("schema", f"{str(schema)[:40]!r}: {hint}")
    if "checksum" in document and document["checksum"] != digest:
        raise _RejectedError("checksum", "does not match the record")
    if document.get("node") != node:
        raise _RejectedError("node", f"names node {str(document.get('node'))[:128]}")
    identity = split_run_id(_text(document, "run_id"))
    if identity and identity[1] != node:
        raise _RejectedError("run_id", f"names node {identity[1]}")


def _phases(value: Any, load_s: float | None) -> tuple[dict[str, float], tuple[str, ...]]:
    if not isinstance(value, list) or len(value) > PHASE_LIMIT:
        raise _RejectedError("phases", f"not a list of at most {PHASE_LIMIT} phases")
    phases: dict[str, float] = {}
    for item in value:
        name = item.get("name") if isinstance(item, dict) else None
        length = seconds(item.get("seconds")) if isinstance(item, dict) else None
        if not isinstance(name, str) or length is None:
            raise _RejectedError("phases", "a phase without name or with seconds that are none")
        phases[name] = phases.get(name, 0.0) + length
    if load_s is None or not phases:
        return {}, ()
    if abs(sum(phases.values()) - load_s) > max(PHASE_TOLERANCE_S, PHASE_TOLERANCE * load_s):
        return {}, ("phases_do_not_sum_to_load_s",)
    return phases, ()


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > 400:
        raise _RejectedError(name, "not a text of 1 to 400 characters")
    return value


def _one_of(document: Mapping[str, Any], name: str, values: tuple[str, ...]) -> str:
    value = document.get(name)
    if not isinstance(value, str) or value not in values:
        raise _RejectedError(name, f"{str(value)[:40]!r} is none of {', '.join(values)}")
    return value


def _seconds(document: Mapping[str, Any], name: str) -> float | None:
    value = document[name]
    if value is not None and seconds(value) is None:
        raise _RejectedError(name, f"{str(value)[:40]!r} is not a finite number of seconds")
    return seconds(value)


def _integer(document: Mapping[str, Any], name: str) -> int:
    value = _whole(document.get(name))
    if value is None:
        raise _RejectedError(name, "not a whole number above 0")
    return value


def _whole(value: Any) -> int | None:
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**12
    return value if usable else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _optional(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else []
    return tuple(item for item in items[:100] if isinstance(item, str))
