"""Ceilings and floors, faults of nodes, tiers and variants held against each other."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bench import synthetic
from coldproof.fleet.analysis import look
from coldproof.gather import gather_campaign

GB = 1e9
RATE = synthetic.WEIGHTS_BYTES / synthetic.WEIGHTS_S["cold"]  # 1.47 GB/s: what cold starts used


def fleet(lab: Any, count: int, node: int | None = None, **changes: Any) -> None:
    """Write `count` nodes without noise; `changes` are of all, or of the one numbered `node`."""
    names = [f"gpu-{number:02d}" for number in range(1, count + 1)]
    lab.folder.mkdir(parents=True, exist_ok=True)
    (lab.folder / "campaign.json").write_text(json.dumps(synthetic.campaign(names)))
    for number, name in enumerate(names, 1):
        mine = changes if node in (None, number) else {}
        records = synthetic.node_records(
            name, np.random.default_rng(number), noise=lambda _: 1.0, **mine
        )
        synthetic.write_node(lab.folder, records)


def changed(field: str, **parts: Any) -> dict[str, Any]:
    record = synthetic.node_records("x", np.random.default_rng(0))[0]
    return {field: {**record[field], **parts}}


def swept(direct: list[float], buffered: list[float], **rest: Any) -> dict[str, Any]:
    sweeps = [{"way": way, "bytes_per_s": speed} for way, speeds in
              (("direct", direct), ("buffered", buffered)) for speed in speeds]  # fmt: skip
    return {"ceiling": {"sweeps": sweeps, "method": "x", "when": "after the last cold", **rest}}


@pytest.mark.parametrize(
    ("ceiling", "said"),
    [
        (swept([16 * GB, 15 * GB], [4 * GB, 4 * GB]),
         "9 % of what the disk can do: the loader is the bottleneck"),
        (swept([1.5 * GB, 1.45 * GB], [1 * GB, 1 * GB]),
         "98 % of what the disk can do: the storage is the bottleneck of the weights phase"),
        (swept([1 * GB, 1 * GB], [2.1 * GB, 2 * GB]),
         "70 % of what the disk can do: loader and storage both take their part"),
        (swept([2 * GB, 1.4 * GB], []), "no percentage: two sweeps differ by 1.4x"),
        (swept([2 * GB], []), "no percentage: swept only once"),
        (swept([1 * GB, 1 * GB], [1.1 * GB, 1 * GB]),
         "no percentage: something read faster than the ceiling's sweeps"),
        (swept([2 * GB, 2 * GB], [], reliable=False),
         "no percentage: the sweeps are called unreliable by the node"),
        ({"ceiling": {"sweeps": [{"way": "direct", "error": "Invalid argument"}]}},
         "no percentage: no sweep of it succeeded"),
        ({"ceiling": {"sweeps": [{"way": "direct", "bytes_per_s": "fast"}, 7, None]}},
         "no percentage: no sweep of it succeeded"),
    ],
)  # fmt: skip
def test_ceiling_is_said_as_far_as_it_can_be(lab: Any, ceiling: dict[str, Any], said: str) -> None:
    fleet(lab, 1, **ceiling)
    section = lab.section(lab.report(), "What the storage can do")
    assert said in section


def test_without_a_ceiling_no_percentage_is_said(lab: Any) -> None:
    fleet(lab, 1)
    report = lab.report()
    assert "No ceiling was measured" in lab.section(report, "What the storage can do")
    assert "Ceiling: not measured, so the page-cache model" in report
    fleet(lab, 1, ceiling={"sweeps": "many"})
    assert "what the disk can do" not in lab.report()


def test_floor_and_page_cache_model(lab: Any) -> None:
    fleet(lab, 1, **swept([1.9 * GB, 1.9 * GB], [1 * GB, 1 * GB]))
    report = lab.report()
    assert "1.90 GB/s, 78 % used" in lab.section(report, "Nodes, tiers and variants")
    text = lab.section(report, "Interpretation")
    assert "By the page-cache model cold weights cost 7.52 s more (weights by ceiling)" in text
    assert "measured were 7.70 s (7.70 to 7.70, n=3): it matches." in text
    assert "Cold weights took 0.68 s (0.68 to 0.68, n=3) a GB; others published" in text
    fleet(lab, 1, **swept([16 * GB, 15 * GB], []))
    text = lab.section(lab.report(), "Interpretation")
    assert "more than the storage explains; the loader takes the rest. 9 % of what" in text


@pytest.mark.parametrize(
    ("change", "what", "evidence", "fix"),
    [
        (changed("gpu", devices=[{"index": 3, "name": "Synthetic GPU",
                                  "persistence_mode": "Disabled",
                                  "pcie": {"width": 8, "width_max": 16}}]),
         "has fewer lanes than it could", "GPU 3: x8 of x16 at ready", "nvidia-smi --query-gpu"),
        (changed("gpu", devices=[{"index": 3, "name": "Synthetic GPU",
                                  "persistence_mode": "Disabled"}]),
         "persistence mode is off", "GPU 3: persistence", "nvidia-smi -pm 1"),
        (changed("storage", pcie={"current_link_width": "2", "max_link_width": "4"}),
         "PCIe link is below its maximum", "width 2 of 4 lanes", "lspci -vv"),
        (changed("storage", pcie={"current_link_speed": "8.0 GT/s PCIe",
                                  "max_link_speed": "16.0 GT/s PCIe"}),
         "PCIe link is below its maximum", "speed 8 of 16 GT/s", "lspci -vv"),
        (changed("storage", read_ahead_kb=16), "read-ahead differs from its class",
         "16 KiB; 3 of 4 nodes have 128 KiB", "blockdev --setra 256 /dev/nvme0n1"),
        (changed("storage", scheduler="none [bfq]"), "I/O scheduler differs from its class",
         "bfq; 3 of 4 nodes have none", "echo none &gt; /sys/block/nvme0n1/queue/scheduler"),
        (changed("storage", firmware="0.9"), "firmware of the storage differs",
         "0.9; 3 of 4 nodes have 1.0", "nvme fw-download"),
        (changed("host", kernel="5.10"), "kernel differs from its class",
         "5.10; 3 of 4 nodes have 6.12.0", "uname -r"),
        (changed("host", mem_limit_bytes=12 << 30), "memory is too small",
         "13.3 GiB, memory is 12.0 GiB (the limit of its control group)", "raise MemoryMax="),
        ({"engine_files": {"filesystem": "nfs4", "network": True}},
         "engine's files are on a network filesystem", "filesystem nfs4", "python3 -m venv"),
        ({"engine_files": {"uncompiled": 4711}}, "no .pyc files",
         "4711 of the engine's Python sources", "python3 -m compileall"),
        ({"compile": "miss"}, "compile caches were missing", "6 starts, first: cold run 0002",
         "VLLM&#95;CACHE_ROOT"),
        ({"compile_changed": True}, "compile caches keep changing",
         "6 starts, first: cold run 0002", "prime it again"),
    ],
)  # fmt: skip
def test_fault_is_found_with_evidence_and_fix(
    lab: Any, change: dict[str, Any], what: str, evidence: str, fix: str
) -> None:
    fleet(lab, 4)
    assert "No fault was found" in lab.section(lab.report(), "Findings on nodes")
    fleet(lab, 4, node=2, **change)
    section = lab.section(lab.report(), "Findings on nodes")
    row = next(line for line in section.splitlines() if what in line and evidence in line)
    assert row.startswith("| gpu-02 ")
    assert fix in row or fix.replace("&#95;", "_") in row
    assert not [line for line in section.splitlines() if line.startswith("| gpu-03")]


def test_what_no_record_tells_is_unknown_and_not_fine(lab: Any) -> None:
    fleet(lab, 4, gpu={"devices": [{"index": 0, "name": "Synthetic GPU"}]}, storage={})
    unknown = lab.section(lab.report(), "Findings on nodes").split("Unknown, ")[1]
    for check in ("persistence mode", "PCIe link of the GPUs", "PCIe link of the storage",
                  ".pyc files", "filesystem of the engine files", "read-ahead", "I/O scheduler",
                  "firmware of the storage", "GPU driver"):  # fmt: skip
        assert f"{check} (4 nodes)" in unknown


def test_two_nodes_that_differ_have_no_majority(lab: Any) -> None:
    fleet(lab, 2, node=2, **changed("host", kernel="5.10"))
    assert "No fault was found" in lab.section(lab.report(), "Findings on nodes")


def test_nonsense_of_one_node_breaks_nothing(lab: Any) -> None:
    odd = {"host": {"kernel": ["x"], "cores": True, "mem_total_bytes": "much", "cpu": {}},
           "storage": {"pcie": {"current_link_width": 3, "max_link_width": []}, "devices": "sda",
                       "read_ahead_kb": -1, "scheduler": 7, "firmware": {}},
           "gpu": {"devices": [{"pcie": {"width": "8", "width_max": 16}}, 5]},
           "engine_files": {"uncompiled": "all", "filesystem": 1}, "ceiling": {"sweeps": [[]]},
           "compile_cache": []}  # fmt: skip
    fleet(lab, 4, node=4, **odd)
    report = lab.report()
    assert "gpu-04" in report
    assert [one for one in look(gather_campaign(lab.folder)).findings if one.node != "gpu-04"] == []


def test_outlier_names_what_else_is_found_on_its_node(lab: Any) -> None:
    change = changed("storage", pcie={"current_link_width": "1", "max_link_width": "4"})
    fleet(lab, 8, node=5, weights_factor=5.0, **change)
    report = lab.report()
    text = lab.section(report, "Nodes held against each other")
    assert "gpu-05, nvme/default, cold: 38.80 s (68 %) slower" in text
    assert "On this node also: the storage's PCIe link is below its maximum (width 1 of 4" in text
    assert "**gpu-05 is an outlier**: nvme/default, cold" in lab.section(report, "Verdict")


def test_tiers_and_variants_of_a_node_are_ranked_with_their_scopes(lab: Any) -> None:
    fleet(lab, 1)
    records = []
    for tier, variant, factor in (("nvme", "default", 1), ("nfs", "default", 4),
                                  ("nvme", "eager", 1)):  # fmt: skip
        scope = {"nfs": "weights+client"}.get(tier, "weights+engine")
        storage = changed("storage", mount=f"/{tier}", network=tier == "nfs")
        for record in synthetic.node_records(
            "gpu-01", np.random.default_rng(1), noise=lambda _: 1.0, weights_factor=factor,
            tier=tier, variant=variant, **storage,
        ):  # fmt: skip
            seq = len(records) + 1
            run_id = f"{synthetic.CAMPAIGN}.gpu-01.{seq:04d}"
            narrowed = scope if record["mode"] == "cold" else None
            changes = {"seq": seq, "run_id": run_id, "scope": narrowed}
            records.append(lab.sign({**record, **changes}))
    synthetic.write_node(lab.folder, records)
    verdict = lab.section(lab.report(), "Verdict")
    assert (
        "gpu-01, tiers with variant default, cold: fastest nvme (scope weights+engine) 57.30 s "
        "(57.30 to 57.30, n=3); nfs (scope weights+client) 1.51x as long (86.40 s"
    ) in verdict
    assert "gpu-01, variants with tier nvme, cold: fastest default 57.30 s" in verdict
    assert "variants with tier nfs" not in verdict
