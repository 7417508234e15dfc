"""storage_load_bench.csv on the node: one durable row a cold or warm run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coldproof_agent import durable

HEADER = "run_id,mode,model,max_model_len,load_s,gpu_mem_used_mb,notes"


def _encode(text: object) -> str:
    out = str(text)
    for char in "%;=\r\n":
        out = out.replace(char, f"%{ord(char):02X}")
    return out.replace("\0", "")


def row(record: dict[str, Any]) -> str:
    """Returns a run's row; a prime run has none."""
    refuted = record["state"] == "refuted"
    load_s = record["load_s"]
    keys: dict[str, object] = {
        "tier": record["tier"],
        "variant": record["variant"],
        "engine": record["engine"]["name"],
        "method": record["method"] or "none",
        "scope": record["scope"] or "none",
        "state": record["state"],
        "compile": record["compile"],
        "outcome": record["outcome"],
        "pair": record["pair"],
        "compile_changed": str(record["compile_changed"]).lower(),
        "concurrency": record["concurrency"],
        "manifest": str(record["weights"]["manifest"])[:16],
    }
    if refuted and load_s is not None:
        keys["load_s"] = f"{load_s:.3f}"
    notes = [f"{key}={_encode(value)}" for key, value in keys.items()]
    notes += [_encode(reason) for reason in record["reasons"]]
    gpu = record["gpu_mem_used_mb"]
    cells = [
        record["run_id"],
        record["mode"],
        record["model"],
        record["max_model_len"],
        "" if load_s is None or refuted else f"{load_s:.3f}",
        "" if gpu is None else f"{gpu:.0f}",
        ";".join(notes),
    ]
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue().replace("\r", " ").replace("\n", " ")


def sync(path: Path, runs: Sequence[dict[str, Any]], own: bool = True) -> None:
    """Appends the rows of runs that the file does not have yet; creates it with its header.

    Args:
        path: the file.
        runs: records; prime runs have no row.
        own: the file is the campaign's own; one that people write too is never cut.

    Raises:
        ValueError: the file is there and its first line is not the header.
    """
    text = path.read_text(errors="replace") if path.exists() else ""
    if own:
        # A torn last line was never acknowledged, and is cut off by the next append.
        text = text[: text.rfind("\n") + 1]
    lines = text.split("\n")
    if lines[0].strip("\ufeff\r") not in (HEADER, ""):
        raise ValueError(f"{path}: the first line is not {HEADER}: move the file away")
    have = {line.partition(",")[0] for line in lines[1:]}
    if not text:
        durable.append_line(path, HEADER.encode(), cut_tail=own)
    for record in runs:
        if record["mode"] != "prime" and record["run_id"] not in have:
            durable.append_line(path, row(record).encode("utf-8", "replace"), cut_tail=own)
