"""Trivial baselines a model has to beat: the most frequent label or the mean, and for pairs their shared characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from albert_zh.tasks import metrics
from albert_zh.tasks.task import Row


def level(score: float, low: float | None, best: float) -> Literal["above", "unsure", "below"]:
    """How a score with a 95% interval from ``low`` stands to the best rule without a model: "above" it beyond the
    interval, "unsure" where only the score is, "below" where it is not, or no more than equal.

    >>> level(0.7, 0.6, 0.5), level(0.7, 0.4, 0.5), level(0.5, 0.4, 0.5)
    ('above', 'unsure', 'below')
    """
    if score <= best:
        return "below"
    return "unsure" if low is not None and low <= best else "above"


@dataclass(frozen=True)
class MajorityBaseline:
    """Always the same answer.

    Attributes:
        label: the most frequent of the training rows.
        accuracy: share right of the scored rows.
        best_accuracy: share of the label most frequent among the scored rows themselves; an upper bound, and the
            baseline.
    """

    label: str
    accuracy: float
    best_accuracy: float


@dataclass(frozen=True)
class OverlapBaseline:
    """One threshold on the character overlap of a pair.

    Attributes:
        threshold: pairs with an overlap of at least this are answered ``label_from``, the others ``label_below``;
            chosen on the training rows.
        accuracy: share right of the scored rows; this is the baseline.
        train_accuracy: share right of the training rows.
        best_accuracy: share right of the scored rows with the threshold chosen on those very rows; an upper bound,
            which published figures often quote.
    """

    threshold: float
    label_below: str
    label_from: str
    accuracy: float
    train_accuracy: float
    best_accuracy: float

    def answer(self, row: Row) -> str:
        """The label of a pair."""
        return self.label_from if character_overlap(row.text_a, row.text_b) >= self.threshold else self.label_below


@dataclass(frozen=True)
class TrivialBaseline:
    """What a trivial rule scores by the task's main metric; ``rule`` says in words what it does."""

    name: str
    score: float
    rule: str


_OVERLAP = "字符重合 character overlap"


def trivial_baselines(
    train: Sequence[Row], scored: Sequence[Row], score: Callable[[Sequence[str]], float] | None = None
) -> tuple[TrivialBaseline, ...]:
    """The rules every score is shown beside: the majority class and, for pairs, the character overlap.

    The majority class is the most frequent label of the scored rows themselves, the constant answer that is right most
    often; the overlap threshold is the one that is right most often on train.

    Args:
        train: rows the threshold is chosen on.
        scored: rows the rules answer.
        score: the main metric of a label for each of ``scored``, all with gold; left out: the accuracy.

    Raises:
        ValueError: one of the two has no row with a gold label.
    """
    majority = majority_baseline(train, scored)
    value = majority.best_accuracy if score is None else score([majority_baseline(scored, scored).label] * len(scored))
    baselines = [TrivialBaseline("多数类 majority class", value, "always the label most frequent in these rows")]
    if scored[0].text_b is not None:
        overlap = overlap_baseline(train, scored)
        baselines.append(
            TrivialBaseline(
                _OVERLAP,
                overlap.accuracy if score is None else score([overlap.answer(row) for row in scored]),
                f"{overlap.label_from} from an overlap of {overlap.threshold:.2f} on, else {overlap.label_below}; the "
                f"threshold is the best of train (that of these rows would be right on {overlap.best_accuracy:.1%})",
            )
        )
    return tuple(baselines)


def regression_baselines(train: Sequence[Row], scored: Sequence[Row]) -> tuple[TrivialBaseline, ...]:
    """The rules a model that answers numbers is shown beside, by Pearson's correlation.

    The mean of train, a constant, correlates with nothing; for pairs the character overlap, its sign chosen on train.

    Raises:
        ValueError: one of the two has no row with a gold number.
    """
    numbers, gold = (np.array([float(text) for text in _gold(rows)]) for rows in (train, scored))
    squared = float(np.mean((gold - numbers.mean()) ** 2))
    rule = f"always {numbers.mean():.4g}, the mean of train; mean squared error {squared:.4g}"
    baselines = [TrivialBaseline("均值 mean", 0.0, rule)]
    if scored[0].text_b is not None:
        on_train, overlap = (
            np.array([character_overlap(row.text_a, row.text_b) for row in rows if row.label is not None])
            for rows in (train, scored)
        )
        sign = -1 if metrics.pearson(numbers, on_train) < 0 else 1
        rule = f"{'more' if sign > 0 else 'less'} overlap, larger number; the direction is that of train"
        baselines.append(TrivialBaseline(_OVERLAP, sign * metrics.pearson(gold, overlap), rule))
    return tuple(baselines)


def majority_baseline(train: Sequence[Row], scored: Sequence[Row]) -> MajorityBaseline:
    """The majority label of ``train`` and its accuracy on ``scored``; a tie goes to the label that sorts first.

    Raises:
        ValueError: one of the two has no row with a gold label.
    """
    counts = Counter(_gold(train))
    label = min(counts, key=lambda name: (-counts[name], name))
    gold = _gold(scored)
    most = max(Counter(gold).values())
    return MajorityBaseline(label, gold.count(label) / len(gold), most / len(gold))


def character_overlap(first: str, second: str) -> float:
    """Dice coefficient of the two texts' character multisets, white space and case left out: 0 none, 1 all shared.

    Jaccard's coefficient is a rising function of Dice's, so a threshold on either answers the same.

    >>> character_overlap("我喜欢汤", "我不喜欢")
    0.75
    """
    one, two = (Counter("".join(text.lower().split())) for text in (first, second))
    shared = sum((one & two).values())
    return 2 * shared / max(1, one.total() + two.total())


def overlap_baseline(train: Sequence[Row], scored: Sequence[Row]) -> OverlapBaseline:
    """The best character-overlap threshold of ``train``, scored on ``scored``.

    Either side of the threshold answers the label most frequent there, so any number of labels will do.

    Raises:
        ValueError: a row is no pair, or one of the two has no row with a gold label.
    """
    labels = sorted(set(_gold(train)) | set(_gold(scored)))
    train_overlap, train_gold = _measured(train, labels)
    overlap, gold = _measured(scored, labels)
    threshold, below, above, train_accuracy = _best_threshold(train_overlap, train_gold, len(labels))
    answers = np.where(overlap >= threshold, above, below)
    return OverlapBaseline(
        threshold=threshold,
        label_below=labels[below],
        label_from=labels[above],
        accuracy=float(np.mean(answers == gold)),
        train_accuracy=train_accuracy,
        best_accuracy=_best_threshold(overlap, gold, len(labels))[3],
    )


def _gold(rows: Sequence[Row]) -> list[str]:
    gold = [row.label for row in rows if row.label is not None]
    if not gold:
        raise ValueError("a baseline needs rows with gold labels.")
    return gold


def _measured(rows: Sequence[Row], labels: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Overlaps, float64 (n,), and label numbers, int64 (n,), of the rows with gold."""
    if any(row.text_b is None for row in rows):
        raise ValueError("the character overlap needs pairs of texts.")
    labelled = [row for row in rows if row.label is not None]
    overlaps = np.array([character_overlap(row.text_a, row.text_b) for row in labelled])
    return overlaps, np.array([labels.index(row.label) for row in labelled])


def _best_threshold(overlaps: np.ndarray, gold: np.ndarray, classes: int) -> tuple[float, int, int, float]:
    """(threshold, label below it, label from it on, share right): the best over all thresholds that cut the rows."""
    order = np.argsort(overlaps, kind="stable")
    values = overlaps[order]
    below = np.zeros((len(gold) + 1, classes), np.int64)  # (n + 1, C): labels of the first i rows
    below[1:] = np.cumsum(np.eye(classes, dtype=np.int64)[gold[order]], axis=0)
    above = below[-1] - below
    right = below.max(axis=1) + above.max(axis=1)
    # A cut lies between two different values only; cut 0 puts every row on the upper side.
    cuttable = np.concatenate(([True], values[1:] > values[:-1], [False]))
    cut = int(np.argmax(np.where(cuttable, right, -1)))
    label_from = int(above[cut].argmax())
    label_below = int(below[cut].argmax()) if cut else label_from
    return float(values[cut]), label_below, label_from, float(right[cut] / len(gold))
