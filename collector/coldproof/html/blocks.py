"""The report's Markdown as blocks. Only what coldproof.report writes is understood, no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

BULLET = re.compile(r"- (.*)")
FENCE = re.compile(r"(`{3,})$")
RULE = re.compile(r"\|[-:|]+\|")
RIGHT = re.compile(r"-+:$")


@dataclass(frozen=True)
class Heading:
    """A heading of level 1 to 3."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Lines that stand together."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list without order."""

    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Text as it is."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table: its head, the lines of its rows, and the columns that hold numbers."""

    head: Sequence[str]
    lines: Sequence[str]
    right: frozenset[int]

    @property
    def rows(self) -> Iterator[list[str]]:
        """The cells of each row, made when they are asked for: a fleet has a million."""
        return map(_cells, self.lines)


Block = Heading | Paragraph | Bullets | Code | Table


def blocks(markdown: str) -> Iterator[Block]:
    """Return the blocks of a report in their order; inline markup is left in their texts."""
    lines = markdown.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        end = at + 1
        if fence := FENCE.match(line):
            while end < len(lines) and lines[end] != fence[1]:
                end += 1
            yield Code("\n".join(lines[at + 1 : end]))
            end += 1
        elif line.startswith("#"):
            marks, _, text = line.partition(" ")
            yield Heading(min(len(marks), 3), text)
        elif line.startswith("|") and RULE.fullmatch("".join(lines[at + 1 : at + 2])):
            end = _while(lines, at, lambda one: one.startswith("|"))
            yield _table(lines[at:end])
        elif BULLET.match(line):
            end = _while(lines, at, lambda one: BULLET.match(one) is not None)
            yield Bullets([one[2:] for one in lines[at:end]])
        elif line.strip():
            end = _while(lines, end, _plain)
            yield Paragraph(" ".join(lines[at:end]))
        at = end


def _while(lines: Sequence[str], start: int, belongs: Callable[[str], bool]) -> int:
    end = start
    while end < len(lines) and belongs(lines[end]):
        end += 1
    return end


def _plain(line: str) -> bool:
    begins = line.startswith(("#", "|")) or FENCE.match(line) or BULLET.match(line)
    return bool(line.strip()) and not begins


def _table(lines: Sequence[str]) -> Table:
    right = frozenset(at for at, mark in enumerate(_cells(lines[1])) if RIGHT.search(mark))
    return Table(_cells(lines[0]), lines[2:], right)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
