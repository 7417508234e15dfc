"""Join what was fetched before with what was fetched now, so that nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass

LINE_LIMIT = 1_000_000


@dataclass(frozen=True)
class Joined:
    """The content to keep under the name, and what had to be done for it.

    `kept` counts lines of the earlier fetch that the later one lacks. If `beside` is true the
    later one must be stored beside, because it is not contained in `content`'s history.
    """

    content: bytes
    kept: int
    beside: bool
    reason: str | None = None


def join_growing(old: bytes, new: bytes) -> Joined:
    """Join two fetches of a file that only grows: the longer one, if it extends the other."""
    if new.startswith(old):
        return Joined(new, 0, False)
    return Joined(old, 0, True, "is not a continuation of what was fetched before")


def join_lines(old: bytes, new: bytes, *, header: bool) -> Joined:
    """Join two fetches of a file of records, one a line.

    The new one replaces the old one only if it contains all its lines; else the result is the
    old lines followed by the new ones. With `header` the first lines must be equal.
    """
    if new.startswith(old):
        return Joined(new, 0, False)
    if max(old.count(b"\n"), new.count(b"\n")) > LINE_LIMIT:
        return Joined(old, 0, True, f"has over {LINE_LIMIT} lines and does not continue the old")
    before, after = old.split(b"\n"), new.split(b"\n")
    if header and before[0].strip() != after[0].strip():
        return Joined(old, 0, True, "has another header than what was fetched before")
    torn = before.pop()
    present = set(after)
    missing = sum(1 for line in before if line not in present)
    if torn and not any(line.startswith(torn) for line in after):
        before.append(torn)
        missing += 1
    if not missing:
        return Joined(new, 0, False)
    known = set(before)
    lines = before + [line for line in after[:-1] if line not in known]
    tail = after[-1] if after[-1] not in known else b""
    content = b"".join(line + b"\n" for line in lines) + tail
    return Joined(content, missing, True, f"lacks {missing} lines that were fetched before")
