"""Text that is safe to print: untrusted words for markdown, terminals and spreadsheets.

Words that come from a node, a user or a file pass through `cell`, `words` or `guard` before
they are printed; numbers and the report's own words need not.
"""

from __future__ import annotations

import re
import unicodedata

LIMIT = 300
FORMULA = ("=", "+", "-", "@", "\t", "\r")
ENTITIES = str.maketrans(
    {character: f"&#{ord(character)};" for character in "|`*[]\\~"}
    | {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
)
EMPHASIS = re.compile(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")
SECRET_NAME = re.compile(r"(?i)token(?!iz)|secret|password|passwd|api[_-]?key|credential")
SECRET_PAIR = re.compile(
    rf"(?i)([\w-]*(?:{SECRET_NAME.pattern.removeprefix('(?i)')})[\w-]*)(\s*[=:]\s*|\s+)(\S+)"
)
COUNTED = re.compile(r"(?i)tokens")  # --max-num-batched-tokens 8k is no secret
COUNT = re.compile(r"(?i)[0-9]+([.][0-9]+)?[kmg]?")
HIDDEN = "[redacted]"


def words(text: str, limit: int = LIMIT) -> str:
    """Return `text` as one printable line of at most `limit` characters."""
    visible = text[: 4 * limit]
    if not visible.isprintable():  # which is: no character of "C" or "Z" but the space
        visible = "".join(
            " " if unicodedata.category(character)[0] in "CZ" else character
            for character in visible
        )
    line = " ".join(visible.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def guard(text: str) -> str:
    """Return `text` so that a spreadsheet takes it for text and not for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def cell(text: str | None, limit: int = LIMIT) -> str:
    """Return untrusted `text` for a markdown table or sentence; `-` if there is none.

    No character of it can end the cell or the line, begin a formula, or be markup or HTML.
    """
    line = words(text or "", limit)
    if not line:
        return "-"
    return EMPHASIS.sub("&#95;", guard(line).translate(ENTITIES))


def redact(text: str) -> str:
    """Return a command line with the values after words like token or api-key hidden."""
    return SECRET_PAIR.sub(
        lambda found: (
            found[0]
            if COUNTED.search(found[1]) and COUNT.fullmatch(found[3])
            else f"{found[1]}{found[2]}{HIDDEN}"
        ),
        text,
    )


def fence(text: str) -> list[str]:
    """Return the lines of a code block that shows `text` and that it cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    mark = "`" * max(3, longest + 1)
    return [mark, text, mark]


def plural(count: int, noun: str) -> str:
    """Return e.g. `1 run`, `2 runs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listing(items: list[str], limit: int = 5) -> str:
    """Return `a, b and 3 more`."""
    if len(items) <= limit:
        return ", ".join(items)
    return f"{', '.join(items[:limit])} and {len(items) - limit} more"
