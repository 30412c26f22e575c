"""A user's own files as a task, without code: columns found by name, labels found in the training rows.

task = custom_task({"train": "train.csv", "dev": "dev.csv"})            # the columns are guessed, the labels read
about = describe(task)                                                  # what task.json keeps of it
task = custom_from(about, {"test": "test.csv"})                         # the same task, the training file gone
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_zh.files import InputError
from albert_zh.tasks.classification import ClassificationTask, label_text
from albert_zh.tasks.entity_reader import read_entities
from albert_zh.tasks.readers import COLUMN_NAMES, NamedColumns, column_names, no_column
from albert_zh.tasks.regression import RegressionTask
from albert_zh.tasks.sentences import SentenceTask
from albert_zh.tasks.tagging import TaggingTask
from albert_zh.tasks.task import CUSTOM, Recipe

#: What people call the columns of their own tables, beside ``COLUMN_NAMES``, in lower case.
_MORE_NAMES = {
    "text_a": frozenset("content review comment 内容 评论 正文".split()),
    "text_b": frozenset(),
    "label": frozenset("class category 类别 分类".split()),
}
_NUMBER_NAMES = frozenset("score similarity rating value 分数 得分 评分 相似度".split())

#: No published recipe fits files that nobody has seen; these suited LCQMC and ChnSentiCorp.
RECIPE = Recipe(128, 32, 5e-5, 5, learning_rates=(2e-5, 5e-5, 1e-4))
#: The same of texts with entities: that of CLUENER.
TAGGING_RECIPE = Recipe(128, 16, 1e-4, 5, learning_rates=(5e-5, 1e-4, 2e-4))

#: More labels than this, with fewer than two rows each on average, are no labels but texts or numbers.
_MANY_LABELS = 20


def custom_task(
    files: Mapping[str, str],
    data_dir: str | os.PathLike[str] = "",
    *,
    text_column: str = "",
    text_pair_column: str = "",
    label_column: str = "",
    regression: bool = False,
) -> SentenceTask:
    """The task of a user's own files; the labels, sorted, are those of the training file.

    Args:
        files: split ("train", which must be there, "dev", "test") to file name: ``.csv``, ``.tsv`` or ``.txt`` with a
            header row, or JSON lines (``.json``, ``.jsonl``).
        data_dir: folder that relative names are in; left out, the working folder.
        text_column, text_pair_column, label_column: names of columns; those left out are guessed from the first row
            of the training file. Where the text column is given, there is no pair unless its column is given too.
            Numbers, from 1, stand for the columns of a table without header row.
        regression: the label column holds numbers.

    Raises:
        InputError: a file is not there or empty, a column is not there or cannot be guessed, or the training rows hold
            fewer than two labels, or nearly as many labels as rows.
    """
    _check_there(files, data_dir)
    train = Path(data_dir, files["train"])
    reader = guess_columns(train, text_column, text_pair_column, label_column, regression)
    labels = () if regression else _labels_of(train, reader)
    return _make(files, reader, labels, regression)


def custom_tagging(files: Mapping[str, str], data_dir: str | os.PathLike[str] = "") -> TaggingTask:
    """The task of a user's own texts with entities; the types, sorted, are those of the training file.

    Args:
        files: split ("train", which must be there, "dev", "test") to file name: JSON lines (``.json``, ``.jsonl``) or
            columns of a word and its tag (any other name); see ``entity_reader``.
        data_dir: folder that relative names are in; left out, the working folder.

    Raises:
        InputError: a file is not there or empty, a training row is malformed, or none holds an entity.
    """
    _check_there(files, data_dir)
    train = Path(data_dir, files["train"])
    rows = read_entities(train, None, may_lack_gold=False)
    types = sorted({entity.type for row in rows for entity in row.entities})
    if not types:
        raise InputError(f"{train}: no entity in {len(rows):,} rows: nothing to learn. Give rows with entities.")
    return _make_tagging(files, types)


def _make_tagging(files: Mapping[str, str], types: Sequence[str]) -> TaggingTask:
    return TaggingTask(**_shared(files), types=tuple(types), recipe=TAGGING_RECIPE)


def describe(task: SentenceTask | TaggingTask) -> dict[str, Any]:
    """What ``custom_from`` makes the task of again, for JSON; the training file is not needed then."""
    files = {split: names[0] for split, names in task.files.items()}
    if isinstance(task, TaggingTask):
        return {"tagging": True, "types": list(task.types), "columns": {}, "files": files}
    return {
        "regression": isinstance(task, RegressionTask),
        "labels": list(task.labels),
        "columns": dataclasses.asdict(task.reader),
        "files": files,
    }


def custom_from(
    about: Mapping[str, Any], files: Mapping[str, str] | None = None, data_dir: str | os.PathLike[str] = "", **columns
) -> SentenceTask | TaggingTask:
    """The task that ``describe`` described.

    Args:
        files: other files than those it was trained with; None keeps them.
        columns: ``text_column``, ``text_pair_column``, ``label_column`` of those files, where they differ.

    Raises:
        InputError: one of ``files`` is not there, or ``about`` is no description; columns of files that have none.
    """
    if about.get("tagging"):
        return _tagging_from(about, files, data_dir, columns)
    try:
        reader = NamedColumns(**about["columns"])
        own, labels, regression = about["files"], tuple(about["labels"]), about["regression"]
    except (KeyError, TypeError) as error:
        raise _not_whole(error) from error
    names = {"text_column": "text_a", "text_pair_column": "text_b", "label_column": "label"}
    reader = dataclasses.replace(reader, **{names[flag]: column for flag, column in columns.items() if column})
    if files is not None:
        _check_there(files, data_dir)
    return _make(own if files is None else files, reader, labels, regression)


def _tagging_from(
    about: Mapping[str, Any], files: Mapping[str, str] | None, data_dir: str | os.PathLike[str], columns: Mapping
) -> TaggingTask:
    for flag in (flag for flag, column in columns.items() if column):
        raise InputError(f"--{flag}: the model finds entities in texts, whose files have no such column. Leave it out.")
    try:
        own, types = about["files"], tuple(about["types"])
    except (KeyError, TypeError) as error:
        raise _not_whole(error) from error
    if files is not None:
        _check_there(files, data_dir)
    return _make_tagging(own if files is None else files, types)


def _not_whole(error: Exception) -> InputError:
    return InputError(
        f"what task.json says of the own data is not whole ({error}). Copy the folder whole, or train again."
    )


def _make(files: Mapping[str, str], reader: NamedColumns, labels: tuple[str, ...], regression: bool) -> SentenceTask:
    kind = "single" if reader.text_b is None else "pair"
    shared = {**_shared(files), "kind": kind, "reader": reader, "recipe": RECIPE}
    return RegressionTask(**shared) if regression else ClassificationTask(**shared, labels=labels)


def _shared(files: Mapping[str, str]) -> dict[str, Any]:
    """What own data of all kinds have."""
    return {
        "name": CUSTOM,
        "about": f"own data: {', '.join(Path(name).name for name in files.values())}",
        "files": {split: (name,) for split, name in files.items()},
    }


def _check_there(files: Mapping[str, str], data_dir: str | os.PathLike[str]) -> None:
    for split, name in files.items():
        path = Path(data_dir, name)
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "no such file"
            raise InputError(f"--{split}_file={path}: {what} (working folder {os.getcwd()}). Check the path.")


# Columns


def guess_columns(
    path: Path, text_column: str = "", text_pair_column: str = "", label_column: str = "", regression: bool = False
) -> NamedColumns:
    """The columns given, and those left out as the first row of the file suggests; see ``custom_task``.

    Raises:
        InputError: a column given is not there; none, or more than one, could be the one left out; names file and line.
    """
    number, header = column_names(path)
    where = f"{path}:{number}"
    given = {"text_a": text_column, "text_b": text_pair_column, "label": label_column}
    flags = {"text_a": "--text_column", "text_b": "--text_pair_column", "label": "--label_column"}
    if any(column.isdecimal() and column not in header for column in given.values()):
        return _numbered(given, header, where)
    for column in given.values():
        if column and column not in header:
            raise no_column(column, header, where)
    known = {name: COLUMN_NAMES[name] | more for name, more in _MORE_NAMES.items()}
    if regression:
        known["label"] |= _NUMBER_NAMES
    found: dict[str, str] = {}
    for name in ("label", "text_a", "text_b"):
        if given[name]:
            found[name] = given[name]
            continue
        if name == "text_b" and given["text_a"]:
            continue
        free = [column for column in header if column not in given.values() and column not in found.values()]
        fits = [column for column in free if column.lower() in known[name]]
        if name == "text_a" and not fits:  # the only one left is the text, whatever it is called
            rest = [column for column in free if column.lower() not in COLUMN_NAMES["id"]]
            fits = rest if len(rest) == 1 else []
        if len(fits) > 1:
            raise InputError(
                f"{where}: {', '.join(map(repr, fits))} could all be the {_MEANT[name]}. Choose with {flags[name]}."
            )
        if fits:
            found[name] = fits[0]
        elif name != "text_b":
            raise InputError(
                f"{where}: none of the columns {', '.join(map(repr, header))} is known as the {_MEANT[name]}. Name it "
                f"with {flags[name]}; of a table without a header row, give the numbers of the columns, from 1."
            )
    if len(set(found.values())) < len(found):
        raise InputError(f"{where}: one column was given twice: {', '.join(found.values())}. Give different ones.")
    return NamedColumns(text_a=found["text_a"], text_b=found.get("text_b"), label=found["label"])


_MEANT = {"text_a": "text", "text_b": "second text", "label": "label"}


def _numbered(given: Mapping[str, str], header: Sequence[str], where: str) -> NamedColumns:
    columns = {name: column for name, column in given.items() if column}
    if where.rpartition(":")[0].lower().endswith((".json", ".jsonl")):
        raise no_column(next(column for column in columns.values() if column not in header), header, where)
    if not {"text_a", "label"} <= set(columns) or len(set(columns.values())) < len(columns):
        raise InputError(
            f"{where}: columns by number: give --text_column and --label_column, for pairs --text_pair_column, each "
            "another number from 1."
        )
    for column in columns.values():
        if not column.isdecimal() or not 1 <= int(column) <= len(header):
            raise InputError(
                f"{where}: no column {column!r} in a table of {len(header)} columns taken by number. Give numbers from "
                f"1 to {len(header)}, or the names of a header row for all."
            )
    return NamedColumns(columns["text_a"], columns.get("text_b"), columns["label"], numbered=True)


# Labels


def _labels_of(path: Path, reader: NamedColumns) -> tuple[str, ...]:
    """The labels of the rows, sorted: by number where all are whole numbers, else by text."""
    counts: dict[str, int] = {}
    for number, cells in reader.cells(path):
        label = label_text(cells.get("label"), f"{path}:{number}: {reader.called('label')}")
        if not label:
            raise InputError(f"{path}:{number}: {reader.called('label')}: no label in a train row. Fix the row.")
        counts[label] = counts.get(label, 0) + 1
    rows = sum(counts.values())
    if not rows:
        raise InputError(f"{path}: the file holds no rows. Give a file with a header and one row a line.")
    if len(counts) < 2:
        raise InputError(
            f"{path}: {reader.called('label')} holds {next(iter(counts))!r} in all {rows} rows: nothing to learn. Give "
            "rows of two labels or more."
        )
    if len(counts) > max(_MANY_LABELS, rows // 2):
        raise InputError(
            f"{path}: {reader.called('label')} holds {len(counts):,} different values in {rows:,} rows: these are no "
            "labels. Name the column with --label_column, or for numbers give --regression=true."
        )
    whole = all(re.fullmatch(r"-?\d+", label) for label in counts)
    return tuple(sorted(counts, key=(lambda label: (int(label), label)) if whole else None))
