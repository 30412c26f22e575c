"""Where answers lie in the windows of a passage: which tokens hold them, which pairs of tokens score best.

Shapes: n windows, L length of the longest, N pairs kept of each.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from albert_zh.tasks.task import Features

#: Numbers of scores that are compared at once: 64 MB.
_AT_ONCE = 1 << 24


def best_pairs(
    logits: np.ndarray, features: Features, n_best: int, max_tokens: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every window the best pairs of a first and a last token; those that cannot be have the score -inf.

    Args:
        logits: scores of beginning and of ending, (n, L, 2).
        features: the windows, as ``SpanTask.featurize`` makes them.
        n_best: N, pairs kept of a window.
        max_tokens: of an answer.

    Returns:
        Their scores (n, N), and the first and last token, counted from the window's first (n, N).
    """
    places, length = features.places, logits.shape[1]
    offset, count = (places[name][:, None] for name in ("offset", "count"))
    place = np.arange(length)[None, :] - offset
    inside = (place >= 0) & (place < count)  # (n, L)
    begin = np.where(inside & has_most_context(features, length), logits[:, :, 0], -np.inf)
    end = np.where(inside, logits[:, :, 1], -np.inf)
    reach = min(max_tokens, length)
    kept = min(n_best, reach * length)
    padded = np.pad(end, ((0, 0), (0, reach)), constant_values=-np.inf)
    scores, firsts, lasts = [], [], []
    for part in _parts(len(logits), max(_AT_ONCE // (reach * length), 1)):
        # pairs[i, d, b]: of window i, from token b to token b + d.
        pairs = np.stack([begin[part] + padded[part, far : far + length] for far in range(reach)], axis=1)
        flat = pairs.reshape(len(pairs), -1)
        chosen = np.argpartition(-flat, kept - 1, axis=1)[:, :kept]
        scores.append(np.take_along_axis(flat, chosen, axis=1))
        far, first = np.divmod(chosen, length)
        firsts.append(first - offset[part])
        lasts.append(first + far - offset[part])
    return tuple(np.concatenate(values) for values in (scores, firsts, lasts))


def has_most_context(features: Features, length: int) -> np.ndarray:
    """Whether a token of the passage stands in the window where the shorter of its sides is longest, (n, L)."""
    places, most = features.places, np.ones((len(features), length), bool)
    sizes = np.bincount(features.row_numbers, minlength=len(features.rows))
    many = np.flatnonzero(sizes[features.row_numbers] > 1)
    for windows in np.split(many, np.flatnonzero(np.diff(features.row_numbers[many])) + 1) if len(many) else ():
        first, count = places["first"][windows], places["count"][windows]
        token = np.arange((first + count).max())[None, :]
        left, right = token - first[:, None], (first + count)[:, None] - 1 - token
        context = np.where((left >= 0) & (right >= 0), np.minimum(left, right) + 0.01 * count[:, None], -1.0)
        owner = context.argmax(axis=0)
        for number, window in enumerate(windows):
            begin = places["offset"][window]
            own = owner[first[number] : first[number] + count[number]] == number
            most[window, begin : begin + count[number]] = own
    return most


def tokens_of(begin: int, end: int, starts: np.ndarray, ends: np.ndarray) -> tuple[int, int]:
    """Numbers of the first and last token that hold a character of ``begin`` to ``end``; (-1, -1): none does.

    >>> tokens_of(2, 5, np.array([0, 2, 4, 6]), np.array([2, 4, 6, 8]))
    (1, 2)
    """
    first = int(np.searchsorted(ends, begin, side="right"))
    last = int(np.searchsorted(starts, end, side="left")) - 1
    return (first, last) if first <= last else (-1, -1)


def _parts(total: int, size: int) -> Iterator[slice]:
    yield from (slice(start, start + size) for start in range(0, total, size))
