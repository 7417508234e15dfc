"""What `coldproof report` costs for large fleets: seconds and peak memory, 1,000 and 10,000 nodes.

    python bench/report_scale.py [--nodes 1000,10000] [--profile] [--folder DIR]

Every node has seven starts. Their records are the committed example's, as large as a real server
makes them (10 KB each), with other names and noise of 3.5 %. Limits: 10,000 nodes within 1 GiB and
at most 11 times the CPU time of 1,000 (one process; on a shared machine the wall clock tells of the
neighbours). Needs 0.8 GB of disk for 10,000 nodes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "reports/example"
CAMPAIGN = "20261101T000000Z-0123456789ab"
HEADER = "run_id,mode,model,max_model_len,load_s,gpu_mem_used_mb,notes"
RSS_LIMIT, TIMES_LIMIT = 1 << 30, 11.0


def main() -> int:
    """Build the fleets, report on each in a process of its own, print; 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", default="1000,10000", help="numbers of nodes, by commas")
    parser.add_argument("--folder", help="where to build (default: the temporary directory)")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args()
    measured = []
    for count in map(int, options.nodes.split(",")):
        folder = Path(tempfile.mkdtemp(prefix="coldproof-scale-", dir=options.folder))
        try:
            build(folder / CAMPAIGN, count)
            wall, took, peak = report(folder / CAMPAIGN, options.profile)
            size = (folder / CAMPAIGN / "storage_load_bench.md").stat().st_size
        finally:
            shutil.rmtree(folder)
        starts = f"{count:6d} nodes, {7 * count} starts"
        cost = f"{took:.2f} s of CPU ({wall:.2f} s), peak {peak / 2**20:.0f} MiB"
        print(f"{starts}: {cost}, report {size / 2**20:.1f} MiB", flush=True)
        measured.append((count, took, peak))
    (_, first, _), (_, last, peak) = measured[0], measured[-1]
    print(f"times: ratio {last / first:.1f} (limit {TIMES_LIMIT:g})")
    print(f"peak: {peak / RSS_LIMIT:.2f} GiB (limit 1)")
    return 1 if last > TIMES_LIMIT * first or peak > RSS_LIMIT else 0


def build(folder: Path, count: int) -> None:
    """Write a campaign of `count` nodes."""
    lines = (EXAMPLE / "nodes/h100-01/runs.jsonl").read_text("utf-8").splitlines()
    templates = [one for one in map(json.loads, lines) if one["variant"] == "default"]
    first = next(one for one in templates if one["mode"] == "prime")
    templates = [first, *(one for one in templates if one["mode"] != "prime")]
    names = [f"gpu-{number:05d}" for number in range(count)]
    chance = random.Random(1)
    for name in names:
        place = folder / "nodes" / name
        place.mkdir(parents=True)
        records = [_vary(one, name, seq, chance) for seq, one in enumerate(templates, 1)]
        (place / "runs.jsonl").write_text("".join(_canonical(one) + "\n" for one in records))
        rows = [_row(one) for one in records if one["mode"] != "prime"]
        (place / "storage_load_bench.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    document = json.loads((EXAMPLE / "campaign.json").read_text("utf-8"))
    document.update(campaign=CAMPAIGN, nodes={name: {"status": "complete"} for name in names})
    (folder / "campaign.json").write_text(json.dumps(document))


def report(folder: Path, profile: bool) -> tuple[float, float, int]:
    """Return seconds, seconds of CPU and peak resident bytes of one `coldproof report`."""
    module = ["-m", "cProfile", "-s", "tottime"] if profile else []
    command = [sys.executable, *module, "-m", "coldproof", "report", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collector")}
    begun = time.monotonic()
    pid = os.posix_spawn(sys.executable, command, environment)
    _, status, usage = os.wait4(pid, 0)
    took = time.monotonic() - begun
    if status:
        raise SystemExit(f"coldproof report ended with {os.waitstatus_to_exitcode(status)}")
    return took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def _vary(template: dict[str, Any], node: str, seq: int, chance: random.Random) -> dict[str, Any]:
    factor = math.exp(chance.gauss(0, 0.035))
    content = {name: value for name, value in template.items() if name != "checksum"}
    load_s = round(template["load_s"] * factor, 3)
    phases = [{**one, "seconds": one["seconds"] * factor} for one in template["phases"]]
    content.update(
        run_id=f"{CAMPAIGN}.{node}.{seq:04d}", campaign=CAMPAIGN, node=node, seq=seq,
        load_s=load_s, elapsed_s=load_s, phases=phases,
        host={**template["host"], "hostname": node},
        engine={**template["engine"], "port": chance.randrange(1024, 65536)},
        log={**template["log"], "tail": [f"{chance.random()} {one}" for one in
                                         template["log"]["tail"]]},
    )  # fmt: skip
    return {**content, "checksum": hashlib.sha256(_canonical(content).encode()).hexdigest()}


def _row(one: dict[str, Any]) -> str:
    notes = (f"tier={one['tier']};variant={one['variant']};engine=vllm;"
             f"method={one['method'] or 'none'};scope={one['scope'] or 'none'};"
             f"state={one['state']};compile={one['compile']};outcome=ready;"
             f"pair={one['pair']}")  # fmt: skip
    return (f"{one['run_id']},{one['mode']},{one['model']},{one['max_model_len']},"
            f"{one['load_s']:.3f},{one['gpu_mem_used_mb']:.0f},{notes}")  # fmt: skip


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    raise SystemExit(main())
