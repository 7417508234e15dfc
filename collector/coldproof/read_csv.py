"""Read one storage_load_bench.csv, written by an agent or by hand."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coldproof.errors import InputError
from coldproof.exclusions import Exclusions
from coldproof.lines import Line, decode, open_regular, read_lines
from coldproof.names import split_run_id
from coldproof.notes import Notes, parse_notes
from coldproof.runs import COMPILE, NO_EVIDENCE, OUTCOMES, STATES, Run, contradiction, seconds

HEADER = ("run_id", "mode", "model", "max_model_len", "load_s", "gpu_mem_used_mb", "notes")
ROW_LIMIT = 1_000_000
NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Row:
    """One good row: its line, its seven cells, and the run they tell of."""

    line: int
    cells: tuple[str, ...]
    run: Run


def read_rows(
    path: Path, label: str, node: str, exclusions: Exclusions, *, by_run_id: bool = False
) -> Iterator[Row]:
    """Yield the good rows of `path`; list the others under the name `label`.

    The rows are those of `node`; one whose run_id names another node is left out, or belongs
    to that one if `by_run_id` is true.
    Raises InputError naming the file if it cannot be read or its header, which it names too, is
    not exactly the format's.
    """
    stream = open_regular(path)
    if stream is None:
        raise InputError(f"{path}: not a readable regular file")
    with stream:
        lines = read_lines(stream)
        _check_header(next(lines, None), path)
        for count, line in enumerate(lines):
            if count >= ROW_LIMIT:
                exclusions.add(node, label, line.number, "", f"over {ROW_LIMIT} rows: rest unread")
                return
            row = _row(line, label, node, exclusions, by_run_id)
            if row is not None:
                yield row


def _check_header(line: Line | None, path: Path) -> None:
    expected = ",".join(HEADER)
    found = decode(line.data)[0] if line else ""
    try:
        names = tuple(next(csv.reader([found], strict=True), []))
    except csv.Error:
        names = ()
    if names != HEADER:
        raise InputError(
            f"{path}: line 1 is {found[:120]!r}; the header must be exactly {expected}"
        )


def _row(line: Line, label: str, node: str, exclusions: Exclusions, by_run_id: bool) -> Row | None:
    def exclude(field: str, reason: str) -> None:
        exclusions.add(node, label, line.number, field, reason)

    if line.fault:
        exclude("", line.fault)
        return None
    text, replaced = decode(line.data)
    try:
        cells = tuple(next(csv.reader([text], strict=True), []))
    except csv.Error as error:
        exclude("", f"not a CSV row ({error})" if line.complete else "torn last line")
        return None
    if len(cells) != len(HEADER):
        torn = "" if line.complete else "torn last line: "
        exclude("", f"{torn}{len(cells)} columns instead of {len(HEADER)}")
        return None
    run, field, reason = _run(cells, node, by_run_id)
    if run is None:
        exclude(field, reason)
        return None
    if replaced:
        exclude("notes", f"row kept: {replaced} bytes that are not UTF-8 were replaced")
    return Row(line.number, cells, run)


def _run(cells: tuple[str, ...], node: str, by_run_id: bool) -> tuple[Run | None, str, str]:
    run_id, mode, model, length, load, memory, cell = cells
    identity = split_run_id(run_id)
    if not run_id.strip():
        return None, "run_id", "empty"
    if identity and identity[1] != node and not by_run_id:
        return None, "run_id", f"names node {identity[1]}"
    if mode not in ("cold", "warm"):
        return None, "mode", f"{mode[:40]!r} is neither cold nor warm"
    load_s = _number(load)
    if load.strip() and load_s is None:
        return None, "load_s", f"{load[:40]!r} is not a finite number of seconds from 0 to 1e9"
    notes = parse_notes(cell)
    state, reasons = _state(notes)
    wrong = contradiction(mode, state)
    if wrong:
        return None, "notes", wrong
    if state == "refuted" and load_s is None:
        load_s = _number(notes.get("load_s") or "")
    outcome = _outcome(notes, load_s)
    if outcome == "ready" and load_s is None and state != "refuted":
        return None, "load_s", "empty, though the outcome is ready"
    compile_state = notes.get("compile") or "unknown"
    run = Run(
        node=identity[1] if identity else node,
        run_id=run_id,
        seq=identity[2] if identity else None,
        tier=notes.get("tier") or "",
        variant=notes.get("variant") or "",
        mode=mode,
        model=model,
        max_model_len=length,
        load_s=load_s,
        elapsed_s=None,
        gpu_mem_used_mb=_number(memory),
        outcome=outcome,
        outcome_detail=None,
        state=state,
        scope=notes.get("scope"),
        method=notes.get("method"),
        compile=compile_state if compile_state in COMPILE else "unknown",
        compile_changed=BOOLEANS.get(notes.get("compile_changed") or ""),
        engine=notes.get("engine") or "",
        pair=_integer(notes.get("pair")),
        concurrency=_integer(notes.get("concurrency")),
        manifest=notes.get("manifest"),
        resolution_s=None,
        reasons=reasons,
        notes=cell,
    )
    return run, "", ""


def _state(notes: Notes) -> tuple[str, tuple[str, ...]]:
    given = notes.get("state")
    if given is None:
        return "unproven", (NO_EVIDENCE,)
    if given not in STATES:
        return "unproven", (f"unknown state {given[:40]!r}",)
    return given, (notes.text,) if notes.text else ()


def _outcome(notes: Notes, load_s: float | None) -> str:
    given = notes.get("outcome")
    if given in OUTCOMES:
        return given or ""
    return "ready" if load_s is not None else "not ready (load_s is empty)"


def _number(text: str) -> float | None:
    stripped = text.strip()
    return seconds(float(stripped)) if NUMBER.fullmatch(stripped) else None


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else None
