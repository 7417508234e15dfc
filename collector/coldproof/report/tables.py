"""Markdown tables of cells that are text already."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tabulate import tabulate


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Return a pipe table; the columns in `right` are aligned to the right.

    The cells must have been made safe (coldproof.text.cell); none is taken for a number.
    """
    align = ["right" if column in right else "left" for column in range(len(head))]
    return tabulate(rows, headers=head, tablefmt="pipe", colalign=align, disable_numparse=True)
