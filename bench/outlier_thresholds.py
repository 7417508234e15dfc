"""Simulate how far the oddest node of an identical fleet is from the others; write the table.

    python bench/outlier_thresholds.py      (some minutes; the same numbers on every machine)

Writes collector/coldproof/fleet/thresholds.json: by number of nodes and of starts a node, the
score (coldproof.fleet.scatter) that the oddest of identical nodes exceeds in 0.5 % of fleets. A
report judges cold and warm starts of a comparison, so an identical fleet raises an alarm in at
most 1 % of them. The table holds the greatest over three shapes of noise (of the logarithm):
normal, heavy-tailed (Student's t, 3 degrees of freedom) and one-sided (exponential).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coldproof.fleet import scatter

TARGET = Path(__file__).parents[1] / "collector/coldproof/fleet/thresholds.json"
NODES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024)
STARTS = (3, 5, 9)
FLEETS = 20_000
ALARMS = 0.005
CHUNK = 4_000_000  # values at once
Floats = NDArray[np.float64]
SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Floats]] = {
    "normal": lambda random, size: random.standard_normal(size),
    "student_t_3": lambda random, size: random.standard_t(3, size),
    "exponential": lambda random, size: random.standard_exponential(size),
}


def oddest(logs: Floats) -> Floats:
    """Return of each fleet (fleets x nodes x starts) the greatest absolute score."""
    starts = logs.shape[2]
    medians = np.median(logs, axis=2)
    spread = (logs.max(axis=2) - logs.min(axis=2)) / scatter.range_to_sigma(starts)
    scale = np.median(spread, axis=1) * scatter.median_error(starts)
    if logs.shape[1] == 2:
        return np.asarray((medians.max(axis=1) - medians.min(axis=1)) / scale)
    apart = np.abs(medians - np.median(medians, axis=1, keepdims=True))
    scale = np.maximum(scale, scatter.MAD_TO_SIGMA * np.median(apart, axis=1))
    return np.asarray(apart.max(axis=1) / scale)


def threshold(shape: str, nodes: int, starts: int) -> float:
    """Return the score that 0.5 % of identical fleets exceed; the seed is that of the case."""
    random = np.random.default_rng(zlib.crc32(f"{shape} {nodes} {starts}".encode()))
    found: list[Floats] = []
    most = max(1, CHUNK // (nodes * starts))
    for begun in range(0, FLEETS, most):
        size = (min(most, FLEETS - begun), nodes, starts)
        found.append(oddest(SHAPES[shape](random, size)))
    return float(np.quantile(np.concatenate(found), 1 - ALARMS))


def main() -> None:
    """Simulate every case and write the table."""
    rows = {
        str(starts): [
            round(max(threshold(shape, nodes, starts) for shape in SHAPES), 2) for nodes in NODES
        ]
        for starts in STARTS
    }
    document = {
        "made_by": "bench/outlier_thresholds.py",
        "fleets": FLEETS,
        "alarms": ALARMS,
        "shapes": list(SHAPES),
        "nodes": list(NODES),
        "scores_by_starts": rows,
    }
    TARGET.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
