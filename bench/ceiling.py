"""What the agent's sweeps read a second, beside fio on the same files in the same run.

    python bench/ceiling.py [FOLDER]      (needs fio)

fio: O_DIRECT, 1 MiB, depth 32. Prints medians and ratios; only the ratios mean anything, because
the storage of a shared machine varies from second to second.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "roles/agent/files"))

from coldproof_agent import cooling, makemodel, reading, residency, weights  # noqa: E402
from coldproof_agent.files import FileRef  # noqa: E402

MIB = 512
TURNS = 5


def fio(files: list[FileRef]) -> float:
    """Returns bytes a second by fio over the same files."""
    done = subprocess.run(
        ["fio", "--name=peer", f"--filename={':'.join(one.path for one in files)}", "--rw=read",
         "--readonly", "--direct=1", "--bs=1M", "--iodepth=32", "--ioengine=libaio",
         f"--size={MIB}M", "--output-format=json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(json.loads(done.stdout)["jobs"][0]["read"]["bw_bytes"])


def ours(files: list[FileRef], verdicts: dict[str, str], direct: bool) -> float:
    """Returns bytes a second by one of the agent's sweeps, from cold files."""
    cooling.evict(files, verdicts)
    total, seconds = reading.sweep(files, direct)
    return total / seconds


def main() -> None:
    """Measures in turns and prints."""
    if shutil.which("fio") is None:
        raise SystemExit("bench/ceiling.py: fio is missing: apt-get install fio")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        makemodel.make(folder, MIB)
        files = weights.find(folder)
        verdicts = residency.trusted(files, [], may_evict=True)
        speeds: dict[str, list[float]] = {"fio": [], "O_DIRECT": [], "buffered": []}
        for _ in range(TURNS):
            speeds["fio"].append(fio(files))
            speeds["O_DIRECT"].append(ours(files, verdicts, True))
            speeds["buffered"].append(ours(files, verdicts, False))
    for name, values in speeds.items():
        ratios = [mine / peer for mine, peer in zip(values, speeds["fio"], strict=True)]
        print(
            f"{name:9s} {statistics.median(values) / 1e9:6.2f} GB/s (n={TURNS})   "
            f"ratio to fio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
