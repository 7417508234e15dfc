"""Blocks of the report as HTML. Every text is unescaped once and escaped anew, whoever wrote it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from coldproof.charts.markup import Markup, element, joined
from coldproof.html.blocks import Block, Bullets, Code, Heading, Table

INLINE = re.compile(r"\*\*(.+?)\*\*|`([^`]+)`")
VALUE_AND_RANGE = re.compile(r"(unproven: )?(-?[\d.]+(?: ?[%sx])?) (\(.*|n=\d+)")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
LEAD = re.compile(r"([^:*`]{1,80}): ")
MOST_ITEMS, ITEMS_SHOWN = 16, 12
BRIEF = 16  # characters of a row's name that is never broken
TALL = 25  # rows beyond which a table scrolls within itself, its head in sight
MARKED = "UNPROVEN"


def inline(text: str) -> Markup:
    """Return a text with its `code` and **bold** as elements and all else as characters."""
    parts: list[Markup] = []
    at = 0
    for found in INLINE.finditer(text):
        parts.append(_plain(text[at : found.start()]))
        strong, code = found.groups()
        parts.append(element("strong", inline(strong)) if strong else element("code", _plain(code)))
        at = found.end()
    return joined(*parts, _plain(text[at:]))


def render(block: Block, name: str, label: str) -> Iterator[str]:
    """Yield one block in pieces; `name` is an id for it, `label` the heading it stands under."""
    if isinstance(block, Table):
        yield from _table(block, name, label)
    elif isinstance(block, Heading):
        yield element(f"h{block.level}", inline(block.text), id=name)
    elif isinstance(block, Bullets):
        yield _bullets(block.items)
    elif isinstance(block, Code):
        yield element("pre", element("code", block.text), tabindex=0)
    else:
        yield element("p", inline(block.text))


def _plain(text: str) -> Markup:
    return joined(html.unescape(text))


def _bullets(items: Sequence[str]) -> Markup:
    """Return a list; of a long one what the report stresses and the first ones, the rest folded."""
    ranked = sorted(items, key=lambda item: "**" not in item)
    if len(items) <= MOST_ITEMS:
        return element("ul", *map(_item, items))
    more = element("ul", *map(_item, ranked[ITEMS_SHOWN:]))
    return joined(
        element("ul", *map(_item, ranked[:ITEMS_SHOWN])),
        element("details", element("summary", f"{len(items) - ITEMS_SHOWN} more"), more),
    )


def _item(text: str) -> Markup:
    lead = LEAD.match(text)
    if lead is None:
        return element("li", inline(text))
    return element("li", element("strong", inline(lead[1])), ": ", inline(text[lead.end() :]))


def _table(table: Table, name: str, label: str) -> Iterator[str]:
    """Yield a table row by row: a fleet's may be larger than all else in the page."""
    head = element(
        "tr",
        *(
            element("th", inline(text), scope="col", class_="number" if at in table.right else None)
            for at, text in enumerate(table.head)
        ),
    )
    rows = Markup("{rows}")
    grid = element(
        "table",
        element("caption", label, class_="unseen"),
        element("thead", head),
        element("tbody", rows),
    )
    tall = " tall" if len(table.lines) > TALL else ""
    around = element(
        "div", grid, class_=f"scroll{tall}", id=name, role="region", tabindex=0, aria_label=label
    )
    before, _mark, after = around.rpartition(rows)
    yield before
    yield from (_row(table, row) for row in table.rows)
    yield after


def _row(table: Table, row: Sequence[str]) -> Markup:
    cells = [
        element("th", inline(text), scope="row", class_="brief" if len(text) <= BRIEF else None)
        if at == 0
        else _number(text)
        if at in table.right
        else element("td", inline(text))
        for at, text in enumerate(row)
    ]
    unproven = row[-1].startswith(MARKED)
    return element("tr", *cells, class_="unproven" if unproven else None)


def _number(text: str) -> Markup:
    """Return a cell whose range stands below its value, and by which its column is sorted."""
    first = NUMBER.search(text)
    split = VALUE_AND_RANGE.fullmatch(text)
    shown = inline(text)
    if split:
        mark, value, span = split.groups(default="")
        shown = joined(inline(mark + value), " ", element("small", inline(span)))
    return element("td", shown, class_="number", data_sort=first[0] if first else None)
