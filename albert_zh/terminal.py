"""Text for a terminal, where a Chinese character is two columns wide."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence


def columns(text: str) -> int:
    """Columns of a terminal that ``text`` takes.

    >>> columns("短 a")
    4
    """
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[str] = ()) -> list[str]:
    """The lines of a table; ``left``: columns flush left, the others flush right.

    >>> print("\\n".join(aligned(("task", "dev"), [("lcqmc", "72%"), ("短", "4%")], left=("task",))))
    task   dev
    lcqmc  72%
    短      4%
    """
    widths = [max(map(columns, cells)) for cells in zip(head, *rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        cells = []
        for name, cell, width in zip(head, row, widths, strict=True):
            space = " " * (width - columns(cell))
            cells.append(cell + space if name in left else space + cell)
        return "  ".join(cells).rstrip()

    return [line(row) for row in (head, *rows)]
