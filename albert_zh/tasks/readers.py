"""How the files of a data set are laid out. What differs from one data set to the next is a field of its reader.

A reader yields, for every row of a file, its line number and its cells under this project's names: ``text_a``,
``text_b``, ``label``, ``id``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from albert_zh.files import InputError, read_lines, read_tsv

#: What the columns of published and home-made tables are called, in lower case.
COLUMN_NAMES: dict[str, frozenset[str]] = {
    "label": frozenset("label labels gold gold_label noisy_label 标签".split()),
    "text_a": frozenset(
        "text_a texta text sentence sentence1 sentence_1 sent1 s1 text1 query query1 q1 question1 premise "
        "句子 句子1 文本 文本1".split()
    ),
    "text_b": frozenset(
        "text_b textb sentence2 sentence_2 sent2 s2 text2 query2 q2 question2 title hypothesis hypo 句子2 文本2".split()
    ),
    "id": frozenset("id qid index idx guid 编号".split()),
}

#: Lines a JSON row may go on over; a row longer than that lacks its closing quote.
_MAX_ROW_LINES = 200

#: What a reader yields: line number, and the cells by name.
Cells = Iterator[tuple[int, dict[str, Any]]]


class Reader(Protocol):
    """What a task asks of its reader."""

    def cells(self, path: Path, labels: Sequence[str]) -> Cells:
        """The cells of every row; ``labels`` tell a header from a row. Raises InputError (file:line)."""

    def called(self, name: str) -> str:
        """What the file calls a cell, for errors: ``column '标题'``, or "" where it has no name of its own."""


# ---------------------------------------------------------------------------------------------------------------------
# Published layouts


@dataclass(frozen=True)
class TabSeparated:
    """Rows of tab-separated columns, with or without a header row.

    The first row is a header when one of its cells names the label column and none is a label, or when all of its
    cells are names of columns (a test file without labels); any other first row is data. Columns are then taken by
    name, and without a header in the order of ``columns``; a file that has one column fewer has no labels.

    Attributes:
        columns: the order without a header.
        only: column of the header -> the value of the rows that count, such as ``{"language": "zh"}`` in a file of
            many languages; a file without that column is taken whole.
        label_aliases: other words that stand for a label.
    """

    columns: tuple[str, ...]
    only: Mapping[str, str] = field(default_factory=dict)
    label_aliases: Mapping[str, str] = field(default_factory=dict)

    def called(self, name: str) -> str:
        return ""

    def cells(self, path: Path, labels: Sequence[str]) -> Cells:
        """Yields the cells of every data row. Raises InputError (file:line) when a row's columns are not as many."""
        layout: list[str | None] = []
        wanted: dict[int, str] = {}  # place of a column -> its value in the rows that count
        for number, row in read_tsv(path):
            if not layout:
                named = self._header(row, labels)
                layout = named or self._without_header(row, path, number)
                if named:
                    if missing := [name for name in self.columns if name not in named and name != "label"]:
                        raise InputError(
                            f"{path}:{number}: the header {', '.join(row)} has no column for {', '.join(missing)}. "
                            f"Name the columns {', '.join(self.columns)}."
                        )
                    there = [cell.strip().lower() for cell in row]
                    wanted = {there.index(name): value for name, value in self.only.items() if name in there}
                    continue
            while len(row) > len(layout) and not row[-1].strip():
                row = row[:-1]  # a tab at the end of a line is no column
            if len(row) != len(layout):
                raise InputError(
                    f"{path}:{number}: {len(row)} tab-separated columns where {len(layout)} are needed "
                    f"({', '.join(name or 'other' for name in layout)}). Fix the row."
                )
            if any(row[place].strip() != value for place, value in wanted.items()):
                continue
            cells = {name: cell for name, cell in zip(layout, row, strict=True) if name}
            if (label := cells.get("label", "").strip()) in self.label_aliases:
                cells["label"] = self.label_aliases[label]
            yield number, cells

    def _header(self, row: list[str], labels: Sequence[str]) -> list[str | None] | None:
        """The column names of a header row; None when the row is data."""
        cells = [cell.strip() for cell in row]
        names = [next((name for name, known in COLUMN_NAMES.items() if cell.lower() in known), None) for cell in cells]
        if any(cell in labels for cell in cells) or not ("label" in names or all(names)):
            return None
        # A header such as `seq_x seq_y label`: the unnamed columns are the missing ones, in their order, when they
        # are as many.
        missing = [name for name in self.columns if name not in names and name != "label"]
        if names.count(None) == len(missing):
            names = [name or missing.pop(0) for name in names]
        return names

    def _without_header(self, row: list[str], path: Path, number: int) -> list[str | None]:
        unlabelled = [name for name in self.columns if name != "label"]
        if len(row) == len(unlabelled):
            return unlabelled
        if len(row) < len(unlabelled):
            raise InputError(
                f"{path}:{number}: {len(row)} tab-separated columns where {len(self.columns)} are needed "
                f"({', '.join(self.columns)}). Fix the row."
            )
        return list(self.columns)


@dataclass(frozen=True)
class JsonLines:
    """Rows of one JSON object each, under the names the data set uses.

    Attributes:
        text_a, text_b, label, id: keys; ``text_b`` is None for single sentences. A text that is a list of strings
            is joined by spaces.
    """

    text_a: str
    text_b: str | None = None
    label: str = "label"
    id: str = "id"

    def called(self, name: str) -> str:
        return ""

    def cells(self, path: Path, labels: Sequence[str]) -> Cells:
        """Yields the cells of every row. Raises InputError (file:line) when a row is no JSON object or lacks a key."""
        keys = {"text_a": self.text_a, "text_b": self.text_b, "label": self.label, "id": self.id}
        for number, row in json_objects(path):
            require(row, (self.text_a, self.text_b), path, number)
            yield number, {name: row[key] for name, key in keys.items() if key is not None and key in row}


def require(row: Mapping[str, Any], keys: Sequence[str | None], path: Path, number: int) -> None:
    """Raises InputError (file:line) for the first of ``keys``, None left out, that a JSON row lacks."""
    for key in keys:
        if key is not None and key not in row:
            raise InputError(
                f"{path}:{number}: no {key!r} in the row, which has {', '.join(map(repr, row)) or 'no keys'}. "
                "Fix the row or choose the task this file belongs to."
            )


def json_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of its first line, object) of every row; a string may go on over the next lines, as some of
    IFLYTEK's do, as long as none of them looks like the start of a row."""
    first, lines = 0, []
    fault = ""
    for number, line in read_lines(path):
        if not lines and not line.strip():
            continue
        if lines and (line.lstrip().startswith("{") or len(lines) == _MAX_ROW_LINES):
            break
        first, lines = first if lines else number, [*lines, line]
        try:
            row = json.loads("\n".join(lines), strict=False)
        except json.JSONDecodeError as error:
            fault = f"not JSON ({error.msg} at character {error.pos + 1})"
            if not error.msg.startswith("Unterminated string"):
                break
            continue
        if not isinstance(row, dict):
            fault = f"a JSON {type(row).__name__}, not an object"
            break
        yield first, row
        first, lines = 0, []
    if lines:
        raise InputError(f"{path}:{first}: {fault}. Each row must be one JSON object.")


# ---------------------------------------------------------------------------------------------------------------------
# A user's own files: columns by name, the format by the suffix


@dataclass(frozen=True)
class NamedColumns:
    """Rows of a ``.tsv``, ``.csv`` or JSON-lines file, whose columns are taken by name.

    Attributes:
        text_a, text_b, label: names of columns (keys, in JSON lines), upper and lower case as in the file; ``text_b``
            is None for single texts. A file without the label column has no labels.
        numbered: the table has no header row and the names are numbers of columns, from 1.
    """

    text_a: str
    text_b: str | None = None
    label: str = "label"
    numbered: bool = False

    @property
    def names(self) -> dict[str, str]:
        """This project's name -> the file's."""
        names = {"text_a": self.text_a, "text_b": self.text_b, "label": self.label}
        return {name: column for name, column in names.items() if column is not None}

    def called(self, name: str) -> str:
        return f"column {self.names[name]!r}"

    def cells(self, path: Path, labels: Sequence[str] = ()) -> Cells:
        """Yields the cells of every row; the id is that of a column called so.

        Raises:
            InputError: the suffix is of no known format, a text column is not there or twice, a row is no row of its
                format or has other columns than the header; names file, line and column.
        """
        texts = (self.text_a, self.text_b)
        if _is_json(path):
            for number, row in json_objects(path):
                require(row, texts, path, number)
                yield number, self._named(row)
            return
        header: list[str] = []
        for number, row in _table(path):
            if not header:
                header = [str(place) for place in range(1, len(row) + 1)] if self.numbered else _stripped(row)
                self._check_header(header, row, path, number)
                if not self.numbered:
                    continue
            while len(row) > len(header) and not row[-1].strip():
                row = row[:-1]
            if len(row) != len(header):
                raise InputError(
                    f"{path}:{number}: {len(row)} columns where {len(header)} are needed ({', '.join(header)}). "
                    f"Fix the row{'; a text with a comma in it needs quotes around' * (path.suffix == '.csv')}."
                )
            yield number, self._named(dict(zip(header, row, strict=True)))

    def _named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        cells = {name: row[column] for name, column in self.names.items() if column in row}
        own = next((key for key in row if key.lower() in COLUMN_NAMES["id"] and key not in self.names.values()), None)
        return cells if own is None else cells | {"id": row[own]}

    def _check_header(self, header: list[str], row: list[str], path: Path, number: int) -> None:
        for column in (self.text_a, self.text_b):
            if column is not None and column not in header:
                raise no_column(column, header, f"{path}:{number}")
        for column in self.names.values():
            if header.count(column) > 1:
                raise InputError(f"{path}:{number}: two columns are called {column!r}. Rename one.")
        place = int(self.label) - 1 if self.numbered else -1
        if 0 <= place < len(row) and row[place].strip().lower() in COLUMN_NAMES["label"]:
            raise InputError(
                f"{path}:{number}: column {self.label} holds {row[place].strip()!r}, so this looks like a header row. "
                "Give the columns by their names, or remove the row."
            )


def column_names(path: Path) -> tuple[int, list[str]]:
    """(line, names) of the first row of a table, be it a header or not, or the keys of the first JSON object.

    Raises:
        InputError: the file is empty, or its suffix is of no known format.
    """
    rows = json_objects(path) if _is_json(path) else _table(path)
    for number, row in rows:
        return number, list(row) if isinstance(row, dict) else _stripped(row)
    raise InputError(f"{path}: the file holds no rows. Give a file with a header and one row a line.")


def no_column(column: str, header: Sequence[str], where: str) -> InputError:
    """The error for a column that is not there."""
    return InputError(
        f"{where}: no column {column!r}; the file has {', '.join(map(repr, header))}. Give the name of one of them."
    )


def _is_json(path: Path) -> bool:
    return path.suffix.lower() in (".json", ".jsonl")


def _table(path: Path) -> Iterator[tuple[int, list[str]]]:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return read_csv(path)
    if suffix in (".tsv", ".txt"):
        return read_tsv(path)
    raise InputError(
        f"{path}: files ending in {suffix!r} cannot be read. Save the rows as .csv (UTF-8), .tsv or .jsonl."
        if suffix
        else f"{path}: has no suffix to tell its format. Name it .csv, .tsv or .jsonl."
    )


def read_csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number, cells) of a comma-separated file as RFC 4180 has it: a cell in double quotes may hold
    commas, line breaks and doubled quotes. The number is that of the row's first line; blank lines are passed over.

    Raises:
        InputError: quotes that do not pair up; names file and line.
    """
    reader = csv.reader((line + "\n" for _, line in read_lines(path)), strict=True)
    while True:
        first = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{path}:{first}: not a CSV row ({error}). A cell with a comma, a quote or a line break in it is in "
                'double quotes, and a quote in it is doubled: "他说""好"""'
            ) from error
        if row:
            yield first, row


def _stripped(row: Sequence[str]) -> list[str]:
    return [cell.strip() for cell in row]
