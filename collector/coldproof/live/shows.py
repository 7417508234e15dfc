"""The two views: a table on a terminal, and elsewhere what Ansible prints with a line a node."""

from __future__ import annotations

import re
import time
from typing import Any

from rich.console import Console

from coldproof.live.events import looked
from coldproof.live.lines import Lines, shown
from coldproof.live.session import Show
from coldproof.live.table import Screen

MOST_OF_A_LINE = 2000
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Plain(Show):
    """Ansible's usual output; lines of nodes come from the streams too."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = Lines()
        self._notes: set[str] = set()

    def event(self, event: dict[str, Any], seen: dict[str, Any] | None, /) -> None:
        """Print what Ansible prints. A look's line is ours, so that it is not there twice."""
        lines = str(event.get("stdout") or "").splitlines()
        look = event.get("event") == "runner_retry" and looked(event)
        say(*(lines[:-1] if look else lines))
        if seen is not None and look:
            self._line(str(event["event_data"]["host"]), seen)

    def streamed(self, node: str, seen: dict[str, Any] | None, /) -> None:
        """Print a node's line, or once that it is not streamed, and why."""
        line = not_streamed(node, self.told.progress.node(node).why)
        if seen is not None:
            self._line(node, seen)
        elif line not in self._notes:
            self._notes.add(line)
            say(line)

    def _line(self, node: str, seen: dict[str, Any]) -> None:
        self._lines.width = max(map(len, self.told.progress.nodes))
        line = self._lines.line(node, seen, time.monotonic())
        if line:
            say(line)


class Terminal(Show):
    """The table, and in the end the report's short one. Ansible's output is in the log."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console()
        self._screen = Screen(self._console)
        self._notes: set[str] = set()

    def start(self) -> None:
        """Begin to draw."""
        self._screen.start()

    def streamed(self, node: str, seen: dict[str, Any] | None, /) -> None:
        """Say once above the table why a node is not streamed."""
        line = not_streamed(node, self.told.progress.node(node).why)
        if seen is None and line not in self._notes:
            self._notes.add(line)
            self._console.print(line, markup=False, highlight=False)

    def tick(self) -> None:
        """Draw the table."""
        folder = self.told.directory
        self._screen.title = folder.name if folder else "ansible-playbook begins"
        self._screen.draw(self.told.progress)

    def stop(self) -> None:
        """Leave the last table, and print the report, or the plan, or why there is neither."""
        try:
            self._screen.draw(self.told.progress, now=True)
        finally:
            self._screen.stop()
        if self.told.report:
            say(*COLOURS.sub("", self.told.report).splitlines())
            return
        nodes = self.told.progress.nodes.values()
        # The table has room for some of them, and for some of their words.
        say(*(f"{shown(node.name)}: {node.failed}" for node in nodes if node.failed))
        errors = [] if self.told.directory else self.said[-20:]
        # Nodes have their part in a plan, and in what Ansible says of it.
        text = COLOURS.sub("", "\n".join(self.told.plan or errors))
        say(*(shown(line, MOST_OF_A_LINE) for line in text.splitlines()))


def not_streamed(node: str, why: str) -> str:
    """Return the line that says so."""
    return f"{node}: not streamed, the playbook looks by itself: {why}"


def say(*lines: str) -> None:
    """Print lines, at once."""
    for line in lines:
        print(line, flush=True)
