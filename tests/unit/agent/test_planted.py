"""Weights that somebody keeps or brings in the page cache: never proven cold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.counts import LONG, seeded
from tests.unit.agent.drivers.plants import Plant, possible

Measure = Callable[..., dict[str, Any]]


def test_planted_warm_sources_are_never_proven_cold(
    measure: Measure, model: Path, tmp_path: Path
) -> None:
    """Each kind once; in the long version 500, chosen at random.

    A proof beside one that came too late to bring anything is none, and is not counted.
    """
    chance = seeded("planted warm sources")
    files = sorted(model.glob("*.safetensors"))
    kinds = possible(files)
    found: dict[str, dict[str, int]] = {kind: {} for kind in kinds}
    if LONG:
        kinds = [chance.choice(kinds) for _ in range(500)]
    measure("prime")
    for number, kind in enumerate(kinds):
        for _ in range(20):
            seed = chance.randrange(1 << 30)
            with Plant(kind, files, tmp_path / "plant.log", seed) as plant:
                cold = measure("cold")
                late = cold["state"] == "proven_cold" and not plant.took()
                state = "too late" if late else cold["state"]
                said = plant.said()
            found[kind][state] = found[kind].get(state, 0) + 1
            last = (tmp_path / "state").glob("campaigns/*/runs.jsonl")
            evidence = json.loads(next(last).read_bytes().splitlines()[-1])
            assert state in ("refuted", "unproven", "too late"), (
                number, kind, seed, said, evidence["bytes"], evidence["residency"]
            )  # fmt: skip
            if state != "too late":
                assert cold["reasons"]
                break
        else:
            raise AssertionError(f"{kind} plants nothing here: always too late")
    print(f"planted: {found}")
