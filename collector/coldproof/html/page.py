"""The page: its head, its landmarks, and the policy that forbids whatever is not its own."""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from itertools import chain, groupby

from coldproof.charts.frame import Chart, style
from coldproof.charts.markup import Markup, element, joined
from coldproof.html.blocks import Block, Heading, Table, blocks
from coldproof.html.body import inline, render
from coldproof.text import plural, words

SECTION = {
    "starts": "Nodes, tiers and variants",
    "phases": "Where the time goes",
    "ceiling": "Where the time goes",
}
LAST = "Charts"
BEFORE = {"starts": 2, "phases": 1, "ceiling": 2}  # parts of the section before the chart
PAGES_INLINE = 10
SHEET = 850  # pixels: a higher chart is printed on a sheet of its own
SKIP = "Skip to the verdict"
FOOTER = (
    "Written by coldproof from what the nodes recorded. This page needs no network and sends "
    "nothing. Beside it: storage_load_bench.md (the same words), storage_load_bench.csv (every "
    "start), charts/ (the same charts) and nodes/ (everything as fetched)."
)


def page(name: str, markdown: bytes, charts: Sequence[Chart]) -> bytes:
    """Return report.html in UTF-8: the report `markdown` of the campaign `name`, with its charts.

    The same input gives the same bytes.
    """
    text = markdown.decode("utf-8")
    headings = [heading for heading, _ in _sections(text)][1:]
    placed = _place(headings, charts)
    headings += [LAST] * (LAST in placed and LAST not in headings)
    # Each row is encoded before the next is made: a large fleet's page must not be held as text,
    # as elements and as bytes at once.
    written = io.BytesIO()
    for number, (heading, content) in enumerate(_sections(text)):
        made = (
            _section(heading, content, f"s{number}", placed.pop(heading, []))
            if number
            else [_opening(name, heading, content, headings)]
        )
        written.writelines(one.encode() for one in made)
    if LAST in placed:
        made = _section(LAST, [], f"s{len(headings)}", placed[LAST])
        written.writelines(one.encode() for one in made)
    written.write(_closing().encode())
    return written.getvalue()


def _sections(markdown: str) -> Iterator[tuple[str, list[Block]]]:
    """Return the headings of level 1 and 2, each with the blocks up to the next one."""
    heading = ""
    content: list[Block] = []
    for block in blocks(markdown):
        if isinstance(block, Heading) and block.level <= 2:
            if heading or content:
                yield heading, content
            heading, content = block.text, []
        else:
            content.append(block)
    yield heading, content


def _opening(name: str, title: str, lead: Sequence[Block], headings: Sequence[str]) -> str:
    """Return the page up to where its first section begins."""
    links = (
        element("li", element("a", inline(heading), href=f"#s{number}"))
        for number, heading in enumerate(headings, 1)
    )
    said = chain.from_iterable(render(one, "", "") for one in lead)
    parts = [
        _head(f"{title}: {words(name, 80)}"),
        "<body>",
        element("a", SKIP, class_="skip", href="#main"),
        element("header", element("h1", inline(title)), Markup("".join(said))),
        element("nav", element("ul", *links), aria_label="Contents"),
        '<main id="main" tabindex="-1">',
    ]
    return f'<!DOCTYPE html>\n<html lang="en">{"".join(parts)}'


def _closing() -> str:
    footer = element("footer", element("p", FOOTER))
    return f"</main>{footer}{element('script', Markup(_script()))}</body></html>\n"


def _head(title: str) -> Markup:
    sheet, script = Markup(_sheet()), _script()
    policy = (
        f"default-src 'none'; style-src {_digest(sheet)}; script-src {_digest(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}"/>'),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", sheet),
    )


def _place(headings: Sequence[str], charts: Sequence[Chart]) -> dict[str, list[Chart]]:
    """Return the charts by the section they stand in; the last one if theirs is not there."""
    placed: dict[str, list[Chart]] = {}
    for chart in charts:
        wanted = SECTION.get(chart.kind, LAST)
        placed.setdefault(wanted if wanted in headings else LAST, []).append(chart)
    return placed


def _section(
    heading: str, content: Sequence[Block], name: str, charts: Sequence[Chart]
) -> Iterator[str]:
    """Yield one section in pieces."""
    label = heading
    used: Counter[str] = Counter()
    parts: list[Iterable[str]] = []
    for number, block in enumerate(content, 1):
        if isinstance(block, Heading):
            label = block.text
        if isinstance(block, Table):
            used[label] += 1
        again = f" ({used[label]})" if used[label] > 1 else ""
        parts.append(render(block, f"{name}-{number}", f"{label}{again}"))
    for kind, drawn in groupby(charts, key=lambda chart: chart.kind):
        parts.insert(BEFORE[kind], [_figures(list(drawn))])
    yield f'<section id="{name}">{element("h2", inline(heading))}'
    yield from chain.from_iterable(parts)
    yield "</section>"


def _figures(charts: Sequence[Chart]) -> Markup:
    """Return a chart: its first page open, the others behind a summary."""
    parts = [_figure(charts[0])]
    rest = charts[1:PAGES_INLINE]
    if rest:
        summary = element("summary", f"{plural(len(rest), 'more page')} of this chart")
        parts.append(element("details", summary, *map(_figure, rest)))
    over = len(charts) - 1 - len(rest)
    if over:
        text = f"And {plural(over, 'more page')}, as files in the folder charts."
        parts.append(element("p", text))
    return joined(*parts)


def _figure(chart: Chart) -> Markup:
    return element("figure", chart.inline(), class_="sheet" if chart.height > SHEET else None)


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _sheet() -> str:
    return style() + files("coldproof.html").joinpath("page.css").read_text("utf-8")


def _script() -> str:
    return files("coldproof.html").joinpath("page.js").read_text("utf-8")
