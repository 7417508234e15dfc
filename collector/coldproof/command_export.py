"""`coldproof export`: a campaign in, metrics or a table out."""

from __future__ import annotations

from pathlib import Path

from coldproof.answer import Answer
from coldproof.errors import InputError
from coldproof.export.metrics import exposition
from coldproof.export.table import parquet
from coldproof.files import write_atomic
from coldproof.fleet.analysis import look
from coldproof.gather import gather_campaign

PARQUET = "parquet"


def run(campaign: Path, form: str, out: Path | None, *, as_json: bool) -> Answer:
    """Write the campaign's metrics or table to `out`; metrics without `out` are the answer's text.

    Raises InputError on a folder that is no campaign's, or where `out` is needed and missing.
    """
    if out is None and (as_json or form == PARQUET):
        why = "--json" if as_json else f"--format {form}"
        raise InputError(f"{why}: say with --out FILE where it shall be written")
    gathered = gather_campaign(campaign.resolve())
    if form == PARQUET:
        data, count = parquet(gathered), {"rows": len(gathered.runs)}
    else:
        metrics = exposition(look(gathered))
        data, count = metrics.text().encode("utf-8"), {"samples": metrics.count}
    if out is None:
        return Answer(0, {}, data.decode("utf-8").rstrip("\n"))
    # node_exporter and its like are another user, so that everybody may read it.
    write_atomic(out, data, 0o644)
    return Answer(0, {"path": str(out), "format": form, "bytes": len(data), **count}, "")
