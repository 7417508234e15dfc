"""All charts of a campaign."""

from __future__ import annotations

import re
from collections.abc import Mapping

from coldproof.charts.ceiling import ceiling
from coldproof.charts.frame import Chart
from coldproof.charts.phases import phases
from coldproof.charts.starts import starts
from coldproof.fleet.analysis import Fleet

FOLDER = "charts"
NAME = re.compile(r"(starts|phases|ceiling)(-[0-9]+)?\.svg")


def charts(fleet: Fleet) -> list[Chart]:
    """Return the charts that the campaign's records allow, in the order of the report."""
    with_runs = {run.node for run in fleet.gathered.runs}
    without = [name for name in fleet.gathered.nodes if name not in with_runs]
    return [*starts(fleet.entries, without), *phases(fleet.entries), *ceiling(fleet)]


def as_files(drawn: list[Chart]) -> Mapping[str, bytes]:
    """Return the charts' files by name, as they lie in a campaign's folder `charts`."""
    return {f"{chart.name}.svg": chart.standalone() for chart in drawn}
