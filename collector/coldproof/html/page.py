"""The page: its head, its landmarks, and the policy that forbids whatever is not its own."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from itertools import groupby

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
    title, lead, sections = _sections(list(blocks(markdown.decode("utf-8"))))
    placed = _place([heading for heading, _ in sections], charts)
    ids = {heading: f"s{number}" for number, (heading, _) in enumerate(sections, 1)}
    ids[LAST] = ids.get(LAST, "charts")
    body = [_section(heading, content, ids[heading], placed.get(heading, []))
            for heading, content in sections]  # fmt: skip
    if LAST in placed and LAST not in dict(sections):
        body.append(_section(LAST, [], ids[LAST], placed[LAST]))
    contents = [heading for heading, _ in sections] + [LAST] * (len(body) > len(sections))
    html = element(
        "html",
        _head(f"{title}: {words(name, 80)}"),
        element(
            "body",
            element("a", SKIP, class_="skip", href="#main"),
            element("header", element("h1", inline(title)), *(render(one, "", "") for one in lead)),
            element("nav", element("ul", *(
                element("li", element("a", inline(heading), href=f"#{ids[heading]}"))
                for heading in contents
            )), aria_label="Contents"),
            element("main", *body, id="main", tabindex=-1),
            element("footer", element("p", FOOTER)),
            element("script", Markup(_script())),
        ),
        lang="en",
    )  # fmt: skip
    return f"<!DOCTYPE html>\n{html}\n".encode()


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


def _sections(
    found: Sequence[Block],
) -> tuple[str, list[Block], list[tuple[str, list[Block]]]]:
    """Return the title, what stands before the first section, and the sections."""
    title = ""
    lead: list[Block] = []
    sections: list[tuple[str, list[Block]]] = []
    for block in found:
        if isinstance(block, Heading) and block.level == 1:
            title = block.text
        elif isinstance(block, Heading) and block.level == 2:
            sections.append((block.text, []))
        elif sections:
            sections[-1][1].append(block)
        else:
            lead.append(block)
    return title, lead, sections


def _place(headings: Sequence[str], charts: Sequence[Chart]) -> dict[str, list[Chart]]:
    """Return the charts by the section they stand in; the last one if theirs is not there."""
    placed: dict[str, list[Chart]] = {}
    for chart in charts:
        wanted = SECTION.get(chart.kind, LAST)
        placed.setdefault(wanted if wanted in headings else LAST, []).append(chart)
    return placed


def _section(heading: str, content: Sequence[Block], name: str, charts: Sequence[Chart]) -> Markup:
    label = heading
    used: Counter[str] = Counter()
    parts: list[Markup] = []
    for number, block in enumerate(content, 1):
        if isinstance(block, Heading):
            label = block.text
        if isinstance(block, Table):
            used[label] += 1
        again = f" ({used[label]})" if used[label] > 1 else ""
        parts.append(render(block, f"{name}-{number}", f"{label}{again}"))
    for kind, drawn in groupby(charts, key=lambda chart: chart.kind):
        parts.insert(BEFORE[kind], _figures(list(drawn)))
    return element("section", element("h2", inline(heading)), *parts, id=name)


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
