"""Elements of XML and HTML, escaped by construction: only `Markup` is ever taken for markup."""

from __future__ import annotations

import html
import re

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Markup(str):
    """Text that is markup already; any other text is escaped where it is put in."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """Return `text` as character data; characters that XML forbids become U+FFFD."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(NOT_XML.sub("\ufffd", text)))


def joined(*parts: str) -> Markup:
    """Return the parts one after the other, each escaped unless it is markup."""
    return Markup("".join(map(escaped, parts)))


def element(name: str, /, *children: str, **attributes: object) -> Markup:
    """Return one element. Attributes of value None are left out.

    In their names `_` stands for `-`, and a last `_` (as in `class_`) for nothing.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not children:
        return Markup(f"<{name}{told}/>")
    return Markup(f"<{name}{told}>{joined(*children)}</{name}>")
