"""What each node does now, by what was streamed or looked at, and how long that may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coldproof.live.lines import REASON, doing_by, seconds, shown

STREAM, POLLS = "stream", "polls"


@dataclass
class Node:
    """One node. Times are seconds of the monotonic clock.

    Attributes:
        task: what the playbook does with it, before and after it is followed.
        status: the agent's last; None: none was seen yet.
        seen: when that was.
        since: since when it does the same.
        via: how its status comes here, STREAM or POLLS.
        why: why it is not streamed, where it is not.
        failed: why it is not complete, where it is not.
        outcome: then a status as campaign.json has it.
        expected_s: how long its whole campaign takes by preflight, in seconds.
        waited: since when its agent waits for a turn or a reboot; None: it does not.
        pace: when the first status was seen, its step, and the same of the last new step.
    """

    name: str
    task: str = ""
    status: dict[str, Any] | None = None
    seen: float = 0.0
    since: float = 0.0
    via: str = ""
    why: str = ""
    failed: str = ""
    outcome: str = ""
    expected_s: float | None = None
    waited: float | None = None
    pace: tuple[float, int, float, int] | None = None

    @property
    def done(self) -> bool:
        """Whether its agent has done all of the plan."""
        return bool(self.status and self.status.get("done"))

    @property
    def waits(self) -> bool:
        """Whether its agent waits for a turn or a reboot, for which nobody knows how long."""
        return bool(self.status and self.status.get("needs") and not (self.done or self.failed))

    def see(self, status: dict[str, Any], via: str, now: float) -> None:
        """Take a usable status in."""
        if self.status is None or doing_by(self.status) != doing_by(status):
            self.since = now
        self.status, self.seen, self.via = status, now, via
        step = int(status["step"])
        self._wait(now)
        if self.pace is None:
            self.pace = (now, step, now, step)
        elif step > self.pace[3]:
            self.pace = (*self.pace[:2], now, step)

    def _wait(self, now: float) -> None:
        """Begin or end a wait; what it took is no part of the pace."""
        if self.waits:
            self.waited = now if self.waited is None else self.waited
        elif self.waited is not None:
            if self.pace is not None:
                began, first, last, reached = self.pace
                took = now - self.waited
                self.pace = (began + took, first, last + took, reached)
            self.waited = None

    def doing(self) -> tuple[str, str, str]:
        """Return step, run and phase as a table shows them."""
        if self.status is None:
            return "", "", self.task
        run, phase = doing_by(self.status)
        phase = "rebooting" if self.status.get("needs") == "reboot" else phase
        return f"{self.status['step']}/{self.status['of']}", run, phase

    def times(self, now: float) -> tuple[float | None, float | None]:
        """Return the seconds since the server's start, or since it does this, and the expected.

        Expected is what the last start of the same mode took; None where there was none.
        """
        if self.status is None:
            return None, None
        elapsed = seconds(self.status.get("elapsed_s"))
        if self.status.get("phase") == "starting" and elapsed is not None:
            return elapsed + now - self.seen, seconds(self.status.get("last_s"))
        return now - self.since, None

    def left_s(self, now: float) -> float | None:
        """Return about how many seconds its campaign takes yet; None where nothing tells.

        While it waits that is what it takes beside the waiting.
        """
        if self.done or self.failed:
            return 0.0
        if self.status is None or self.pace is None:
            return self.expected_s
        step, of = int(self.status["step"]), max(1, int(self.status["of"]))
        began, first, last, reached = self.pace
        now = now if self.waited is None else max(last, self.waited)
        if reached > first:
            return max(0.0, (of - reached) * (last - began) / (reached - first) - (now - last))
        if self.expected_s is None:
            return None
        return max(0.0, self.expected_s * (of - step) / of - (now - began))


@dataclass
class Progress:
    """All nodes of one run."""

    nodes: dict[str, Node] = field(default_factory=dict)

    def node(self, name: str) -> Node:
        """Return a node, new if it was not known."""
        if name not in self.nodes:
            self.nodes[name] = Node(name)
        return self.nodes[name]

    def left_s(self, now: float) -> float | None:
        """Return about how many seconds the slowest node takes yet; None if one does not tell."""
        left = [node.left_s(now) for node in self.nodes.values()]
        known = [one for one in left if one is not None]
        return max(known) if known and len(known) == len(left) else None

    def waiting(self) -> int:
        """Return how many nodes wait for a turn or a reboot."""
        return sum(node.waits for node in self.nodes.values())

    def counts(self) -> tuple[int, int, int]:
        """Return how many nodes there are, are done, and have failed."""
        nodes = self.nodes.values()
        return len(nodes), sum(one.done for one in nodes), sum(bool(one.failed) for one in nodes)


def reason(result: dict[str, Any]) -> str:
    """Return why a task failed for a node, as one line."""
    outcome = result.get("outcome")
    if isinstance(outcome, dict):
        return shown(f"{outcome.get('status')}: {outcome.get('message')}", REASON)
    return shown(str(result.get("msg") or "failed").partition("\n")[0], REASON)
