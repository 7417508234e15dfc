"""What ansible-runner's events and the streams say of nodes, taken into their progress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coldproof.live.lines import shown
from coldproof.live.progress import POLLS, STREAM, Progress, reason

# The task of the role report whose message is for the user.
REPORT = "Show the report"
# The task of the role preflight whose message is the plan, a line a node.
PLAN = "Show what will be done"
LOST = ("runner_on_failed", "runner_on_unreachable")


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
            node.failed = node.failed or reason(result)
        answer = result.get("answer")
        if isinstance(answer, dict):
            self._answer(host, answer)
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
            node.via, node.why = POLLS, shown(why)
        else:
            node.why = ""
            node.see(status, STREAM, now)

    def _answer(self, host: str, answer: dict[str, Any]) -> None:
        if isinstance(answer.get("directory"), str) and isinstance(answer.get("campaign"), str):
            self.directory = Path(answer["directory"])
        expected = answer.get("expected")
        minutes = expected.get("minutes") if isinstance(expected, dict) else None
        if isinstance(minutes, (int, float)):
            self.progress.node(host).expected_s = 60.0 * minutes

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
