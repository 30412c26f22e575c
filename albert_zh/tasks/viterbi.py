"""The best of all taggings of many sequences at once, exactly (Viterbi 1967).

Shapes: T tokens of all sequences, C tags, k sequences side by side.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: Numbers held at once: 64 MB of scores.
_AT_ONCE = 1 << 23


def best_taggings(
    scores: np.ndarray, lengths: np.ndarray, between: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """The tags of the highest sum of scores of every sequence, int32 (T,); of equal ones one of them.

    Args:
        scores: (T, C), of the tokens of one sequence after the other.
        lengths: int (n,), tokens of each sequence, 0 among them.
        between: (C, C), of a tag (across) after a tag (down); -inf where it may not be.
        first, last: (C,), of the first and last tag of a sequence.
    """
    lengths, tags = np.asarray(lengths), np.zeros(len(scores), np.int32)
    begins = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    for rows in _parts(lengths, scores.shape[1]):
        begin, size = begins[rows], lengths[rows]  # longest first, so those that go on are always the first ones
        total = first + scores[begin]  # (k, C), of the best tagging up to here that ends in each tag
        before = np.zeros((size[0], *total.shape), np.int16)
        for place in range(1, size[0]):
            going = int(np.count_nonzero(size > place))
            paths = total[:going, :, None] + between  # (k, C, C)
            before[place, :going] = paths.argmax(axis=1)
            total[:going] = paths.max(axis=1) + scores[begin[:going] + place]
        tag = (total + last).argmax(axis=1)
        for place in range(size[0] - 1, -1, -1):
            going = int(np.count_nonzero(size > place))
            tags[begin[:going] + place] = tag[:going]
            tag[:going] = before[place, np.arange(going), tag[:going]]
    return tags


def _parts(lengths: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """Numbers of the sequences that have tokens, longest first, as many together as memory allows."""
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    while len(order):
        size = max(_AT_ONCE // (width * max(width, int(lengths[order[0]]))), 1)
        yield order[:size]
        order = order[size:]
