"""`coldproof review`: verdicts by exit code, bounds, thresholds, what to change first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import synthetic
from coldproof.cli import main


class Desk:
    """A campaign and a policy, and the command over them."""

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self.document: dict[str, Any] = {}
        self.text = ""

    def policy(self, cold: float, rest: str = "", **fields: Any) -> Path:
        path: Path = self.lab.root / "policy.yml"
        one = {"name": "web", "cold_start_s": cold, **fields}
        path.write_text(f"schema: coldproof.policy/1\nservice_classes: [{json.dumps(one)}]\n{rest}")
        return path

    def review(self, *arguments: str) -> int:
        code = main(["review", str(self.lab.folder), *arguments])
        self.document = json.loads((self.lab.folder / "capacity_review.json").read_text())
        self.text = (self.lab.folder / "capacity_review.md").read_text()
        assert self.document["exit_code"] == code
        return code


@pytest.fixture
def desk(lab: Any) -> Desk:
    lab.campaign()
    return Desk(lab)


def test_policy_that_must_pass_passes_and_one_that_must_fail_fails(desk: Desk) -> None:
    desk.lab.fetch(desk.lab.series())  # slowest cold start: 10.2 s
    assert desk.review("--policy", str(desk.policy(10.2))) == 0
    assert desk.document["verdict"] == "meets"
    assert "web, nvme/default cold on gpu-01: meets 10.20 s, 0.00 s (0 %) of room" in desk.text
    assert desk.review("--policy", str(desk.policy(10.15))) == 1
    (row,) = desk.document["budgets"]
    assert (row["verdict"], row["room_s"], row["starts"]) == ("fails", -0.05, 3)
    assert (row["slowest_s"], row["slowest_run_id"][-4:]) == (10.2, "0006")
    assert row["why"] == "gpu-01 not reliably: slowest 10.20 s of 3, over by 0.05 s (0 %)"
    assert desk.review("--policy", str(desk.policy(5))) == 1
    assert "gpu-01 median 10.10 s of 3, over by 5.10 s (102 %)" in desk.text


@pytest.mark.parametrize("budget", [1, 1000])
def test_two_pairs_are_insufficient_evidence(desk: Desk, budget: float) -> None:
    desk.lab.fetch(desk.lab.series(pairs=2))
    assert desk.review("--policy", str(desk.policy(budget))) == 3
    assert desk.document["verdict"] == "insufficient evidence"
    assert "**insufficient evidence**" in desk.text
    assert "under 3 proven pairs on 1 node: gpu-01" in desk.text
    assert "measure again until 3 pairs are proven" in desk.text
    assert "meets" not in desk.text.replace("It meets a budget if", "")


@pytest.mark.parametrize("mode", ["prime", "cold", "warm"])
def test_one_timed_out_start_turns_meets_into_a_fail_that_names_it(desk: Desk, mode: str) -> None:
    desk.lab.fetch(desk.lab.series())
    assert desk.review("--policy", str(desk.policy(1000))) == 0
    state = "not_applicable" if mode == "prime" else "unproven"
    late = desk.lab.record(8, mode, None if mode == "prime" else 4, None, state=state)
    desk.lab.fetch([*desk.lab.series(), late])
    assert desk.review("--policy", str(desk.policy(1000))) == 1
    named = f"{late['run_id']} ({mode}) timeout after 600.0 s"
    assert f"fails: 1 start failed: {named}" in desk.text
    assert desk.document["change_first"][0]["what"].startswith("find out why 1 start failed")
    (probe,) = desk.document["startup"]
    assert (probe["slowest_s"], probe["failed"]) == (600.0, 1)
    assert "these are too low" in desk.text


def test_a_node_whose_every_start_failed_fails(desk: Desk) -> None:
    failed = [desk.lab.record(2, "cold", 1, None, state="unproven")]
    desk.lab.fetch(failed)
    assert desk.review("--policy", str(desk.policy(1000))) == 1
    assert f"{failed[0]['run_id']} (cold) timeout" in desk.text


def test_default_policy_needs_what_it_says(desk: Desk) -> None:
    desk.lab.fetch(desk.lab.series())
    assert desk.review() == 0
    verdicts = {row["service_class"]: row["verdict"] for row in desk.document["budgets"]}
    assert verdicts == {"demo": "meets", "internal": "meets", "latency-sensitive": "meets"}


def test_class_that_is_not_required_decides_nothing(desk: Desk) -> None:
    desk.lab.fetch(desk.lab.series())
    assert desk.review("--policy", str(desk.policy(1, required=False))) == 3
    assert "no class of the policy is required" in desk.text
    assert desk.document["budgets"][0]["verdict"] == "fails"


def test_class_that_nothing_applies_to_has_no_evidence(desk: Desk) -> None:
    desk.lab.fetch(desk.lab.series())
    assert desk.review("--policy", str(desk.policy(1000, tiers=["nfs*"]))) == 3
    assert "nothing was measured that class web applies to" in desk.text


def test_a_tier_that_a_class_names_has_to_be_measured(desk: Desk) -> None:
    desk.lab.fetch(desk.lab.series())
    assert desk.review("--policy", str(desk.policy(1000, tiers=["nvme", "n*"]))) == 0
    assert desk.review("--policy", str(desk.policy(1000, tiers=["nvme", "nsf"]))) == 3
    assert "class web names what nobody measured: tier nsf" in desk.text


def test_missing_node_is_missing_evidence_unless_allowed(desk: Desk) -> None:
    desk.lab.campaign(
        gpu_01="complete", gpu_02={"status": "unreachable", "message": "no route to host"}
    )
    desk.lab.fetch(desk.lab.series())
    assert desk.review("--policy", str(desk.policy(1000))) == 3
    assert "1 node without a complete result (max_missing_nodes: 0)" in desk.text
    assert "unreachable: no route to host" in desk.text
    assert desk.review("--policy", str(desk.policy(1000, "max_missing_nodes: 1\n"))) == 0


def test_unproven_starts_are_no_evidence(desk: Desk) -> None:
    records = [
        desk.lab.sign({**record, "state": "unproven", "reasons": ["no witness"]})
        for record in desk.lab.series()
        if record["mode"] != "prime"
    ]
    desk.lab.fetch(records)
    assert desk.review("--policy", str(desk.policy(1000))) == 3
    assert "no proven start" in desk.text
    assert "what stood in the way: no witness" in desk.text


def test_warm_budget_and_tier_that_is_warm_only(desk: Desk) -> None:
    path = desk.lab.folder / "campaign.json"
    document = json.loads(path.read_text())
    document["settings"]["tiers"] = [{"name": "nvme", "path": "/x", "warm_only": True}]
    path.write_text(json.dumps(document))
    desk.lab.fetch([one for one in desk.lab.series() if one["mode"] != "cold"])
    assert desk.review("--policy", str(desk.policy(1000))) == 3
    assert desk.document["budgets"][0]["verdict"] == "not judged"
    assert desk.review("--policy", str(desk.policy(1000, warm_start_s=4.2))) == 0
    assert desk.review("--policy", str(desk.policy(1000, warm_start_s=4.1))) == 1


def fleet(desk: Desk, nodes: int, **slow: Any) -> None:
    names = [f"gpu-{number:02d}" for number in range(1, nodes + 1)]
    (desk.lab.folder / "campaign.json").write_text(json.dumps(synthetic.campaign(names)))
    random = np.random.default_rng(8)
    for name in names:
        options = slow if name == names[-1] else {}
        records = synthetic.node_records(name, random, noise=lambda _: 1.0, **options)
        synthetic.write_node(desk.lab.folder, records)


def test_one_slow_node_fails_the_class_and_is_named_and_nothing_is_averaged(desk: Desk) -> None:
    fleet(desk, 8, weights_factor=5.0)
    assert desk.review("--policy", str(desk.policy(60))) == 1
    (row,) = desk.document["budgets"]
    assert len(row["nodes"]) == 8
    assert row["why"].startswith("gpu-08 median 96.10 s of 3, over by 36.10 s")
    assert "gpu-07" not in row["why"]
    texts = [one["what"] for one in desk.document["change_first"]]
    assert "its cold starts are 38.80 s slower than its class's, mostly in the phase" in " ".join(
        texts
    )


def test_bounds_of_restoring_and_rolling(desk: Desk) -> None:
    fleet(desk, 5, weights_factor=5.0)  # four nodes at 57.3 s cold, one at 96.1; 49.6 warm
    rest = "replicas: {count: 8, per_node: 2}\nrollout: {batch: 2}\n"
    desk.review("--policy", str(desk.policy(1000, rest)))
    (row,) = desk.document["restore"]
    assert (row["nodes"], row["nodes_needed"], row["batches"]) == (5, 4, 3)
    assert row["restore_at_least_s"] == 57.3
    assert row["slowest_cold_seen_s"] == 96.1
    assert row["roll_cold_at_least_s"] == pytest.approx(96.1 + 57.3 + 57.3)
    assert row["roll_warm_at_least_s"] == pytest.approx(3 * 49.6)
    assert "Lower bounds: a machine's boot, image pulls" in desk.text
    assert "no herd was measured" in desk.text
    desk.review("--policy", str(desk.policy(1000, "replicas: {count: 6}\n")))
    assert desk.document["restore"][0]["restore_at_least_s"] is None
    assert "not said: 5 nodes measured" in desk.text


def test_probe_is_from_the_slowest_of_all_starts_the_first_included(desk: Desk) -> None:
    fleet(desk, 3)
    desk.review("--policy", str(desk.policy(1000, "startup: {margin: 1.5, period_s: 7}\n")))
    (probe,) = desk.document["startup"]
    first = 10.0 + sum(synthetic.PHASES.values()) + synthetic.COMPILER_S
    assert probe["slowest_s"] == pytest.approx(first)
    assert probe["slowest_run_id"].endswith(".0001")
    assert probe["ready_timeout_s"] == 260  # 167.6 x 1.5 = 251.4
    lead = synthetic.PHASES["interpreter and imports"]
    assert probe["lead_s"] == pytest.approx(lead, abs=2)
    # The kubelet's first probe comes at once: so many failures last one period less.
    lives_s = (probe["failure_threshold"] - 1) * 7
    assert 0 <= lives_s - (260 + probe["lead_s"]) < 7
    assert probe["ready_timeout_variable"] == "VLLM_ENGINE_READY_TIMEOUT_S"
    assert (probe["starts"], probe["first_ever"]) == (21, 3)


def test_a_failed_start_without_a_time_makes_thresholds_too_low_too(desk: Desk) -> None:
    late = desk.lab.record(8, "prime", None, None, elapsed_s=None)
    desk.lab.fetch([*desk.lab.series(), late])
    assert desk.review("--policy", str(desk.policy(1000))) == 1
    (probe,) = desk.document["startup"]
    assert (probe["starts"], probe["failed"]) == (7, 1)
    assert "1 start failed: how long it would have taken is unknown" in desk.text
    desk.lab.report()
    assert "1 start failed after an unknown time: not drawn." in (
        desk.lab.folder / "charts/starts.svg"
    ).read_text("utf-8")


def test_what_to_change_first_is_sorted_by_what_it_wins(desk: Desk) -> None:
    fleet(desk, 3)
    desk.review("--policy", str(desk.policy(1000)))
    found = desk.document["change_first"]
    assert [round(one["seconds"], 1) for one in found] == [110.3, 22.0, 7.7]
    assert "ship the compile caches" in found[0]["what"]
    assert "'interpreter and imports'" in found[1]["what"]
    assert "prewarm the files" in found[2]["what"]


def test_same_input_gives_the_same_bytes(desk: Desk) -> None:
    fleet(desk, 6, weights_factor=4.0)
    names = ("capacity_review.md", "capacity_review.json")
    seen = set()
    for _ in range(2):
        desk.review("--policy", str(desk.policy(60)))
        seen.add(tuple((desk.lab.folder / name).read_bytes() for name in names))
    assert len(seen) == 1


def test_demo_says_so(desk: Desk) -> None:
    desk.lab.campaign(demo=True)
    desk.lab.fetch(desk.lab.series())
    desk.review()
    verdict = desk.text.split("## Verdict\n")[1].split("\n## ")[0]
    assert all(
        line.startswith(("DEMO on this machine: ", "- DEMO on this machine: "))
        for line in verdict.splitlines()
        if line
    )
