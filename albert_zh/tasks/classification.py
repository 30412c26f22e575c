"""Classification of one sentence or of a pair: reading the rows, the sequences, the answers and their scores."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_zh.files import InputError, atomic_writer, read_lines, read_tsv
from albert_zh.tasks import metrics
from albert_zh.tasks.submission import check_ids, write_label_submission
from albert_zh.tasks.task import Features, HeadSpec, Prediction, Row, Task, paired
from albert_zh.text.packing import pack_pair

if TYPE_CHECKING:
    from albert_zh.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

#: What the columns of published and home-made tables are called, in lower case.
COLUMN_NAMES: dict[str, frozenset[str]] = {
    "label": frozenset("label labels gold gold_label 标签".split()),
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

#: What a reader yields: line number, and the cells by name ("text_a", "text_b", "label", "id").
Cells = Iterator[tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class TabSeparated:
    """Rows of tab-separated columns, with or without a header row.

    The first row is a header when one of its cells names the label column and none is a label, or when all of its
    cells are names of columns (a test file without labels); any other first row is data. Columns are then taken by
    name, and without a header in the order of ``columns``; a file that has one column fewer has no labels.
    """

    columns: tuple[str, ...]

    def cells(self, path: Path, labels: Sequence[str]) -> Cells:
        """Yields the cells of every data row. Raises InputError (file:line) when a row's columns are not as many."""
        layout: list[str | None] = []
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
                    continue
            while len(row) > len(layout) and not row[-1].strip():
                row = row[:-1]  # a tab at the end of a line is no column
            if len(row) != len(layout):
                raise InputError(
                    f"{path}:{number}: {len(row)} tab-separated columns where {len(layout)} are needed "
                    f"({', '.join(name or 'other' for name in layout)}). Fix the row."
                )
            yield number, {name: cell for name, cell in zip(layout, row, strict=True) if name}

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

    def cells(self, path: Path, labels: Sequence[str]) -> Cells:
        """Yields the cells of every row. Raises InputError (file:line) when a row is no JSON object or lacks a key."""
        keys = {"text_a": self.text_a, "text_b": self.text_b, "label": self.label, "id": self.id}
        for number, row in self._objects(path):
            for key in (self.text_a, self.text_b):
                if key is not None and key not in row:
                    raise InputError(
                        f"{path}:{number}: no {key!r} in the row, which has {', '.join(map(repr, row)) or 'no keys'}. "
                        "Fix the row or choose the task this file belongs to."
                    )
            yield number, {name: row[key] for name, key in keys.items() if key is not None and key in row}

    def _objects(self, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
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


@dataclass(frozen=True, kw_only=True)
class ClassificationTask(Task):
    """Sentences (``kind`` "single") or pairs of them ("pair"), each with one of a fixed set of labels.

    Attributes:
        labels: the label set, in the order of the head's outputs.
        reader: how the files are laid out.
        label_names: what a label stands for, for people; a label without one stands for itself.
        no_gold: label values that say the annotators did not agree: such rows are left out of train and dev, counted
            in the log, and kept without gold in the test splits.
    """

    labels: tuple[str, ...]
    reader: TabSeparated | JsonLines
    main_metric: str = "accuracy"
    label_names: Mapping[str, str] = field(default_factory=dict)
    no_gold: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("single", "pair"):
            raise ValueError(f"{self.name}: kind {self.kind!r} is not single or pair.")
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise ValueError(f"{self.name}: labels must be two or more different ones, not {self.labels}.")

    @property
    def head(self) -> HeadSpec:
        """One output a label."""
        return HeadSpec(kind="classification", outputs=len(self.labels))

    def name_of(self, label: str) -> str:
        """The label as people read it: ``109 news_tech``."""
        return f"{label} {self.label_names[label]}" if label in self.label_names else label

    # 1. Read

    def read(self, split: str, data_dir: str | os.PathLike[str]) -> list[Row]:
        """All rows of a split, in file order; see ``Task.read``. Only test splits may lack labels.

        Raises:
            InputError: the split's file is missing or has no row; a text is empty; a label is missing or not one of
                the task's; a row has too few columns or keys. Names file and line.
        """
        path = self.find(split, data_dir)
        rows: list[Row] = []
        left_out = 0
        for number, cells in self.reader.cells(path, self.labels):
            where = f"{path}:{number}"
            label = self._label(cells.get("label"), where, split)
            if label is None and not split.startswith("test"):
                left_out += 1
                continue
            texts = [self._text(cells.get(name), where) for name in ("text_a", "text_b")[: 1 + (self.kind == "pair")]]
            row_id = cells.get("id")
            rows.append(Row(where, *texts, label=label, id=len(rows) if row_id is None or row_id == "" else row_id))
        if left_out:
            logger.info("%s: %d rows without a gold label left out (label %s)", path, left_out, self.no_gold)
        if not rows:
            raise InputError(f"{path}: the file holds no rows. Give a file with one row a line.")
        if self.submission and split in self.submission.files:  # not after hours of training
            check_ids(self.submission.files[split], [row.where for row in rows], [row.id for row in rows])
        return rows

    def _label(self, value: Any, where: str, split: str) -> str | None:
        """The label as text; None when it says there is none (test splits, or one of ``no_gold``)."""
        label = "" if value is None else str(value).strip()
        label = label.lower() if isinstance(value, bool) else label
        if label in self.labels:
            return label
        if label in self.no_gold or (not label and split.startswith("test")):
            return None
        known = ", ".join(f'"{name}"' for name in self.labels[:20]) + (", ..." if len(self.labels) > 20 else "")
        if not label:
            raise InputError(f"{where}: no label in a {split} row; it must be one of {known}. Fix the row.")
        header = ""
        if where.endswith(":1") and isinstance(self.reader, TabSeparated):
            header = f" If this is a header row, name its columns {', '.join(self.reader.columns)}."
        raise InputError(
            f'{where}: label "{label}" is not one of {known}. '
            f"Fix the row, or choose the task this file belongs to ({self.name} was asked for).{header}"
        )

    def _text(self, value: Any, where: str) -> str:
        text = " ".join(map(str, value)) if isinstance(value, list) else value
        if not isinstance(text, str):
            raise InputError(f"{where}: a text is {json.dumps(text, ensure_ascii=False)}, not a string. Fix the row.")
        if not text.strip():
            raise InputError(f"{where}: a text is empty. Fill it in or remove the row.")
        return text

    # 2. Featurize

    def featurize(self, rows: Sequence[Row], tokenizer: Tokenizer, max_seq_length: int) -> Features:
        """``[CLS] A [SEP]`` or ``[CLS] A [SEP] B [SEP]`` of every row; each distinct text is tokenised once."""
        ids_of: dict[str, list[int]] = {}
        for row in rows:
            for text in (row.text_a, row.text_b):
                if text is not None and text not in ids_of:
                    ids_of[text] = tokenizer.encode(text).ids
        input_ids, segment_ids, truncated = [], [], 0
        for row in rows:
            first, second = ids_of[row.text_a], None if row.text_b is None else ids_of[row.text_b]
            ids, segments = pack_pair(first, second, tokenizer, max_seq_length)
            truncated += len(ids) < len(first) + (2 if second is None else len(second) + 3)
            input_ids.append(np.asarray(ids, np.int32))
            segment_ids.append(np.asarray(segments, np.int32))
        return Features(
            input_ids=input_ids,
            segment_ids=segment_ids,
            labels=np.array([-1 if row.label is None else self.labels.index(row.label) for row in rows], np.int32),
            rows=rows,
            row_numbers=np.arange(len(rows), dtype=np.int32),
            truncated=truncated,
        )

    # 4. Decode

    def decode(self, logits: np.ndarray, features: Features | None = None) -> list[Prediction]:
        """The most probable label of every row; logits (n, C). One sequence is one row, so ``features`` is not needed.

        Raises:
            ValueError: the logits are not (n, C), or one is not finite.
        """
        logits = np.asarray(logits, np.float64)
        if logits.ndim != 2 or logits.shape[1] != len(self.labels):
            raise ValueError(f"{self.name}: logits {logits.shape} are not (rows, {len(self.labels)}).")
        if not np.isfinite(logits).all():
            raise ValueError(f"{self.name}: a logit is not finite: the training of this model diverged.")
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))  # (n, C), no overflow
        probabilities = powers / powers.sum(axis=1, keepdims=True)
        return [Prediction(self.labels[row.argmax()], tuple(row.tolist())) for row in probabilities]

    # 5. Score

    def score(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, float]:
        """``accuracy`` with its 95% bootstrap interval (``accuracy_low``, ``accuracy_high``), ``macro_f1`` and the
        number of ``rows``; shares, not percent.

        Raises:
            InputError: a row has no gold label.
        """
        matrix = self.confusion(predictions, rows)
        correct = int(np.diag(matrix).sum())
        low, high = metrics.accuracy_interval(correct, len(rows))
        return {
            "accuracy": correct / len(rows),
            "accuracy_low": low,
            "accuracy_high": high,
            "macro_f1": metrics.macro_f1(matrix),
            "rows": float(len(rows)),
        }

    def confusion(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> np.ndarray:
        """Counts, int64 (C, C): gold label down, predicted label across, both in the order of ``labels``.

        Raises:
            InputError: a row has no gold label.
        """
        paired(rows, predictions)
        for row in rows:
            if row.label is None:
                raise InputError(f"{row.where}: no gold label, so there is nothing to score. Score train or dev rows.")
        number = {label: place for place, label in enumerate(self.labels)}
        gold = np.array([number[row.label] for row in rows])
        answers = np.array([number[prediction.label] for prediction in predictions])
        return metrics.confusion_matrix(gold, answers, len(self.labels))

    # Writing

    def write_predictions(
        self, path: str | os.PathLike[str], rows: Sequence[Row], predictions: Sequence[Prediction]
    ) -> Path:
        """Every row with its gold label, answer and probabilities: a table for ``.tsv``, else JSON lines.

        In the table a tab or a line break inside a text becomes a space.
        """
        paired(rows, predictions)
        path = Path(path)
        texts = ("text_a", "text_b") if self.kind == "pair" else ("text_a",)
        with atomic_writer(path) as stream:
            if path.suffix == ".tsv":
                names = ["id", *texts, "gold", "label", *(f"probability_{label}" for label in self.labels)]
                stream.write("\t".join(names) + "\n")
            for row, prediction in zip(rows, predictions, strict=True):
                values = {"id": row.id} | {name: getattr(row, name) for name in texts}
                values |= {"gold": row.label, "label": prediction.label}
                shares = [round(share, 6) for share in prediction.probabilities]
                if path.suffix == ".tsv":
                    cells = [" ".join(str("" if value is None else value).split()) for value in values.values()]
                    stream.write("\t".join([*cells, *(f"{share:.6f}" for share in shares)]) + "\n")
                else:
                    values["probabilities"] = dict(zip(self.labels, shares, strict=True))
                    stream.write(json.dumps(values, ensure_ascii=False) + "\n")
        return path

    def read_predictions(self, path: str | os.PathLike[str]) -> list[Prediction]:
        """The predictions of a table that ``write_predictions`` wrote.

        Raises:
            InputError: the file is not such a table of this task; names file and line.
        """
        lines = read_tsv(path)
        header = next(lines, (1, []))[1]
        columns = [f"probability_{label}" for label in self.labels]
        if missing := [name for name in ("label", *columns) if name not in header]:
            raise InputError(f"{path}:1: no column {missing[0]!r}: no predictions of {self.name}. Predict again.")
        places = [header.index(name) for name in columns]
        predictions = []
        for number, cells in lines:
            try:
                shares = tuple(float(cells[place]) for place in places)
            except (ValueError, IndexError) as error:
                raise InputError(f"{path}:{number}: not a row of predictions ({error}). Predict again.") from error
            predictions.append(Prediction(cells[header.index("label")], shares))
        return predictions

    def write_submission(
        self,
        folder: str | os.PathLike[str],
        rows: Sequence[Row],
        predictions: Sequence[Prediction],
        split: str = "test",
    ) -> Path:
        """The leaderboard's file for the test split ``rows`` are; see ``write_label_submission`` for what is checked.

        Raises:
            InputError: the task has no leaderboard, or a check fails; nothing is written.
        """
        if self.submission is None:
            raise InputError(f"{self.name} has no leaderboard file. Use the predictions file.")
        return write_label_submission(
            self.submission,
            folder,
            split,
            places=[row.where for row in rows],
            ids=[row.id for row in rows],
            answers=[prediction.label for prediction in predictions],
            labels=self.labels,
        )


def hardest_rows(
    rows: Sequence[Row], predictions: Sequence[Prediction], count: int = 10
) -> tuple[list[int], list[int]]:
    """Places of the rows most worth reading: the mistakes made with most confidence, and the least certain answers.

    Rows without gold are no mistakes; ties keep the order of the file.
    """
    paired(rows, predictions)
    wrong = [n for n, row in enumerate(rows) if row.label is not None and predictions[n].label != row.label]
    mistakes = sorted(wrong, key=lambda n: -predictions[n].confidence)[:count]
    uncertain = sorted(range(len(rows)), key=lambda n: _margin(predictions[n]))[:count]
    return mistakes, uncertain


def _margin(prediction: Prediction) -> float:
    first, second = sorted(prediction.probabilities, reverse=True)[:2]
    return first - second
