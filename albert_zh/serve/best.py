"""The highest of many scores, in order; of equal ones the first."""

from __future__ import annotations

import numpy as np


def best_places(scores: np.ndarray, count: int) -> np.ndarray:
    """The places of the ``count`` highest scores (n,), highest first, those of equal scores in their order.

    >>> best_places(np.array([1, 5, 3, 5, 0]), 3).tolist()
    [1, 3, 2]
    """
    places = np.arange(len(scores))
    if count < len(scores):
        places = np.flatnonzero(scores >= np.partition(scores, -count)[-count])
    return places[np.argsort(-scores[places], kind="stable")][:count]
