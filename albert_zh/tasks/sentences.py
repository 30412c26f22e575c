"""What all tasks on one text or a pair of texts share: reading the rows, the sequences, the table of answers.

What is asked of each text, a label (``classification``) or a number (``regression``), is the subclass's.
"""

from __future__ import annotations

import abc
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from albert_zh.files import InputError, atomic_writer, read_tsv
from albert_zh.tasks.readers import NamedColumns, Reader, column_names
from albert_zh.tasks.submission import check_ids
from albert_zh.tasks.tables import read_table, write_table
from albert_zh.tasks.task import Features, Row, Task, paired
from albert_zh.text.packing import pack_pair

if TYPE_CHECKING:
    from albert_zh.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SentenceTask(Task):
    """Rows of one text (``kind`` "single") or of two ("pair"), each with one gold answer.

    Attributes:
        reader: how the files are laid out.
        train_reader: how the training file is, where that differs.
    """

    reader: Reader
    train_reader: Reader | None = None
    kinds: ClassVar[tuple[str, ...]] = ("single", "pair")

    def __post_init__(self) -> None:
        if self.kind not in self.kinds:
            raise ValueError(f"{self.name}: kind {self.kind!r} is not {' or '.join(self.kinds)}.")

    @property
    def text_names(self) -> tuple[str, ...]:
        """The texts of a row: ``("text_a",)``, or of a pair ``("text_a", "text_b")``."""
        return ("text_a", "text_b") if self.kind == "pair" else ("text_a",)

    # 1. Read

    def read(self, split: str, data_dir: str | os.PathLike[str]) -> list[Row]:
        """All rows of a split, in file order; see ``Task.read``. Only test splits may lack gold.

        Raises:
            InputError: the split's file is missing or has no row; a text is empty; the gold answer is missing or not
                one that can be; a row has too few columns or keys. Names file and line.
        """
        path = self.find(split, data_dir)
        rows: list[Row] = []
        left_out = 0
        reader = (split == "train" and self.train_reader) or self.reader
        for number, cells in reader.cells(path, self.labels):
            where = f"{path}:{number}"
            gold = self._gold(cells, where, split)
            if gold is None and not split.startswith("test"):
                left_out += 1
                continue
            texts = [self._text(cells.get(name), where, name) for name in self.text_names]
            row_id = cells.get("id")
            rows.append(Row(where, *texts, label=gold, id=len(rows) if row_id is None or row_id == "" else row_id))
        if left_out:
            logger.info("%s: %d rows without a gold label left out", path, left_out)
        if not rows:
            raise InputError(f"{path}: the file holds no rows. Give a file with one row a line.")
        if self.submission and split in self.submission.files:  # not after hours of training
            check_ids(self.submission.files[split], [row.where for row in rows], [row.id for row in rows])
        return rows

    @abc.abstractmethod
    def _gold(self, cells: Mapping[str, Any], where: str, split: str) -> str | None:
        """The gold answer of a row as text; None when the file says that there is none, which drops a train or dev
        row. Raises InputError for one that cannot be, and for one that is missing from train or dev."""

    def _place(self, where: str, name: str) -> str:
        """``file:line: column 'label'``, or ``file:line`` where cells have no names of their own."""
        called = self.reader.called(name)
        return f"{where}: {called}" if called else where

    def _text(self, value: Any, where: str, name: str) -> str:
        text = " ".join(map(str, value)) if isinstance(value, list) else value
        if not isinstance(text, str):
            shown = json.dumps(text, ensure_ascii=False)
            raise InputError(f"{self._place(where, name)}: a text is {shown}, not a string. Fix the row.")
        if not text.strip():
            raise InputError(f"{self._place(where, name)}: a text is empty. Fill it in or remove the row.")
        return text

    def check_texts(self, texts: Sequence[str], where: str) -> None:
        """Raises InputError where the texts of a new row, as many as ``text_names``, are not what is learned on."""

    def read_texts(self, path: str | os.PathLike[str]) -> list[tuple[str, tuple[str, ...]]]:
        """(``file:line``, texts) of every row of a file to be answered: the text, or text<TAB>text, a line and no
        other column. Of own data also a file with the columns of its training file, found by their names.

        Raises:
            InputError: a row has another number of columns, or there are no rows; names file and line.
        """
        path = Path(path)
        if self._has_own_columns(path):
            found = [
                (f"{path}:{n}", tuple(self._text(cells[name], f"{path}:{n}", name) for name in self.text_names))
                for n, cells in self.reader.cells(path, self.labels)
            ]
        else:
            found = [(f"{path}:{number}", tuple(columns)) for number, columns in read_tsv(path)]
        for where, texts in found:
            if len(texts) != len(self.text_names):
                wanted = "2, text<TAB>text" if self.kind == "pair" else "1, the text"
                raise InputError(
                    f"{where}: {len(texts)} column{'s'[: len(texts) > 1]}; the task {self.name!r} takes {wanted}. "
                    "Leave labels, numbers and a header out."
                )
        if not found:
            raise InputError(f"{path}: no rows. Write one text, or text<TAB>text, a line.")
        return found

    def _has_own_columns(self, path: Path) -> bool:
        if not isinstance(self.reader, NamedColumns) or self.reader.numbered:
            return False
        if path.suffix.lower() in (".csv", ".json", ".jsonl"):
            return True  # where a column is missing, its reader says so
        columns = next(read_tsv(path), (0, []))[1]
        return bool(columns) and self.reader.text_a in column_names(path)[1]

    # 2. Featurize

    def featurize(self, rows: Sequence[Row], tokenizer: Tokenizer, max_seq_length: int) -> Features:
        """``[CLS] A [SEP]`` or ``[CLS] A [SEP] B [SEP]`` of every row; each distinct text is tokenised once.

        Of a classification asked as a cloze it is ``[CLS]``, the template, ``[SEP]``.
        """
        ids_of: dict[str, list[int]] = {}
        for row in rows:
            for text in (row.text_a, row.text_b):
                if text is not None and text not in ids_of:
                    ids_of[text] = tokenizer.encode(text).ids
        input_ids, segment_ids, truncated = [], [], 0
        for row in rows:
            texts = [ids_of[text] for text in (row.text_a, row.text_b) if text is not None]
            ids, segments, whole = self._packed(texts, tokenizer, max_seq_length)
            truncated += len(ids) < whole
            input_ids.append(np.asarray(ids, np.int32))
            segment_ids.append(np.asarray(segments, np.int32))
        return Features(
            input_ids=input_ids,
            segment_ids=segment_ids,
            labels=self.targets(rows),
            rows=rows,
            row_numbers=np.arange(len(rows), dtype=np.int32),
            truncated=truncated,
        )

    def _packed(
        self, texts: Sequence[Sequence[int]], tokenizer: Tokenizer, max_seq_length: int
    ) -> tuple[list[int], list[int], int]:
        """One sequence of the ids of a row's texts, its segments, and how long it is when nothing is cut."""
        first, second = texts[0], texts[1] if len(texts) > 1 else None
        ids, segments = pack_pair(first, second, tokenizer, max_seq_length)
        return ids, segments, len(first) + (2 if second is None else len(second) + 3)

    @abc.abstractmethod
    def targets(self, rows: Sequence[Row]) -> np.ndarray:
        """What the head is to learn of each row; ``Features.labels``."""

    # 4. Decode

    def _checked(self, logits: Any) -> np.ndarray:
        """The logits as float64 (n, outputs). Raises ValueError when they are not that, or not finite."""
        logits = np.asarray(logits, np.float64)
        if logits.ndim != 2 or logits.shape[1] != self.head.outputs:
            raise ValueError(f"{self.name}: logits {logits.shape} are not (rows, {self.head.outputs}).")
        if not np.isfinite(logits).all():
            raise ValueError(f"{self.name}: a logit is not finite: the training of this model diverged.")
        return logits

    # Writing

    @property
    @abc.abstractmethod
    def answer_columns(self) -> tuple[str, ...]:
        """The columns of an answer in a table of predictions."""

    @abc.abstractmethod
    def answer_cells(self, prediction: Any) -> list[str]:
        """An answer under ``answer_columns``."""

    @abc.abstractmethod
    def _answer_json(self, prediction: Any) -> dict[str, Any]:
        """An answer as the keys of a JSON object."""

    def write_predictions(self, path: str | os.PathLike[str], rows: Sequence[Row], predictions: Sequence[Any]) -> Path:
        """Every row with its gold and its answer: a table for ``.tsv``, else JSON lines.

        In the table a tab or a line break inside a text becomes a space.
        """
        paired(rows, predictions)
        path, pairs = Path(path), list(zip(rows, predictions, strict=True))
        columns = ("id", *self.text_names, "gold")

        def values(row: Row) -> list[Any]:
            return [row.id, *(getattr(row, name) for name in self.text_names), row.label]

        if path.suffix == ".tsv":
            cells = ([*values(row), *self.answer_cells(prediction)] for row, prediction in pairs)
            return write_table(path, [*columns, *self.answer_columns], cells)
        with atomic_writer(path) as stream:
            for row, prediction in pairs:
                named = dict(zip(columns, values(row), strict=True)) | self._answer_json(prediction)
                stream.write(json.dumps(named, ensure_ascii=False) + "\n")
        return path

    def read_predictions(self, path: str | os.PathLike[str]) -> list[Any]:
        """The predictions of a table that ``write_predictions`` wrote.

        Raises:
            InputError: the file is not such a table of this task; names file and line.
        """
        predictions = []
        for where, cells in read_table(path, self.answer_columns, self.name):
            try:
                predictions.append(self._prediction(cells))
            except (ValueError, IndexError) as error:
                raise InputError(f"{where}: not a row of predictions ({error}). Predict again.") from error
        return predictions

    @abc.abstractmethod
    def _prediction(self, cells: Sequence[str]) -> Any:
        """What ``answer_cells`` was made from. Raises ValueError."""
