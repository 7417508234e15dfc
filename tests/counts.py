"""How often the random tests try (COLDPROOF_LONG=1: their large counts), and their seeds."""

from __future__ import annotations

import os
import random

LONG = os.environ.get("COLDPROOF_LONG") == "1"
LONG_S = 6 * 3600  # for a test in its large count; else pyproject's timeout holds


def seeded(what: str) -> random.Random:
    """Returns a generator whose seed is printed; COLDPROOF_SEED repeats one."""
    seed = int(os.environ.get("COLDPROOF_SEED", random.randrange(1 << 30)))
    print(f"{what}: COLDPROOF_SEED={seed}")
    return random.Random(seed)
