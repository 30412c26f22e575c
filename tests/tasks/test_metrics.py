"""Scores against numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.tasks import metrics

# gold 0: three right of four, one called 1; gold 1: one right, one called 2; gold 2: never right.
GOLD = np.array([0, 0, 0, 0, 1, 1, 2])
ANSWERS = np.array([0, 0, 0, 1, 1, 2, 0])


def test_confusion_matrix_has_gold_down_and_predicted_across():
    assert metrics.confusion_matrix(GOLD, ANSWERS, 3).tolist() == [[3, 1, 0], [0, 1, 1], [1, 0, 0]]


def test_class_scores_equal_hand_computed_ones():
    scores = metrics.class_scores(metrics.confusion_matrix(GOLD, ANSWERS, 3))
    assert scores.precision.tolist() == pytest.approx([3 / 4, 1 / 2, 0])
    assert scores.recall.tolist() == pytest.approx([3 / 4, 1 / 2, 0])
    assert scores.f1.tolist() == pytest.approx([3 / 4, 1 / 2, 0])
    assert scores.support.tolist() == [4, 2, 1]


def test_precision_and_recall_are_not_mixed_up():
    scores = metrics.class_scores(np.array([[2, 3], [0, 5]]))
    assert scores.precision.tolist() == pytest.approx([1, 5 / 8])
    assert scores.recall.tolist() == pytest.approx([2 / 5, 1])
    assert scores.f1.tolist() == pytest.approx([4 / 7, 10 / 13])


def test_macro_f1_is_the_mean_over_the_classes_that_occur():
    matrix = metrics.confusion_matrix(GOLD, ANSWERS, 4)  # the fourth class never occurs
    assert metrics.macro_f1(matrix) == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)


def test_the_interval_is_that_of_resampled_rows():
    right = np.array([1] * 140 + [0] * 60)
    rng = np.random.default_rng(1)
    means = right[rng.integers(0, 200, size=(20_000, 200))].mean(axis=1)
    low, high = metrics.accuracy_interval(140, 200)
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.011)


@given(st.integers(1, 2000).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows))), st.integers(0, 99))
def test_the_interval_repeats_for_a_seed_and_holds_the_accuracy(counts, seed):
    low, high = metrics.accuracy_interval(*counts, seed=seed, resamples=500)
    assert (low, high) == metrics.accuracy_interval(*counts, seed=seed, resamples=500)
    assert low - 1e-9 <= counts[0] / counts[1] <= high + 1e-9


@pytest.mark.parametrize(("gold", "answers"), [([0, 1], [0]), ([], [])])
def test_labels_that_do_not_pair_up_are_refused(gold, answers):
    with pytest.raises(ValueError, match="equally many"):
        metrics.confusion_matrix(np.array(gold), np.array(answers), 2)


def test_an_interval_of_no_rows_is_refused():
    with pytest.raises(ValueError, match="no accuracy"):
        metrics.accuracy_interval(0, 0)
