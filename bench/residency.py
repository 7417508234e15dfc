"""What looking at and evicting files costs, beside vmtouch on the same files in the same run.

python bench/residency.py [FOLDER]      (needs vmtouch)
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "roles/agent/files"))

from coldproof_agent import makemodel, residency, weights, witness  # noqa: E402

MIB = 1024
TURNS = 9


def seconds(action: Callable[[], object]) -> float:
    """Returns how long an action takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def main() -> None:
    """Measures in turns and prints."""
    if shutil.which("vmtouch") is None:
        raise SystemExit("bench/residency.py: vmtouch is missing: apt-get install vmtouch")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        makemodel.make(folder, MIB)
        files = weights.find(folder)
        for one in files:
            Path(one.path).read_bytes()
        verdicts = residency.trusted(files, [], may_evict=False)
        paths = [one.path for one in files]
        peer = ["vmtouch", "-q", *paths]
        taken: dict[str, list[float]] = {"vmtouch": []}
        for _ in range(TURNS):
            taken["vmtouch"].append(seconds(lambda: subprocess.run(peer, check=True)))
            for name in witness.WITNESSES:
                if not verdicts[name]:
                    look = seconds(lambda name=name: residency.resident(files, name))  # type: ignore[misc]
                    taken.setdefault(name, []).append(look)
    for name, values in taken.items():
        ratios = [mine / other for mine, other in zip(values, taken["vmtouch"], strict=True)]
        print(
            f"{name:9s} {1000 * statistics.median(values):8.2f} ms for {MIB} MiB (n={TURNS})   "
            f"ratio to vmtouch {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
