"""What all charts have in common: title, notes, legend, panels, axes, pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from textwrap import wrap

from coldproof.charts.markup import Markup, element, joined
from coldproof.charts.scale import PLOT, Axis, number, percent

WIDTH = 720  # pixels, where nothing around a chart says otherwise
NARROW = 62  # characters of a line that fit 360 pixels
MARGIN = 8  # pixels
GUTTER = 38  # pixels left of the axis: the word of each lane
TITLE_LINE, LINE, KEY_LINE, PANEL = 17, 15, 17, 40
ROWS_A_PAGE = 16  # a page of them fits a sheet of A4
MOST_PAGES = 50
XMLNS = "http://www.w3.org/2000/svg"


@dataclass(frozen=True)
class Row:
    """A row of a chart: the panel it belongs to, its label, and what it says in words."""

    panel: str
    label: str
    told: str


@dataclass(frozen=True)
class Key:
    """One entry of the legend: a swatch of 12 x 12 pixels, and what it stands for."""

    swatch: Markup
    text: str


@dataclass(frozen=True)
class Chart:
    """A chart: its name (and file name without suffix), height in pixels, and drawing."""

    name: str
    kind: str
    height: int
    title: str
    description: str
    drawing: Markup

    def inline(self) -> Markup:
        """Return the chart as an element of a page that has the charts' style sheet."""
        return self._svg(None)

    def standalone(self) -> bytes:
        """Return the chart as a file of its own, in UTF-8."""
        text = self._svg(element("style", Markup(style())))
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()

    def _svg(self, sheet: Markup | None) -> Markup:
        title, description = f"{self.name}-title", f"{self.name}-description"
        ground = element("rect", class_="ground", width="100%", height="100%")
        return element(
            "svg",
            element("title", self.title, id=title),
            element("desc", self.description, id=description),
            *([sheet] if sheet is not None else []),
            ground,
            element("g", self.drawing, transform=f"translate({MARGIN},0)"),
            xmlns=XMLNS,
            class_="chart",
            width=WIDTH,
            height=self.height,
            role="img",
            aria_labelledby=title,
            aria_describedby=description,
        )


@dataclass(frozen=True)
class Frame:
    """A kind of chart before its rows are drawn.

    `notes` say how to read it; `footnotes` what is not in it; `axis_title` names the unit;
    `row_height` is in pixels.
    """

    kind: str
    title: str
    notes: Sequence[str]
    footnotes: Sequence[str]
    axis: Axis
    axis_title: str
    row_height: int
    definitions: Callable[[str], Markup]
    legend: Callable[[str], Sequence[Key]]
    draw: Callable[[str, int], Markup]

    def pages(self, rows: Sequence[Row]) -> list[Chart]:
        """Return a chart for each sixteen rows, at most fifty; the last one says what is left."""
        starts = range(0, min(len(rows), ROWS_A_PAGE * MOST_PAGES), ROWS_A_PAGE)
        return [self._page(rows, start, number) for number, start in enumerate(starts, 1)]

    def _page(self, rows: Sequence[Row], start: int, page: int) -> Chart:
        shown = rows[start : start + ROWS_A_PAGE]
        of = -(-len(rows) // ROWS_A_PAGE)
        name = f"{self.kind}-{page}" if of > 1 else self.kind
        title = f"{self.title}, {page} of {of}" if of > 1 else self.title
        left = len(rows) - start - len(shown)
        last = page == MOST_PAGES and left
        more = [f"{left} more rows are not drawn: see the table."] if last else []
        y, parts = self._head(name, title)
        panel = rows[start - 1].panel if start else None
        for offset, row in enumerate(shown):
            if offset == 0 or row.panel != shown[offset - 1].panel:
                rows_here = sum(1 for one in shown[offset:] if one.panel == row.panel)
                again = ", continued" if row.panel == panel else ""
                parts.append(self._panel(f"{row.panel}{again}", y, rows_here))
                y += PANEL
            parts.append(line(row.label, 0, y + 11, "label"))
            parts.append(
                element("g", self.draw(name, start + offset), transform=f"translate({GUTTER},{y})")
            )
            y += self.row_height
        parts.append(line(self.axis_title, GUTTER, y + 8, "quiet"))
        y += 8 + LINE
        for text in [*self.footnotes, *more]:
            for part in wrap(text, NARROW):
                parts.append(line(part, 0, y + 4, "quiet"))
                y += LINE
        told = f"{' '.join(self.notes)} {' '.join(row.told for row in shown)}"
        return Chart(name, self.kind, y + 4, title, told, joined(*parts))

    def _head(self, name: str, title: str) -> tuple[int, list[Markup]]:
        parts = [element("defs", self.definitions(name))]
        y = 4
        for text in wrap(title, NARROW - 12):
            parts.append(line(text, 0, y + 12, "title"))
            y += TITLE_LINE
        for note in self.notes:
            for text in wrap(note, NARROW):
                parts.append(line(text, 0, y + 11, "quiet"))
                y += LINE
        y += 6
        keys = self.legend(name)
        for position, key in enumerate(keys):
            x, where = percent(51 * (position % 2)), y + KEY_LINE * (position // 2)
            swatch = element("svg", key.swatch, x=x, y=number(where),
                             width=12, height=12, overflow="visible")  # fmt: skip
            text = element("text", key.text, x=x, dx=16, y=number(where + 10))
            parts += [swatch, text]
        return y + KEY_LINE * (-(-len(keys) // 2)) + 4, parts

    def _panel(self, title: str, y: int, rows: int) -> Markup:
        """Return a panel's title, its ticks and the grid behind its rows."""
        bottom = PANEL + rows * self.row_height - 6
        parts = [line(title, 0, 14, "panel")]
        for tick in self.axis.ticks:
            at = percent(self.axis.percent(tick))
            parts.append(
                element("text", f"{tick:g}", class_="quiet", x=at, dx=GUTTER, y=30,
                        text_anchor="middle")
            )  # fmt: skip
            parts.append(
                element("line", class_="grid", x1=at, x2=at, y1=34, y2=bottom,
                        transform=f"translate({GUTTER},0)")
            )  # fmt: skip
        return element("g", *parts, transform=f"translate(0,{y})")


def line(text: str, x: float, y: float, class_: str) -> Markup:
    """Return one line of text; `x` and `y` of its baseline in pixels."""
    return element("text", text, class_=class_, x=number(x), y=number(y))


def beside(text: str, y: float) -> Markup:
    """Return the number at the end of a lane, right of the axis."""
    return element("text", text, x=percent(PLOT), dx=13, y=number(y))


def lane(word: str, y: float) -> Markup:
    """Return the word of a lane, left of the axis."""
    return element("text", word, class_="quiet", x=-4, y=number(y), text_anchor="end")


def hatch(name: str) -> Markup:
    """Return the pattern `<name>-hatch`, for what is unknown."""
    stripes = element("path", class_="hatch", d="M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2")
    return element("pattern", stripes, id=f"{name}-hatch", width=6, height=6,
                   patternUnits="userSpaceOnUse")  # fmt: skip


def style() -> str:
    """Return the style sheet of charts, the colours of the page included."""
    return files("coldproof.charts").joinpath("charts.css").read_text("utf-8")
