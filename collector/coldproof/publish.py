"""Write a campaign's reports, then move the link `latest` to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coldproof.errors import InputError
from coldproof.files import locked, sync_folder, temporary_sibling, write_atomic
from coldproof.gather import Gathered
from coldproof.merge import CSV
from coldproof.report.markdown import render
from coldproof.sheet import merged_csv

MARKDOWN = "storage_load_bench.md"
LATEST = "latest"


@dataclass(frozen=True)
class Published:
    """The two files of a report."""

    sheet: Path
    report: Path


def publish(folder: Path, gathered: Gathered) -> Published:
    """Write the merged CSV and the report into `folder`, each replaced as a whole."""
    published = Published(folder / CSV, folder / MARKDOWN)
    sheet, report = merged_csv(gathered.runs), render(gathered)
    with locked(folder / ".report.lock"):
        write_atomic(published.sheet, sheet)
        write_atomic(published.report, report)
    return published


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
