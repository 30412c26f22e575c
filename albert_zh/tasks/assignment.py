"""The exact assignment: each row gets a column of its own, so that the sum of the scores is the highest there is."""

from __future__ import annotations

import numpy as np


def best_assignment(scores: np.ndarray) -> np.ndarray:
    """The column of every row, no two the same, by which the scores add up to most.

    Shortest augmenting paths (Kuhn 1955, Munkres 1957; in the form of Jonker and Volgenant 1987): exact, O(n² m).

    >>> best_assignment(np.array([[9, 8, 0], [9, 1, 0]])).tolist()
    [1, 0]

    Args:
        scores: finite, (n, m), n rows and m columns, n <= m.

    Returns:
        int64 (n,).

    Raises:
        ValueError: there are more rows than columns, or a score is not finite.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or scores.shape[0] > scores.shape[1] or not np.isfinite(scores).all():
        raise ValueError(f"scores {scores.shape} must be finite, with a column for every row.")
    rows, columns = scores.shape
    first = scores.argmax(axis=1)
    if len(set(first.tolist())) == rows:  # each has the best it can have, as most rows do
        return first
    costs = -scores
    # Column 0 is where the path of a new row begins, so rows and columns are numbered from 1; row 0: a free column.
    row_price, column_price = np.zeros(rows + 1), np.zeros(columns + 1)
    owner = np.zeros(columns + 1, np.int64)
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        distance = np.full(columns + 1, np.inf)
        before = np.zeros(columns + 1, np.int64)
        reached = np.zeros(columns + 1, bool)
        while True:
            reached[column] = True
            own = owner[column]
            reduced = costs[own - 1] - row_price[own] - column_price[1:]
            nearer = ~reached[1:] & (reduced < distance[1:])
            distance[1:][nearer] = reduced[nearer]
            before[1:][nearer] = column
            following = int(np.where(reached, np.inf, distance).argmin())
            step = distance[following]
            row_price[owner[reached]] += step
            column_price[reached] -= step
            distance[~reached] -= step
            column = following
            if not owner[column]:
                break
        while column:  # every row of the path moves on by one column
            owner[column] = owner[before[column]]
            column = int(before[column])
    assigned = np.zeros(rows, np.int64)
    assigned[owner[1:][owner[1:] > 0] - 1] = np.flatnonzero(owner[1:] > 0)
    return assigned
