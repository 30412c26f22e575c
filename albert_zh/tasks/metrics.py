"""Scores of predicted labels and numbers, in plain numpy; label numbers are places in the task's list of labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Metrics from -1 to 1, which people read as numbers; the others are shares, read as percent.
CORRELATIONS = ("pearson", "spearman", "matthews")


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of each class, float64 (C,), and how many gold rows it has, int64 (C,).

    A share whose denominator is 0 (a class never predicted, or never gold) is 0, as in the usual tools.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def confusion_matrix(gold: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts of rows, int64 (C, C): row is the gold label, column the predicted one.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    gold, predicted = _same_length(gold, predicted)
    return np.bincount(gold * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def class_scores(confusion: np.ndarray) -> ClassScores:
    """Scores of each class from a confusion matrix (C, C)."""
    hits = np.diag(confusion).astype(np.float64)
    precision = _share(hits, confusion.sum(axis=0))
    recall = _share(hits, confusion.sum(axis=1))
    f1 = _share(2 * hits, confusion.sum(axis=0) + confusion.sum(axis=1))
    return ClassScores(precision, recall, f1, confusion.sum(axis=1))


def macro_f1(confusion: np.ndarray) -> float:
    """Mean of the classes' F1, over the classes that have a gold or a predicted row."""
    present = confusion.sum(axis=0) + confusion.sum(axis=1) > 0
    return float(class_scores(confusion).f1[present].mean()) if present.any() else 0.0


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of the rows answered right, float64 (...), of matrices (..., C, C)."""
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1))


def binary_f1(confusion: np.ndarray, positive: int) -> np.ndarray:
    """F1 of one class against all others, float64 (...), of matrices (..., C, C); 0 where it never occurs."""
    hits = confusion[..., positive, positive].astype(np.float64)
    return _share(2 * hits, confusion[..., positive, :].sum(axis=-1) + confusion[..., :, positive].sum(axis=-1))


def matthews(confusion: np.ndarray) -> np.ndarray:
    """Matthews' correlation of gold and answers, -1 to 1, float64 (...), of matrices (..., C, C).

    Matthews 1975 for two classes, for more Gorodkin's R_K (2004), which is the same for two; 0 where all answers, or
    all gold labels, are one class.

    >>> round(float(matthews(np.array([[6, 2], [1, 3]]))), 4)
    0.4781
    """
    confusion = np.asarray(confusion, np.float64)
    gold, answers = confusion.sum(axis=-1), confusion.sum(axis=-2)  # (..., C)
    rows = gold.sum(axis=-1)
    together = rows * np.trace(confusion, axis1=-2, axis2=-1) - (gold * answers).sum(axis=-1)
    alone = (rows**2 - (gold**2).sum(axis=-1)) * (rows**2 - (answers**2).sum(axis=-1))
    return _share(together, np.sqrt(alone))


def confusion_interval(
    confusion: np.ndarray,
    measure: Callable[[np.ndarray], np.ndarray],
    seed: int = 0,
    resamples: int = 10_000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bootstrap percentile interval (Efron 1979) of what is measured of a confusion matrix, the same for the same seed.

    Drawing as many rows with replacement is a multinomial draw of the cells, so the matrices are drawn directly.

    Args:
        confusion: counts, int (C, C).
        measure: of matrices (R, C, C) to values (R,).
    """
    rows = int(confusion.sum())
    if rows < 1:
        raise ValueError("a confusion matrix without rows has no score.")
    cells = np.random.default_rng(seed).multinomial(rows, confusion.ravel() / rows, size=resamples)
    low, high = np.quantile(measure(cells.reshape(resamples, *confusion.shape)), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def accuracy_interval(
    correct: int, rows: int, seed: int = 0, resamples: int = 10_000, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap percentile interval of an accuracy (Efron 1979), the same for the same seed.

    Drawing ``rows`` rows with replacement, of which each is right with probability ``correct / rows``, is a binomial
    draw, so the resampled accuracies are drawn directly.
    """
    if rows < 1 or not 0 <= correct <= rows:
        raise ValueError(f"{correct} right of {rows} rows is no accuracy.")
    draws = np.random.default_rng(seed).binomial(rows, correct / rows, size=resamples) / rows
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_interval(
    scores: np.ndarray, seed: int = 0, resamples: int = 2_000, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap percentile interval of the mean of the rows' scores (Efron 1979), the same for the same seed.

    Args:
        scores: float (n,), from 0 to 1.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 1 or not len(scores):
        raise ValueError(f"scores {scores.shape} must be a row of one number or more.")
    generator, means = np.random.default_rng(seed), np.zeros(resamples)
    for number in range(resamples):
        means[number] = scores[generator.integers(0, len(scores), len(scores))].mean()
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def pearson(gold: np.ndarray, predicted: np.ndarray) -> float:
    """Pearson's correlation of two rows of numbers, -1 to 1; 0 where one of them does not vary.

    >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 5.0])), 4)
    0.866
    """
    gold, predicted = _numbers(gold, predicted)
    if not np.ptp(gold) or not np.ptp(predicted):
        return 0.0
    gold, predicted = gold - gold.mean(), predicted - predicted.mean()
    # Scaled, so that no square vanishes or overflows.
    gold, predicted = gold / np.abs(gold).max(), predicted / np.abs(predicted).max()
    return float(np.clip(gold @ predicted / np.sqrt((gold @ gold) * (predicted @ predicted)), -1, 1))


def spearman(gold: np.ndarray, predicted: np.ndarray) -> float:
    """Spearman's correlation, Pearson's of the ranks; equal numbers share the mean of their ranks."""
    gold, predicted = _numbers(gold, predicted)
    return pearson(_ranks(gold), _ranks(predicted))


def correlation_interval(correlation: float, rows: int) -> tuple[float, float]:
    """95% interval of Pearson's correlation by Fisher's z transformation (Fisher 1921); -1 to 1 for 3 rows or fewer."""
    if rows <= 3:
        return -1.0, 1.0
    middle, reach = np.arctanh(np.clip(correlation, -1 + 1e-15, 1 - 1e-15)), 1.959964 / np.sqrt(rows - 3)
    return float(np.tanh(middle - reach)), float(np.tanh(middle + reach))


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]


def _numbers(gold: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gold, predicted = np.asarray(gold, np.float64), np.asarray(predicted, np.float64)
    if gold.shape != predicted.shape or gold.ndim != 1 or not len(gold):
        raise ValueError(f"gold {gold.shape} and predicted numbers {predicted.shape} must be equally many, 1 up.")
    return gold, predicted


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole > 0)


def _same_length(gold: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gold, predicted = np.asarray(gold, np.int64), np.asarray(predicted, np.int64)
    if gold.shape != predicted.shape or gold.ndim != 1 or not len(gold):
        raise ValueError(f"gold labels {gold.shape} and predicted labels {predicted.shape} must be equally many, 1 up.")
    return gold, predicted
