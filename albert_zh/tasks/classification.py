"""Classification of one sentence or of a pair: the labels of the rows, the answers and their scores."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_zh.files import InputError, read_lines
from albert_zh.tasks import metrics
from albert_zh.tasks.baselines import TrivialBaseline, trivial_baselines
from albert_zh.tasks.cloze import Cloze, Prompt, in_ids
from albert_zh.tasks.readers import TabSeparated, json_objects
from albert_zh.tasks.sampling import sampled_per_label
from albert_zh.tasks.sentences import SentenceTask
from albert_zh.tasks.submission import check_submission, write_label_submission
from albert_zh.tasks.task import CUSTOM, Features, HeadSpec, Prediction, Row, Told, paired

if TYPE_CHECKING:
    from albert_zh.text.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class ClassificationTask(SentenceTask):
    """Sentences (``kind`` "single") or pairs of them ("pair"), each with one of a fixed set of labels.

    Attributes:
        labels: the label set, in the order of the head's outputs.
        label_names: what a label stands for, for people; a label without one stands for itself.
        names_file: file that may lie beside the rows and holds the name of every label: one a line, in their order, or
            as CLUE's ``labels.json`` has it.
        no_gold: label values that say the annotators did not agree: such rows are left out of train and dev, counted
            in the log, and kept without gold in the test splits.
        prompt: how the task is asked as a cloze, where it can be.
        cloze: the prompt in the ids of a tokenizer, once the task is asked so; see ``asked_as_cloze``.
        more_metrics: beside the accuracy, or the main one among them: "matthews", "f1" (of the label ``positive``).
        positive: the label that is looked for.
    """

    labels: tuple[str, ...]
    main_metric: str = "accuracy"
    positive: str = ""
    label_names: Mapping[str, str] = field(default_factory=dict)
    names_file: str = ""
    no_gold: tuple[str, ...] = ()
    prompt: Prompt | None = None
    cloze: Cloze | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise ValueError(f"{self.name}: labels must be two or more different ones, not {self.labels}.")
        if self.main_metric not in self._measures:
            raise ValueError(f"{self.name}: {self.main_metric} is not one of its metrics, {', '.join(self._measures)}.")

    @property
    def head(self) -> HeadSpec:
        """One output a label."""
        if self.cloze:
            return HeadSpec("cloze", len(self.labels), words=self.cloze.words, mask_id=self.cloze.mask_id)
        return HeadSpec(kind="classification", outputs=len(self.labels))

    def asked_as_cloze(self, tokenizer: Tokenizer, prompt: Prompt) -> ClassificationTask:
        """This task, answered by the masked-LM head in the blanks of a prompt.

        Raises:
            InputError: the prompt does not fit its texts, its labels or the vocabulary.
        """
        try:
            prompt.check(self.text_names, self.labels)
            return dataclasses.replace(self, prompt=prompt, cloze=in_ids(prompt, self.labels, tokenizer))
        except InputError as error:
            raise InputError(f"the prompt of {self.name}: {error}") from error

    def name_of(self, label: str) -> str:
        """The label as people read it: ``109 news_tech``."""
        return f"{label} {self.label_names[label]}" if label in self.label_names else label

    def named(self, data_dir: str | os.PathLike[str]) -> ClassificationTask:
        """This task with the label names of its ``names_file``, where one lies in the folder.

        Raises:
            InputError: the file has not one name for every label.
        """
        path = Path(data_dir, self.names_file)
        if not self.names_file or not path.is_file():
            return self
        if path.suffix == ".json":
            rows = [row for _, row in json_objects(path)]
            found = {str(row.get("label")): row.get("label_des", row.get("label_desc")) for row in rows}
            names = [found[label] for label in self.labels if found.get(label)]
        else:
            names = [line.strip() for _, line in read_lines(path) if line.strip()]
        if len(names) != len(self.labels):
            raise InputError(
                f"{path}: {len(names)} names for the {len(self.labels)} labels of {self.name}. Give every label one; "
                f"files with other labels are your own data, --task_name={CUSTOM}."
            )
        # Two labels of one name would be one class to whoever reads an exported model.
        names = [
            f"{name} {label}" if names.count(name) > 1 else name for label, name in zip(self.labels, names, strict=True)
        ]
        return dataclasses.replace(self, label_names=dict(zip(self.labels, names, strict=True)))

    # 1. Read

    def _gold(self, cells: Mapping[str, Any], where: str, split: str) -> str | None:
        where = self._place(where, "label")
        label = label_text(cells.get("label"), where)
        if label in self.labels:
            return label
        if label in self.no_gold or (not label and split.startswith("test")):
            return None
        known = ", ".join(f'"{name}"' for name in self.labels[:20]) + (", ..." if len(self.labels) > 20 else "")
        if not label:
            raise InputError(f"{where}: no label in a {split} row; it must be one of {known}. Fix the row.")
        if self.name == CUSTOM:
            raise InputError(
                f'{where}: label "{label}" is not one of {known}, the labels of the training rows. Fix the row, or '
                "train on rows of this label too."
            )
        header = ""
        if where.endswith(":1") and isinstance(self.reader, TabSeparated):
            header = f" If this is a header row, name its columns {', '.join(self.reader.columns)}."
        raise InputError(
            f'{where}: label "{label}" is not one of {known}. '
            f"Fix the row, or choose the task this file belongs to ({self.name} was asked for).{header}"
        )

    def sample(self, rows: Sequence[Row], count: int, seed: int) -> list[Row]:
        """``count`` rows of every label; see ``sampling.sampled_per_label``."""
        return sampled_per_label(rows, count, seed)

    # 2. Featurize

    def _packed(
        self, texts: Sequence[Sequence[int]], tokenizer: Tokenizer, max_seq_length: int
    ) -> tuple[list[int], list[int], int]:
        if not self.cloze:
            return super()._packed(texts, tokenizer, max_seq_length)
        named = dict(zip(self.text_names, texts, strict=True))
        ids = self.cloze.sequence(named, tokenizer, max_seq_length)
        return ids, [0] * len(ids), self.cloze.template_length + sum(map(len, texts))

    def targets(self, rows: Sequence[Row]) -> np.ndarray:
        """The place of every row's label among ``labels``, int32 (n,); -1 where there is no gold."""
        number = {label: place for place, label in enumerate(self.labels)}
        return np.array([-1 if row.label is None else number[row.label] for row in rows], np.int32)

    # 4. Decode

    def decode(self, logits: np.ndarray, features: Features | None = None, **weights: np.ndarray) -> list[Prediction]:
        """The most probable label of every row; logits (n, C). One sequence is one row, so ``features`` is not needed.

        Raises:
            ValueError: the logits are not (n, C), or one is not finite.
        """
        return most_probable(self._checked(logits), self.labels)

    # 5. Score

    def score(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, float]:
        """``accuracy`` and ``more_metrics``, the main one with its 95% bootstrap interval (``accuracy_low``,
        ``accuracy_high``), ``macro_f1`` and the number of ``rows``; shares, not percent.

        Raises:
            InputError: a row has no gold label.
        """
        matrix = self.confusion(predictions, rows)
        main = self.main_metric
        if main == "accuracy":
            low, high = metrics.accuracy_interval(int(np.diag(matrix).sum()), len(rows))
        else:
            low, high = metrics.confusion_interval(matrix, self._measures[main])
        return {
            **{name: float(measure(matrix)) for name, measure in self._measures.items()},
            f"{main}_low": low,
            f"{main}_high": high,
            "macro_f1": metrics.macro_f1(matrix),
            "rows": float(len(rows)),
        }

    @property
    def _measures(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        """The metrics by name, each a function of confusion matrices (..., C, C)."""
        measures = {"accuracy": metrics.accuracy}
        for name in self.more_metrics:
            if name == "matthews":
                measures[name] = metrics.matthews
            elif name == "f1" and self.positive in self.labels:
                measures[name] = functools.partial(metrics.binary_f1, positive=self.labels.index(self.positive))
            else:
                raise ValueError(f"{self.name}: no metric {name!r}; f1 needs one of the labels as the positive one.")
        return measures

    def confusion(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> np.ndarray:
        """Counts, int64 (C, C): gold label down, predicted label across, both in the order of ``labels``.

        Raises:
            InputError: a row has no gold label.
        """
        paired(rows, predictions)
        for row in rows:
            if row.label is None:
                raise InputError(f"{row.where}: no gold label, so there is nothing to score. Score train or dev rows.")
        return self._confusion([prediction.label for prediction in predictions], rows)

    def _confusion(self, answers: Sequence[str], rows: Sequence[Row]) -> np.ndarray:
        number = {label: place for place, label in enumerate(self.labels)}
        gold = np.array([number[row.label] for row in rows])
        return metrics.confusion_matrix(gold, np.array([number[label] for label in answers]), len(self.labels))

    def trivial_baselines(self, train: Sequence[Row], scored: Sequence[Row]) -> tuple[TrivialBaseline, ...]:
        """The majority class and, for pairs, the character overlap; see ``baselines.trivial_baselines``."""
        if self.main_metric == "accuracy":
            return trivial_baselines(train, scored)
        measure = self._measures[self.main_metric]
        return trivial_baselines(train, scored, lambda answers: float(measure(self._confusion(answers, scored))))

    # Writing

    @property
    def answer_columns(self) -> tuple[str, ...]:
        return "label", *(f"probability_{label}" for label in self.labels)

    def answer_cells(self, prediction: Prediction) -> list[str]:
        return [prediction.label, *(f"{share:.6f}" for share in prediction.probabilities)]

    def _answer_json(self, prediction: Prediction) -> dict[str, Any]:
        shares = [round(share, 6) for share in prediction.probabilities]
        return {"label": prediction.label, "probabilities": dict(zip(self.labels, shares, strict=True))}

    def _prediction(self, cells: Sequence[str]) -> Prediction:
        return Prediction(cells[0], tuple(map(float, cells[1:])))

    def hardest(
        self, rows: Sequence[Row], predictions: Sequence[Prediction], count: int
    ) -> tuple[list[int], list[int]]:
        return hardest_rows(rows, predictions, count)

    def told(self, row: Row, prediction: Prediction) -> Told:
        gold = None if row.label is None else self.name_of(row.label)
        return Told(row.text_a, row.text_b, gold, self.name_of(prediction.label), prediction.confidence)

    def check_submission(self, folder: str | os.PathLike[str], rows: Sequence[Row], split: str) -> Path:
        path = Path(folder, self.submission.files[split])
        check_submission(path, self.submission, [row.id for row in rows], self.labels)
        return path

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


def label_text(value: Any, where: str) -> str:
    """The label of a cell as text, "" for none. Raises InputError for a list or an object: a row has one label.

    >>> [label_text(value, "train.json:1") for value in (0, True, " 体育 ", None)]
    ['0', 'true', '体育', '']
    """
    if isinstance(value, list | dict):
        raise InputError(f"{where}: the label is {value!r}; a row has one label, text or a number. Fix the row.")
    label = "" if value is None else str(value).strip()
    return label.lower() if isinstance(value, bool) else label


def most_probable(scores: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
    """The label of the highest score of each row, with the softmax of all of them; scores float64 (n, C)."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))  # no overflow
    shares = powers / powers.sum(axis=1, keepdims=True)
    return [Prediction(labels[row.argmax()], tuple(row.tolist())) for row in shares]


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
