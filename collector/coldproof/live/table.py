"""The live table of a terminal: a row a node, redrawn in place."""

from __future__ import annotations

import time

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.text import Text

from coldproof.live.lines import shown
from coldproof.live.progress import Node, Progress

# A cell's text and style.
Cell = tuple[str, str]
# Lines that the table's head and foot take.
AROUND = 4
HEADS = ("node", "step", "run", "phase", "elapsed", "left", "by")
RIGHT = ("step", "elapsed", "left")
RUN = HEADS.index("run")
GAP = "  "
# Columns of a name or a phase at most, and of a run at least.
MOST = {"node": 24, "phase": 24}
SHORTEST = 10
MOST_REASONS = 5
# Seconds between two pictures at least, and the share of a processor that they take at most.
FASTEST_S, SHARE = 1.0, 0.001


class Screen:
    """The table on a console. `title` stands in its foot."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._next = 0.0
        self.title = ""

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def draw(self, progress: Progress, *, now: bool = False) -> None:
        """Draw, unless it is too soon: a picture that costs much is drawn seldom."""
        at = time.monotonic()
        if now or at >= self._next:
            begun = time.thread_time()
            size = (self._console.width, self._console.height)
            self._live.update(picture(progress, self.title, size, at), refresh=True)
            self._next = at + max(FASTEST_S, (time.thread_time() - begun) / SHARE)

    def stop(self) -> None:
        """Leave the last picture on the terminal."""
        self._live.stop()


def picture(progress: Progress, title: str, size: tuple[int, int], now: float) -> Text:
    """Return the table, those at work first, and its foot, for a terminal of columns x lines."""
    nodes = sorted(progress.nodes.values(), key=lambda one: one.done or bool(one.failed))
    reasons = [node for node in nodes if node.failed][:MOST_REASONS]
    width, rows = size[0], max(3, size[1] - AROUND - len(reasons))
    cells = [row(node, now) for node in nodes[:rows]]
    lines = aligned([[(head, "bold") for head in HEADS], *cells], width)
    if len(nodes) > rows:
        lines.append(Text(f"and {len(nodes) - rows} nodes more"))
    lines += [Text(f"{shown(node.name)}: {node.failed}", style="red") for node in reasons]
    lines.append(Text(summary(progress, title, now), style="dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def row(node: Node, now: float) -> list[Cell]:
    """Return a node's cells, each with its style. Nothing in them is markup."""
    step, run, phase = node.doing()
    cells = [(shown(node.name), "bold"), (step, "")]
    if node.failed:
        return [*cells, ("", ""), ("not complete", "red"), *[("", "")] * 3]
    if node.done:
        return [*cells, ("", ""), ("done", "green"), *[("", "")] * 3]
    elapsed, expected = node.times(now)
    left = node.left_s(now)
    of = "" if expected is None else f"of {expected:.{int(expected < 10)}f} "
    return [
        *cells,
        (run, ""),
        (phase, "cyan"),
        ("" if elapsed is None else f"{elapsed:.0f} {of}s", ""),
        ("" if left is None else span(left), ""),
        (node.via, ""),
    ]


def aligned(rows: list[list[Cell]], width: int) -> list[Text]:
    """Return a line for each row. Runs are shortened to what the others leave of `width`.

    Of a run the end is kept, which says more. rich's own Table measures each cell many times: for
    a hundred nodes it would be most of what the view costs.
    """
    widths = [
        min(MOST.get(head, width), max(cell_len(one[number][0]) for one in rows))
        for number, head in enumerate(HEADS)
    ]
    others = sum(widths) - widths[RUN] + len(GAP) * (len(HEADS) - 1)
    widths[RUN] = min(widths[RUN], max(SHORTEST, width - others))
    lines = []
    for cells in rows:
        line = Text()
        for head, (text, style), room in zip(HEADS, cells, widths, strict=True):
            if cell_len(text) > room:
                text = f"…{text[1 - room :]}" if head == HEADS[RUN] else f"{text[: room - 1]}…"
            gap = " " * (room - cell_len(text))
            line.append(gap if head in RIGHT else "")
            line.append(text, style)
            line.append((gap if head not in RIGHT else "") + GAP)
        line.rstrip()
        lines.append(line)
    return lines


def summary(progress: Progress, title: str, now: float) -> str:
    """Return the foot: the campaign, how many nodes are done, and when the last one will be."""
    count, done, failed = progress.counts()
    parts = [title, f"{done} of {count} nodes done" if count else ""]
    parts += [f"{failed} not complete"] if failed else []
    left = progress.left_s(now)
    if left:
        end = time.strftime("%H:%M", time.localtime(time.time() + left))
        waiting = progress.waiting()
        parts.append(
            f"more than {span(left)} left: {waiting} waiting for a turn or a reboot"
            if waiting
            else f"about {span(left)} left, until {end}"
        )
    return "  ".join(part for part in parts if part)


def span(value: float) -> str:
    """Return seconds as `40 s`, `12 min` or `3.5 h`."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"
