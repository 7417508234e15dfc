"""200 nodes x 7 starts: opened, filtered and sorted without a stall. Prints what was measured.

Held to limits is the processor time of the page's main thread: on a machine that is busy with
other jobs the wall clock tells of them. Both are printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

OPEN_S = 5.0
STALL_S = 0.5
ACT = """async ([selector, value]) => {
    const one = document.querySelector(selector);
    const begun = performance.now();
    if (value === null) one.click();
    else { one.value = value; one.dispatchEvent(new Event("input")); }
    await new Promise(next => requestAnimationFrame(() => requestAnimationFrame(next)));
    return (performance.now() - begun) / 1000;
}"""


def test_two_hundred_nodes_open_and_filter_without_a_stall(
    show: Callable[..., Any], two_hundred: Path, tmp_path: Path
) -> None:
    (tmp_path / "blank.html").write_text("<!DOCTYPE html><title>blank</title>")
    page = show(tmp_path / "blank.html", viewport={"width": 1400, "height": 900}).page
    probe = page.context.new_cdp_session(page)
    probe.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = probe.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    begun, before = time.monotonic(), busy()
    page.goto(two_hundred.resolve().as_uri())
    measured = {"opened": (busy() - before, time.monotonic() - begun)}
    assert page.locator("#s2 tbody tr").count() == 201
    acts = [(f"filter '{word}'", "#s2 input", word) for word in ("gpu-1", "gpu-17 nvme", "no", "")]
    for name, selector, value in [*acts, ("sorted", "#s2 thead th:nth-child(5) button", None)]:
        before = busy()
        wall = page.evaluate(ACT, [selector, value])
        measured[name] = (busy() - before, wall)
    size = two_hundred.stat().st_size
    print(f"\n{size / 1e6:.1f} MB")
    for name, (processor, wall) in measured.items():
        print(f"{name}: {processor:.3f} s of processor, {wall:.3f} s until painted")
    assert size < 4e6
    assert 0 < measured.pop("opened")[0] < OPEN_S
    assert max(processor for processor, _ in measured.values()) < STALL_S
