"""The main job as a controller (AWX) runs it, and what stays when the job's folder is gone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.awx import ARCHIVE, Job, launch
from tests.fleet.conftest import CANARY
from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet, Node
from tests.fleet.play import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SURVEY = json.loads((ROOT / "awx/survey.json").read_text("utf-8"))
PAGE = (ROOT / "docs/how-to/awx.md").read_text("utf-8")


def answers(**given: Any) -> dict[str, Any]:
    """What a launch with the survey hands over: every default, and what was answered."""
    return {question["variable"]: question["default"] for question in SURVEY["spec"]} | given


def campaigns(reports: Path) -> list[Path]:
    return sorted(path.parent for path in reports.glob("[0-9]*/campaign.json"))


def outcome(campaign: Path, node: Node) -> str:
    nodes = json.loads((campaign / "campaign.json").read_text("utf-8"))["nodes"]
    return str(nodes[node.name]["status"])


@pytest.fixture(scope="module")
def node(fleet: Fleet) -> Iterator[Node]:
    """A node of its own, reached with the credential's key."""
    made = fleet.add("gpu-awx")
    made.variables["coldproof_model_path"] = str(write_model(made.folder / "models/m"))
    made.variables["coldproof_engine_secrets"] = {"HF_TOKEN": CANARY}
    yield made
    fleet.nodes.pop(made.name).stop()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the controller mounts into every job."""
    return tmp_path_factory.mktemp("mounted") / "reports"


@pytest.fixture(scope="module")
def job(fleet: Fleet, node: Node, reports: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """One job with the survey, the repeats and the consent answered."""
    given = answers(
        coldproof_repeats=1, coldproof_node_drained="true", coldproof_reports_dir=str(reports)
    )
    return launch(tmp_path_factory.mktemp("awx") / "awx_17_a", fleet, node, given)


def test_a_job_measures_and_leaves_its_report_where_it_was_told(
    job: Job, reports: Path, node: Node
) -> None:
    assert (job.status, job.code) == ("successful", 0), job.output
    (campaign,) = campaigns(reports)
    assert outcome(campaign, node) == "complete"
    assert (campaign / "storage_load_bench.md").is_file()
    assert f"Report: {campaign}/storage_load_bench.md" in job.output
    assert not (job.project / "reports").exists()


def test_what_the_controller_stores_of_a_job_holds_the_table_and_no_secret(job: Job) -> None:
    stored = [path for path in (job.folder / "artifacts/17").rglob("*") if path.is_file()]
    texts = [path.read_text("utf-8") for path in stored]
    assert any("Medians of proven starts" in text for text in texts)
    assert not any(CANARY in text for text in texts)


def test_without_a_mounted_folder_an_archive_may_take_the_report(
    fleet: Fleet, node: Node, tmp_path: Path
) -> None:
    (kept,) = re.findall(r"^```yaml\n(- name: Measure\n.*?)^```", PAGE, re.M | re.S)
    folder, target = tmp_path / "awx_18_b", tmp_path / "archive"
    playbook = folder / "project/keep.yml"
    playbook.parent.mkdir(parents=True)
    target.mkdir()
    playbook.write_text(kept.replace("/srv/coldproof", str(target)), encoding="utf-8")
    given = answers(coldproof_repeats=1, coldproof_node_drained="true")
    limit = f"gpu-nodes,{ARCHIVE}"
    done = launch(folder, fleet, node, given, playbook="keep.yml", limit=limit)
    assert done.status == "successful", done.output
    (lost,) = campaigns(done.project / "reports")
    (campaign,) = campaigns(target / "reports")
    assert (campaign.name, outcome(campaign, node)) == (lost.name, "complete")
    assert (target / "reports/latest/report.html").is_file()


def test_a_check_job_measures_nothing(fleet: Fleet, node: Node, tmp_path: Path) -> None:
    given = answers(coldproof_reports_dir=str(tmp_path / "reports"))
    done = launch(tmp_path / "awx_19_c", fleet, node, given, "--check")
    assert done.status == "successful", done.output
    assert campaigns(tmp_path / "reports") == []
    assert "7 starts" in done.output


def test_a_canceled_job_is_resumed_by_the_next_launch(
    fleet: Fleet, node: Node, tmp_path: Path
) -> None:
    reports = tmp_path / "reports"
    given = answers(
        coldproof_repeats=5, coldproof_node_drained="true", coldproof_reports_dir=str(reports)
    )

    def measured() -> int:
        found = node.state.glob("campaigns/*/runs.jsonl")
        return max((len(path.read_text("utf-8").splitlines()) for path in found), default=0)

    before = measured()
    first = launch(
        tmp_path / "awx_20_d", fleet, node, given, cancel=lambda: measured() > max(before, 2)
    )
    assert first.status == "canceled", first.output
    shutil.rmtree(first.folder)
    second = launch(tmp_path / "awx_21_e", fleet, node, given)
    assert second.status == "successful", second.output
    (campaign,) = campaigns(reports)
    assert outcome(campaign, node) == "complete"
    rows = (campaign / "nodes" / node.name / "runs.jsonl").read_text("utf-8").splitlines()
    assert len(rows) == 1 + 2 * 5


def test_a_node_that_fails_fails_the_job(fleet: Fleet, node: Node, tmp_path: Path) -> None:
    given = answers(coldproof_cold_method="reboot", coldproof_reports_dir=str(tmp_path))
    done = launch(tmp_path / "awx_22_f", fleet, node, given)
    assert (done.status, done.code) == ("failed", 2)
    assert "coldproof_reboot_ok" in done.output
