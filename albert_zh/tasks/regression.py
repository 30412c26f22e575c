"""Regression: one text or a pair of texts to a number, such as how alike two sentences are."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from albert_zh.files import InputError
from albert_zh.tasks import metrics
from albert_zh.tasks.baselines import TrivialBaseline, regression_baselines
from albert_zh.tasks.sampling import sampled
from albert_zh.tasks.sentences import SentenceTask
from albert_zh.tasks.submission import check_answers, check_rows, write_answers
from albert_zh.tasks.task import Features, HeadSpec, Row, Told, paired

_DECIMAL = re.compile(r"-?\d+\.\d{3}")


@dataclass(frozen=True)
class NumberPrediction:
    """The number answered for one row."""

    value: float

    @property
    def label(self) -> str:
        """The number as text."""
        return f"{self.value:.6g}"


@dataclass(frozen=True, kw_only=True)
class RegressionTask(SentenceTask):
    """Sentences (``kind`` "single") or pairs of them ("pair"), each with a number; ``Row.label`` holds it as text.

    The main metric is Pearson's correlation, as usual for similarity scores: it asks for the order and the spacing of
    the answers, whatever the unit, and has the same meaning for every data set. ``score`` gives the squared error too.

    Attributes:
        mean, spread: in training the head learns (number - mean) / spread, so that one learning rate suits any unit;
            afterwards both are folded into its weights, and a finished model answers in the unit of the files.
        bounds: the least and the greatest number that can be gold; a leaderboard's answers are drawn into them.
    """

    main_metric: str = "pearson"
    more_metrics: tuple[str, ...] = ("spearman",)
    mean: float = 0.0
    spread: float = 1.0
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @property
    def head(self) -> HeadSpec:
        """One output, the number."""
        return HeadSpec(kind="regression", outputs=1, mean=self.mean, spread=self.spread)

    # 1. Read

    def _gold(self, cells: Mapping[str, Any], where: str, split: str) -> str | None:
        value, where = cells.get("label"), self._place(where, "label")
        text = "" if value is None else str(value).strip()
        if not text:
            if split.startswith("test"):
                return None
            raise InputError(f"{where}: no number in a {split} row. Fix the row.")
        try:
            finite = not isinstance(value, bool) and math.isfinite(float(text))
        except ValueError:
            finite = False
        if not finite:
            raise InputError(
                f"{where}: {text!r} is not a number, such as 3.5. Fix the row; for labels leave --regression out."
            )
        if not self.bounds[0] <= float(text) <= self.bounds[1]:
            raise InputError(f"{where}: {text} is not from {self.bounds[0]:g} to {self.bounds[1]:g}. Fix the row.")
        return text

    def sample(self, rows: Sequence[Row], count: int, seed: int) -> list[Row]:
        """``count`` rows in all; see ``sampling.sampled``."""
        return sampled(rows, count, seed)

    def fitted(self, rows: Sequence[Row]) -> RegressionTask:
        """This task with the mean and the standard deviation of the rows' numbers.

        Raises:
            InputError: all numbers are the same.
        """
        numbers = _numbers(rows)
        if np.ptp(numbers) == 0:
            raise InputError(f"{rows[0].where}: all {len(rows)} training rows hold {rows[0].label}: nothing to learn.")
        return dataclasses.replace(self, mean=float(numbers.mean()), spread=float(numbers.std()))

    # 2. Featurize

    def targets(self, rows: Sequence[Row]) -> np.ndarray:
        """(number - mean) / spread of every row, float32 (n,); nan where there is no gold."""
        return ((_numbers(rows) - self.mean) / self.spread).astype(np.float32)

    def targeted(self, features: Features) -> Features:
        return dataclasses.replace(features, labels=self.targets(features.rows))

    # 4. Decode

    def decode(
        self, logits: np.ndarray, features: Features | None = None, **weights: np.ndarray
    ) -> list[NumberPrediction]:
        """The number of every row; logits (n, 1).

        Raises:
            ValueError: the logits are not (n, 1), or one is not finite.
        """
        values = self._checked(logits)[:, 0] * self.spread + self.mean
        return [NumberPrediction(float(value)) for value in values]

    # 5. Score

    def score(self, predictions: Sequence[NumberPrediction], rows: Sequence[Row]) -> dict[str, float]:
        """``pearson`` with its 95% interval (``pearson_low``, ``pearson_high``; Fisher 1921), ``spearman``, ``mse``,
        the mean squared error in the unit of the files, and the number of ``rows``.

        The correlation with answers that are all the same is 0.

        Raises:
            InputError: a row has no gold number.
        """
        gold, answers = self._compared(predictions, rows)
        pearson = metrics.pearson(gold, answers)
        low, high = metrics.correlation_interval(pearson, len(rows))
        return {
            "pearson": pearson,
            "pearson_low": low,
            "pearson_high": high,
            "spearman": metrics.spearman(gold, answers),
            "mse": float(np.mean((gold - answers) ** 2)),
            "rows": float(len(rows)),
        }

    def _compared(self, predictions: Sequence[NumberPrediction], rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        paired(rows, predictions)
        for row in rows:
            if row.label is None:
                raise InputError(f"{row.where}: no gold number, so there is nothing to score. Score train or dev rows.")
        return _numbers(rows), np.array([prediction.value for prediction in predictions])

    def trivial_baselines(self, train: Sequence[Row], scored: Sequence[Row]) -> tuple[TrivialBaseline, ...]:
        """The mean of train and, for pairs, the character overlap; see ``baselines.regression_baselines``."""
        return regression_baselines(train, scored)

    def largest_errors(
        self, rows: Sequence[Row], predictions: Sequence[NumberPrediction], count: int = 10
    ) -> list[int]:
        """Places of the rows answered furthest off; ties keep the order of the file."""
        gold, answers = self._compared(predictions, rows)
        return [int(place) for place in np.argsort(-np.abs(gold - answers), kind="stable")[:count]]

    # Writing

    @property
    def answer_columns(self) -> tuple[str, ...]:
        return ("value",)

    def answer_cells(self, prediction: NumberPrediction) -> list[str]:
        return [f"{prediction.value:.9g}"]  # a float32 as it is

    def _answer_json(self, prediction: NumberPrediction) -> dict[str, Any]:
        return {"value": float(f"{prediction.value:.9g}")}

    def _prediction(self, cells: Sequence[str]) -> NumberPrediction:
        return NumberPrediction(float(cells[0]))

    def hardest(
        self, rows: Sequence[Row], predictions: Sequence[NumberPrediction], count: int
    ) -> tuple[list[int], list[int]]:
        return self.largest_errors(rows, predictions, count), []

    def told(self, row: Row, prediction: NumberPrediction) -> Told:
        return Told(row.text_a, row.text_b, row.label, prediction.label)

    def check_submission(self, folder: str | os.PathLike[str], rows: Sequence[Row], split: str) -> Path:
        path = Path(folder, self.submission.files[split])
        for where, answer in check_answers(path, self.submission, [row.id for row in rows]):
            if not _DECIMAL.fullmatch(answer) or not self.bounds[0] <= float(answer) <= self.bounds[1]:
                raise InputError(f"{where}: {answer!r} is no answer of {self.name}. Predict the test file again.")
        return path

    def write_submission(
        self,
        folder: str | os.PathLike[str],
        rows: Sequence[Row],
        predictions: Sequence[NumberPrediction],
        split: str = "test",
    ) -> Path:
        """The leaderboard's file: the numbers within ``bounds``, to three places.

        Raises:
            InputError: the task has no leaderboard, or the rows are not one test file's in order; nothing is written.
        """
        if self.submission is None:
            raise InputError(f"{self.name} has no leaderboard file. Use the predictions file.")
        places, ids = [row.where for row in rows], [row.id for row in rows]
        answers = [f"{np.clip(prediction.value, *self.bounds):.3f}" for prediction in predictions]
        check_rows(self.submission, split, places, ids, answers)
        return write_answers(self.submission, folder, split, ids, answers)


def _numbers(rows: Sequence[Row]) -> np.ndarray:
    return np.array([math.nan if row.label is None else float(row.label) for row in rows])
