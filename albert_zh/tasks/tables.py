"""Tables of rows and answers: tab-separated, one header, what would break a cell made into spaces."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from albert_zh.files import InputError, atomic_writer, read_tsv


def write_table(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Writes a table; None is an empty cell, and white space in a cell, a line break among it, one space. Atomic."""
    path = Path(path)
    with atomic_writer(path) as stream:
        stream.write("\t".join(header) + "\n")
        for row in rows:
            stream.write("\t".join(" ".join(str("" if cell is None else cell).split()) for cell in row) + "\n")
    return path


def read_table(path: str | os.PathLike[str], columns: Sequence[str], owner: str) -> Iterator[tuple[str, list[str]]]:
    """Yields (``file:line``, the cells of these columns) of every row of a table that ``write_table`` wrote.

    Args:
        columns: their names in the header; others are passed over.
        owner: whose predictions these are, for errors.

    Raises:
        InputError: a column is missing, or a row is short; names file and line.
    """
    lines = read_tsv(path)
    header = next(lines, (1, []))[1]
    if missing := [name for name in columns if name not in header]:
        raise InputError(f"{path}:1: no column {missing[0]!r}: no predictions of {owner}. Predict again.")
    places = [header.index(name) for name in columns]
    for number, cells in lines:
        if len(cells) <= max(places):
            raise InputError(f"{path}:{number}: {len(cells)} cells of {len(header)}. Predict again.")
        yield f"{path}:{number}", [cells[place] for place in places]


def json_cell(value: Any) -> str:
    """JSON for a cell: without white space, of which a table would lose some.

    >>> json_cell(["a b", 1])
    '["a\\\\u0020b",1]'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub(r"\s", lambda found: f"\\u{ord(found.group()):04x}", text)
