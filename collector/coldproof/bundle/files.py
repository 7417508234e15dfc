"""The files of a campaign that a bundle takes, and each of them rewritten."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from coldproof.bundle.rewrite import Rewriter, load
from coldproof.campaign import FILE
from coldproof.files import canonical_json
from coldproof.intake import FILE_LIMIT, LOG
from coldproof.lines import open_regular
from coldproof.names import is_node

LOG_LIMIT = 256 << 10  # the first and the last half of it
DOCUMENTS = ("plan.json", "status.json")
LINES = ("runs.jsonl", "journal.jsonl")
CONFLICT = re.compile(r"\.conflict-[0-9a-f]{8}$")
RESERVED = re.compile(r"[%;=\r\n]")
REPORTS = (
    "storage_load_bench.csv", "storage_load_bench.md", "report.html", "charts", "comparison.md",
    "comparison.json", "capacity_review.md", "capacity_review.json",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One file of a campaign: where it lies, its node if any, and its name there."""

    path: Path
    node: str | None
    name: str

    @property
    def kind(self) -> str:
        """The name of the file that it is a version of."""
        return CONFLICT.sub("", self.name)

    @property
    def known(self) -> bool:
        """Whether coldproof or an agent writes files of this name."""
        return self.name in (FILE, *REPORTS) or (
            self.node is not None and _rewriting(self) is not None
        )


def sources(folder: Path) -> Iterator[Source]:
    """Yield what lies in a campaign's folder, in the order in which a bundle takes it."""
    yield Source(folder / FILE, None, FILE)
    nodes = [path for path in sorted((folder / "nodes").glob("*")) if is_node(path.name)]
    nodes = [path for path in nodes if path.is_dir() and not path.is_symlink()]
    found = [
        Source(path, node.name, path.relative_to(node).as_posix())
        for node in nodes
        for path in sorted(node.rglob("*"))
        if not path.is_dir()
    ]
    yield from (one for one in found if not _is_log(one))
    yield from (one for one in found if _is_log(one))
    for path in sorted(folder.iterdir()):
        if path.name not in (FILE, "nodes") and not path.name.startswith("."):
            yield Source(path, None, path.name)


def _is_log(source: Source) -> bool:
    return source.name.startswith("logs/")


def read(source: Source) -> bytes | str:
    """Return a file's content, or why it is left out."""
    if source.node is None and source.name != FILE:
        made = source.name in REPORTS
        return "is made anew by coldproof report, review, compare" if made else "not a known file"
    if source.node is not None and _rewriting(source) is None:
        return "not a file that an agent sends"
    stream = open_regular(source.path)
    if stream is None:
        return "not a readable regular file"
    with stream:
        data = stream.read(FILE_LIMIT + 1)
    if len(data) > FILE_LIMIT:
        return f"over {FILE_LIMIT} bytes"
    return data


def documents(source: Source, data: bytes) -> Iterator[Any]:
    """Yield the JSON documents in a file, for the names in them."""
    text = data.decode("utf-8", "replace")
    if source.kind in (FILE, *DOCUMENTS):
        yield load(text)
    elif source.kind in LINES:
        yield from map(load, text.split("\n"))


def rewritten(source: Source, data: bytes, rewriter: Rewriter) -> bytes:
    """Return a file's content fit to be sent."""
    rewriting = _rewriting(source)
    if rewriting is None:
        raise ValueError(f"{source.name} is no file that a bundle takes")
    return rewriting(data, rewriter).encode("utf-8", "replace")


def _rewriting(source: Source) -> Callable[[bytes, Rewriter], str] | None:
    kind = source.kind
    if kind == FILE or kind in DOCUMENTS:
        return _document
    if kind in LINES:
        return _lines
    if kind == "storage_load_bench.csv":
        return _table
    return _log if kind == "agent.log" or LOG.fullmatch(kind) else None


def _document(data: bytes, rewriter: Rewriter) -> str:
    text = data.decode("utf-8", "replace")
    document = load(text)
    if document is None:
        return rewriter.text(text)
    return json.dumps(rewriter.document(document), indent=1, ensure_ascii=False) + "\n"


def _lines(data: bytes, rewriter: Rewriter) -> str:
    shown = []
    lines = ((line, load(line)) for line in data.decode("utf-8", "replace").split("\n"))
    for known, some in itertools.groupby(lines, key=lambda pair: isinstance(pair[1], dict)):
        if known:
            shown += [canonical_json(rewriter.record(document)) for _, document in some]
        else:  # as one text: what is hidden may go over several lines
            shown.append(rewriter.text("\n".join(line for line, _ in some)))
    return "\n".join(shown)


def _table(data: bytes, rewriter: Rewriter) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    try:
        for row in csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline="")):
            writer.writerow([_cell(cell, rewriter) for cell in row])
    except csv.Error:  # a NUL byte, or a cell without end
        return rewriter.text(data.decode("utf-8", "replace"))
    return out.getvalue()


def _cell(cell: str, rewriter: Rewriter) -> str:
    """Return a cell; the parts of notes are percent-encoded, and may hide what they hold."""
    if "=" not in cell and "%" not in cell:
        return rewriter.text(cell)
    parts = []
    for part in cell.split(";"):
        key, equals, value = part.partition("=")
        plain = rewriter.text(f"{unquote(key)}{equals}{unquote(value)}")
        key, equals, value = plain.partition("=") if equals else (plain, "", "")
        parts.append(f"{_quoted(key)}{equals}{_quoted(value)}")
    return ";".join(parts)


def _quoted(text: str) -> str:
    return RESERVED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _log(data: bytes, rewriter: Rewriter) -> str:
    """Return a log's first and last lines; lines are whole, so that no half secret is left."""
    if len(data) <= LOG_LIMIT:
        return rewriter.text(data.decode("utf-8", "replace"))
    half = LOG_LIMIT // 2
    head = data[:half].rpartition(b"\n")[0]
    tail = data[-half:].partition(b"\n")[2]
    left = len(data) - len(head) - len(tail)
    shown = [rewriter.text(part.decode("utf-8", "replace")) for part in (head, tail)]
    return f"{shown[0]}\n[{left} bytes left out by coldproof bundle]\n{shown[1]}"
