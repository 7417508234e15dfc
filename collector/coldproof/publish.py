"""Write a campaign's reports, then move the link `latest` to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coldproof.charts.book import FOLDER, NAME, as_files, charts
from coldproof.errors import InputError
from coldproof.files import locked, sync_folder, temporary_sibling, write_atomic
from coldproof.fleet.analysis import look
from coldproof.gather import Gathered
from coldproof.html.page import page
from coldproof.merge import CSV
from coldproof.report.markdown import render
from coldproof.sheet import merged_csv

MARKDOWN = "storage_load_bench.md"
PAGE = "report.html"
LATEST = "latest"


@dataclass(frozen=True)
class Published:
    """The files of a report that others ask for by name."""

    sheet: Path
    report: Path
    page: Path


def publish(folder: Path, gathered: Gathered) -> Published:
    """Write the merged CSV, the report, the page and the charts into `folder`.

    Each is replaced as a whole; charts of an earlier report that are no longer drawn are removed.
    """
    published = Published(folder / CSV, folder / MARKDOWN, folder / PAGE)
    fleet = look(gathered)
    sheet, report, drawn = merged_csv(gathered.runs), render(gathered, fleet), charts(fleet)
    html, pictures = page(gathered.name, report, drawn), as_files(drawn)
    with locked(folder / ".report.lock"):
        write_atomic(published.sheet, sheet)
        write_atomic(published.report, report)
        write_atomic(published.page, html)
        _write_charts(folder / FOLDER, pictures)
    return published


def _write_charts(folder: Path, pictures: Mapping[str, bytes]) -> None:
    if pictures:
        folder.mkdir(exist_ok=True)
    for path in sorted(folder.glob("*.svg")):
        if NAME.fullmatch(path.name) and path.name not in pictures:
            path.unlink()
    for name, content in pictures.items():
        write_atomic(folder / name, content)


def point_latest(folder: Path) -> None:
    """Let the relative link `latest` beside `folder` name it; readers never find it absent.

    Raises InputError if something that is no link bears the name; it is left alone.
    """
    link = folder.parent / LATEST
    if link.exists() and not link.is_symlink():
        raise InputError(
            f"{link}: is not a link, so it was left alone; the report is complete in {folder}. "
            "Move it away and run `coldproof report` again"
        )
    temporary = temporary_sibling(link)
    temporary.symlink_to(folder.name)
    temporary.replace(link)
    sync_folder(link.parent)
