"""`coldproof report`: gather, publish, point `latest` at it, print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from coldproof.answer import Answer
from coldproof.errors import InputError
from coldproof.gather import Gathered, gather_campaign, gather_files
from coldproof.merge import CSV
from coldproof.publish import Published, point_latest, publish
from coldproof.report.document import document
from coldproof.report.terminal import short_table


def run(
    sources: Sequence[Path], out: Path | None, *, show: bool, strict: bool, in_full: bool = False
) -> Answer:
    """Write the reports of one campaign folder, or of CSV files into `out`.

    The answer's code is 1 if `strict` and a node is not complete, else 0. Its text is empty
    without `show`, its document without `in_full`.
    """
    if len(sources) == 1 and sources[0].is_dir():
        gathered, published = _campaign(sources[0], out)
    else:
        gathered, published = _files(sources, out)
    code = 1 if strict and gathered.incomplete else 0
    if in_full:
        return Answer(code, document(gathered, published, code))
    paths = f"Report: {published.report}\nPage:   {published.page}"
    return Answer(code, {}, f"{short_table(gathered)}\n\n{paths}" if show else "")


def _campaign(folder: Path, out: Path | None) -> tuple[Gathered, Published]:
    if out is not None:
        raise InputError("--out: only with CSV files; a campaign's report lies in its own folder")
    folder = folder.resolve()
    gathered = gather_campaign(folder)
    published = publish(folder, gathered)
    point_latest(folder)
    return gathered, published


def _files(sources: Sequence[Path], out: Path | None) -> tuple[Gathered, Published]:
    for path in sources:
        if not path.exists():
            raise InputError(f"{path}: not there; give a campaign's folder or CSV files")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give one campaign's folder, or only CSV files")
    if out is None:
        raise InputError("--out DIR is missing: say where the report on CSV files shall be written")
    gathered = gather_files(sources)
    out.mkdir(parents=True, exist_ok=True)
    if any((out.resolve() / name).samefile(path) for path in sources for name in _reserved(out)):
        raise InputError(f"--out {out}: the merge would overwrite an input; give another folder")
    return gathered, publish(out, gathered)


def _reserved(out: Path) -> list[str]:
    return [CSV] if (out / CSV).exists() else []
