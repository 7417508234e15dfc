"""All charts of a campaign."""

from __future__ import annotations

from collections.abc import Mapping

from coldproof.charts.frame import Chart
from coldproof.charts.phases import phases
from coldproof.charts.starts import starts
from coldproof.gather import Gathered
from coldproof.groups import entries

FOLDER = "charts"


def charts(gathered: Gathered) -> list[Chart]:
    """Return the charts that the campaign's records allow, in the order of the report."""
    found = entries(gathered.runs, gathered.warm_only)
    with_runs = {run.node for run in gathered.runs}
    without = [name for name in gathered.nodes if name not in with_runs]
    return [*starts(found, without), *phases(found)]


def as_files(drawn: list[Chart]) -> Mapping[str, bytes]:
    """Return the charts' files by name, as they lie in a campaign's folder `charts`."""
    return {f"{chart.name}.svg": chart.standalone() for chart in drawn}
