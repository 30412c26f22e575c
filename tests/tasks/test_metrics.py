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


def test_matthews_equals_hand_computed_ones():
    assert metrics.matthews(np.array([[6, 2], [1, 3]])) == pytest.approx((6 * 3 - 2 * 1) / np.sqrt(7 * 8 * 5 * 4))
    assert metrics.matthews(np.array([[0, 5], [3, 0]])) == pytest.approx(-1)
    # Three classes, as correlation of the indicators (Gorodkin): gold 4 2 1, answers 4 2 1 of 7 rows, 4 right.
    assert metrics.matthews(metrics.confusion_matrix(GOLD, ANSWERS, 3)) == pytest.approx((4 * 7 - 21) / (49 - 21))


def test_matthews_of_two_classes_is_pearson_of_zeros_and_ones():
    gold, answers = np.array([0, 0, 1, 1, 1, 0, 1]), np.array([0, 1, 1, 1, 0, 0, 1])
    found = metrics.matthews(metrics.confusion_matrix(gold, answers, 2))
    assert found == pytest.approx(metrics.pearson(gold, answers))


@pytest.mark.parametrize("confusion", [[[5, 0], [3, 0]], [[5, 2], [0, 0]], [[4, 0], [0, 0]]])
def test_matthews_of_one_class_alone_is_zero(confusion):
    assert metrics.matthews(np.array(confusion)) == 0


def test_f1_of_a_class_equals_hand_computed_ones():
    matrix = np.array([[2, 3], [1, 4]])  # answered 1: seven, four of them right; gold 1: five
    assert metrics.binary_f1(matrix, 1) == pytest.approx(2 * 4 / (7 + 5))
    assert metrics.binary_f1(matrix, 0) == pytest.approx(2 * 2 / (3 + 5))
    assert metrics.binary_f1(np.array([[4, 0], [0, 0]]), 1) == 0
    assert metrics.accuracy(matrix) == pytest.approx(6 / 10)


@pytest.mark.parametrize("measure", [metrics.accuracy, metrics.matthews, lambda m: metrics.binary_f1(m, 1)])
def test_the_interval_of_a_matrix_is_that_of_resampled_rows(measure):
    matrix = np.array([[60, 20], [15, 105]])
    gold, answers = np.repeat([0, 0, 1, 1], matrix.ravel()), np.repeat([0, 1, 0, 1], matrix.ravel())
    rng = np.random.default_rng(1)
    draws = (rng.integers(0, 200, 200) for _ in range(4000))
    values = [measure(metrics.confusion_matrix(gold[rows], answers[rows], 2)) for rows in draws]
    found = metrics.confusion_interval(matrix, measure)
    assert found == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.015)
    assert found == metrics.confusion_interval(matrix, measure)
    assert found[0] < measure(matrix) < found[1]


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
    with pytest.raises(ValueError, match="without rows"):
        metrics.confusion_interval(np.zeros((2, 2), int), metrics.matthews)
