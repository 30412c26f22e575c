"""What a terminal shows: tables in which a Chinese character is two columns wide, and no notes of libraries."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import unicodedata
from collections.abc import Collection, Iterator, Sequence


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


@contextlib.contextmanager
def standard_error_held() -> Iterator[None]:
    """Holds back what is written to standard error, to be shown only if the block raises.

    TensorFlow writes notes about oneDNN and absl while it is imported, before any log level holds.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        shown = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(shown, held.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)
