"""Build the agent's zipapp so that equal sources give equal bytes.

Entries are sorted, stored uncompressed (zlib's output differs between versions), dated
1980-01-01 and given fixed permissions: a second deploy of the same sources changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from coldproof.errors import InputError
from coldproof.files import write_atomic

SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = b"from coldproof_agent.cli import main\n\nraise SystemExit(main())\n"
PACKAGE = "coldproof_agent"
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
MODE = 0o755
PACKED = ".z64"


@dataclass(frozen=True)
class Built:
    """An archive on disk: its path, the SHA-256 of its bytes, and whether it was written now."""

    path: Path
    sha256: str
    changed: bool


def archive_bytes(source: Path, schemas: Path) -> bytes:
    """Return the zipapp of the package folder `source` with the schemas of folder `schemas`.

    Taken are *.py and *.json of `source` and *.schema.json of `schemas`; nothing else.
    Raises InputError if one of them holds nothing to run or to check against.
    """
    entries = {"__main__.py": MAIN, **_package(source), **_schemas(schemas)}
    buffer = io.BytesIO()
    buffer.write(SHEBANG)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, TIMESTAMP)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, entries[name])
    return buffer.getvalue()


def build(source: Path, schemas: Path, out: Path | None) -> Built:
    """Write the agent's archive to `out`, or to the user's cache if `out` is None.

    An archive that is there already with the same bytes is left alone. In the cache lies beside it
    the text by which a module call carries it, made once and not for each node: zlib's, in base64.
    """
    data = archive_bytes(source, schemas)
    digest = hashlib.sha256(data).hexdigest()
    path = out if out is not None else _cache_folder() / f"coldproof-agent-{digest[:16]}.pyz"
    path.parent.mkdir(parents=True, exist_ok=True)
    changed = not (path.is_file() and path.read_bytes() == data)
    if changed:
        write_atomic(path, data, MODE)
    elif path.stat().st_mode & 0o777 != MODE:
        path.chmod(MODE)
    packed = path.with_name(path.name + PACKED)
    if out is None and not packed.is_file():
        write_atomic(packed, base64.b64encode(zlib.compress(data, 9)), 0o644)
    return Built(path.absolute(), digest, changed)


def _package(source: Path) -> dict[str, bytes]:
    if not (source / "cli.py").is_file():
        raise InputError(f"--source {source}: holds no cli.py; give the folder {PACKAGE}")
    return {
        f"{PACKAGE}/{path.relative_to(source).as_posix()}": path.read_bytes()
        for path in source.rglob("*")
        if path.suffix in (".py", ".json") and path.is_file() and "__pycache__" not in path.parts
    }


def _schemas(schemas: Path) -> dict[str, bytes]:
    found = {
        f"{PACKAGE}/schemas/{path.name}": path.read_bytes()
        for path in schemas.glob("*.schema.json")
        if path.is_file()
    }
    if not found:
        raise InputError(f"--schemas {schemas}: holds no *.schema.json; give the folder schemas")
    return found


def _cache_folder() -> Path:
    configured = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
    return root / "coldproof"
