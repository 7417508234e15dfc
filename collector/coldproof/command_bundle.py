"""`coldproof bundle`: a campaign in, an archive for a bug report out, and what to look at in it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from coldproof.answer import Answer
from coldproof.bundle.pack import bundle
from coldproof.campaign import FILE
from coldproof.errors import InputError
from coldproof.files import write_atomic
from coldproof.text import plural, words

LISTED = 30
KEPT = (
    "Tier and variant names, options of the engine, versions, hardware models, times and all other "
    "words of the logs are as they were."
)


def run(campaign: Path, out: Path | None, *, keep_names: bool) -> Answer:
    """Write the bundle of a campaign to `out`, or into the working folder under its own name.

    Raises InputError on a folder that is no campaign's.
    """
    folder = campaign.resolve()
    if not (folder / FILE).is_file() and not (folder / "nodes").is_dir():
        raise InputError(
            f"{folder}: holds neither {FILE} nor a folder nodes; give a campaign's folder"
        )
    made = bundle(folder, keep_names=keep_names)
    path = out or Path(f"{made.name}.tar.gz")
    write_atomic(path, made.data, 0o600)
    digest = hashlib.sha256(made.data).hexdigest()
    told = {"path": str(path), "bytes": len(made.data), "sha256": digest}
    return Answer(0, {**told, **made.about}, _text(told, made.about))


def _text(told: dict[str, Any], about: dict[str, Any]) -> str:
    members, left_out = about["members"], about["left_out"]
    lines = [
        f"{told['path']}: {plural(told['bytes'], 'byte')}, sha256 {told['sha256']}",
        "",
        "Inside:",
    ]
    lines += [f"  {one['bytes']:>10}  {words(one['name'])}" for one in members[:LISTED]]
    lines += [f"  and {len(members) - LISTED} more"] if len(members) > LISTED else []
    lines += ["Left out:"] if left_out else []
    lines += [f"  {words(one['name'])}: {one['reason']}" for one in left_out[:LISTED]]
    lines += [f"  and {len(left_out) - LISTED} more"] if len(left_out) > LISTED else []
    counts = ", ".join(f"{kind} {count}" for kind, count in about["replaced"].items()) or "none"
    names = "kept, as you asked" if about["names"] == "kept" else f"replaced ({counts})"
    return "\n".join(
        [
            *lines,
            "",
            f"Names: {names}. What looked like a secret: {about['hidden']} hidden.",
            KEPT,
            f"Look before you send it: tar -xzOf {told['path']} | less",
        ]
    )
