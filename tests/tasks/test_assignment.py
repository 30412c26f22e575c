"""The assignment is the best there is, whatever the scores."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.tasks.assignment import best_assignment


@st.composite
def tables(draw):
    rows = draw(st.integers(1, 5))
    columns = draw(st.integers(rows, 6))
    # Few values, so that ties and rows that want the same column are common; and any values at all.
    values = draw(st.sampled_from([st.integers(0, 3), st.floats(-1e6, 1e6)]))
    return np.array([[draw(values) for _ in range(columns)] for _ in range(rows)], np.float64)


@given(tables())
def test_no_assignment_adds_up_to_more(scores):
    rows, columns = scores.shape
    chosen = best_assignment(scores)
    assert len(set(chosen.tolist())) == len(chosen) == rows
    best = max(sum(scores[range(rows), places]) for places in itertools.permutations(range(columns), rows))
    assert scores[range(rows), chosen].sum() == pytest.approx(best, rel=1e-9, abs=1e-6)


def test_rows_that_do_not_compete_get_their_highest():
    assert best_assignment(np.array([[0, 5, 1], [7, 1, 1]])).tolist() == [1, 0]


def test_ten_rows_that_all_want_the_same_are_told_apart():
    scores = np.tile(-np.arange(10.0), (10, 1))
    assert sorted(best_assignment(scores).tolist()) == list(range(10))


@pytest.mark.parametrize("scores", [np.zeros((3, 2)), np.array([[0, -np.inf]]), np.array([[np.nan, 0]]), np.zeros(3)])
def test_what_cannot_be_assigned_is_refused(scores):
    with pytest.raises(ValueError, match="must be finite, with a column for every row"):
        best_assignment(scores)
