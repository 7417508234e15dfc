"""What ansible-runner's events and the streams say of nodes, taken into their progress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coldproof.live.lines import REASON, seconds, shown
from coldproof.live.progress import POLLS, STREAM, Node, Progress, reason

# The task of the role report whose message is for the user.
REPORT = "Show the report"
# The task of the role preflight whose message is the plan, a line a node.
PLAN = "Show what will be done"
# What becomes of a node that is not complete, as campaign.json has it.
NOT_COMPLETE = ("incomplete", "refused", "unreachable", "failed")
UNREACHABLE = "runner_on_unreachable"
LOST = ("runner_on_failed", UNREACHABLE)
# The action that runs on the controller and says where the campaign's folder is.
COLLECTOR = "collector"


class Told:
    """The progress of one run, by what was told of it.

    Attributes:
        directory: the campaign's folder; None: it is not open yet.
        plan: what the playbook shows in the beginning, a line a node.
        report: what the playbook shows in the end.
    """

    def __init__(self) -> None:
        self.progress = Progress()
        self.directory: Path | None = None
        self.report = ""
        self.plan: list[str] = []

    def event(self, event: dict[str, Any], now: float) -> dict[str, Any] | None:
        """Take an event in. Return the status in it if it is a look at a followed agent."""
        data = event.get("event_data") or {}
        kind, host, result = event.get("event"), data.get("host"), data.get("res")
        if not isinstance(host, str):
            return None
        node = self.progress.node(host)
        task = str(data.get("task") or "")
        if kind == "runner_on_start":
            node.task = shown(task.rpartition(" : ")[2])
        if not isinstance(result, dict):
            return None
        if kind in LOST and not data.get("ignore_errors"):
            self._lost(node, result, str(kind))
        answer = result.get("answer")
        if isinstance(answer, dict):
            # What else has an answer is a node, which is not trusted with a folder of ours.
            ours = str(data.get("task_action") or "").rpartition(".")[2] == COLLECTOR
            self._folder(answer) if ours else self._expected(node, answer)
        if task.endswith(REPORT) and isinstance(result.get("msg"), str):
            self.report = result["msg"]
        if task.endswith(PLAN):
            told = result.get("msg")
            self.plan = [str(one) for one in (told if isinstance(told, list) else [told])]
        return self._look(host, result, now) if looked(event) else None

    def streamed(self, host: str, status: dict[str, Any] | None, why: str, now: float) -> None:
        """Take a streamed status in, or why there is none."""
        node = self.progress.node(host)
        if status is None:
            node.via, node.why = POLLS, shown(why, REASON)
        else:
            node.why = ""
            node.see(status, STREAM, now)

    def unstreamed(self, why: str, now: float) -> list[str]:
        """Take in that nothing is streamed any more. Return the nodes of which something was."""
        names = [name for name, node in self.progress.nodes.items() if node.via == STREAM]
        for name in names:
            self.streamed(name, None, why, now)
        return names

    def _folder(self, answer: dict[str, Any]) -> None:
        if isinstance(answer.get("directory"), str) and isinstance(answer.get("campaign"), str):
            self.directory = Path(answer["directory"])

    def _expected(self, node: Node, answer: dict[str, Any]) -> None:
        expected = answer.get("expected")
        minutes = seconds(expected.get("minutes")) if isinstance(expected, dict) else None
        if minutes is not None and minutes >= 0:
            node.expected_s = 60.0 * minutes

    def _lost(self, node: Node, result: dict[str, Any], kind: str) -> None:
        if node.failed:
            return
        outcome = result.get("outcome")
        told = outcome.get("status") if isinstance(outcome, dict) else None
        other = "unreachable" if kind == UNREACHABLE else "failed"
        node.failed = reason(result)
        node.outcome = told if told in NOT_COMPLETE else other

    def _look(self, host: str, result: dict[str, Any], now: float) -> dict[str, Any] | None:
        """Take a look of the playbook in; one of a streamed node says nothing new."""
        status = result.get("status")
        node = self.progress.node(host)
        if not isinstance(status, dict):
            return None
        if result["ended"] or node.via != STREAM:
            node.see(status, node.via or POLLS, now)
        return status if node.via != STREAM else None


def looked(event: dict[str, Any]) -> bool:
    """Say whether an event is of a look at an agent that is followed."""
    result = (event.get("event_data") or {}).get("res")
    return isinstance(result, dict) and {"ended", "boot_id"} <= result.keys()
