"""A bundle: members in a fixed order, and the same campaign gives the same bytes."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldproof import __version__
from coldproof.bundle.files import Source, documents, read, rewritten, sources
from coldproof.bundle.rewrite import Rewriter
from coldproof.names import CAMPAIGN

TOTAL_LIMIT = 64 << 20
SCHEMA = "coldproof.bundle/1"
ABOUT = "bundle.json"
STRANGE = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True)
class Bundle:
    """What goes out: the archive's bytes, and what `bundle.json` in it says of the rest."""

    name: str
    data: bytes
    about: dict[str, Any]


def bundle(folder: Path, *, keep_names: bool) -> Bundle:
    """Return the bundle of the campaign in `folder`.

    At most 64 MiB of content are taken, records before logs; what is left out is listed.
    """
    rewriter = Rewriter(keep_names)
    rewriter.learn(_nodes(folder), _documents(folder))
    members: dict[str, bytes] = {}
    left_out: list[dict[str, str]] = []
    total = 0
    for source in sources(folder):
        name, content = _name(source, rewriter), read(source)
        reason = content if isinstance(content, str) else None
        if not reason and name in members:
            reason = "second file of this name"
        full = f"over {TOTAL_LIMIT} bytes in all"
        reason = reason or (full if total >= TOTAL_LIMIT else None)
        made = b""
        if isinstance(content, bytes) and not reason:
            made = rewritten(source, content, rewriter)
        reason = reason or (full if total + len(made) > TOTAL_LIMIT else None)
        if reason:
            left_out.append({"name": name, "reason": reason})
        else:
            members[name] = made
            total += len(made)
    about = {
        "schema": SCHEMA,
        "coldproof": __version__,
        "names": "kept" if keep_names else "replaced",
        "replaced": rewriter.given.counts(),
        "hidden": rewriter.hidden,
        "members": [{"name": name, "bytes": len(data)} for name, data in members.items()],
        "left_out": left_out,
    }
    top = f"coldproof-bundle-{folder.name if CAMPAIGN.fullmatch(folder.name) else 'campaign'}"
    members[ABOUT] = json.dumps(about, indent=1).encode() + b"\n"
    return Bundle(top, _archive(top, members), about)


def _nodes(folder: Path) -> Iterator[str]:
    return (source.node for source in sources(folder) if source.node)


def _documents(folder: Path) -> Iterator[Any]:
    for source in sources(folder):
        content = read(source)
        if isinstance(content, bytes):
            yield from documents(source, content)


def _name(source: Source, rewriter: Rewriter) -> str:
    """Return a file's name in the bundle; that of a file nobody knows may tell anything."""
    if not source.known:
        inside = "another file"
        return inside if source.node is None else f"nodes/{rewriter.node(source.node)}/{inside}"
    inside = "/".join(STRANGE.sub("_", rewriter.text(part)) for part in source.name.split("/"))
    return inside if source.node is None else f"nodes/{rewriter.node(source.node)}/{inside}"


def _archive(top: str, members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    # No time, no user, no name of the file itself: nothing of the machine that made it.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed,
        tarfile.open(mode="w", fileobj=packed, format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, data in members.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
