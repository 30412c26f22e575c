"""Sentence-order pairs: a document's sentences in chunks, each chunk in two segments, half of the time swapped.

The task is that of ALBERT (Lan et al. 2019, https://arxiv.org/abs/1909.11942, section 3.1): both segments come from one
document and follow each other; the label says whether they were swapped. There is no next-sentence prediction.

A document is a stretch of one long token array. Sentences, chunks and segments are offsets into it: nothing is copied
and, since chunks follow each other without gaps, nothing can get lost unseen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

#: [CLS], and a [SEP] after each segment.
SPECIAL_TOKENS_PER_PAIR = 3


class Pair(NamedTuple):
    """Two segments, tokens ``start:middle`` and ``middle:end``.

    ``swapped``: True puts the later segment first -> sentence-order label 1.
    """

    start: int
    middle: int
    end: int
    swapped: bool


class SegmentedDocument(NamedTuple):
    """The pairs of one pass over a document, and the stretches (start, end) too short to make or join one."""

    pairs: list[Pair]
    skipped: list[tuple[int, int]]


def cut_sentence(length: int, limit: int, word_starts: np.ndarray, after_punctuation: np.ndarray) -> list[int]:
    """Ends of the pieces a sentence is cut into so that none exceeds ``limit`` tokens; no token is dropped.

    Pieces are about equally long. A cut goes where a clause ends near there, else between two words, else (a word over
    the limit) inside the word.

    Arguments:
        length: tokens of the sentence.
        limit: most tokens of a piece.
        word_starts: (length,) bool, True on the first token of a word.
        after_punctuation: (length,) bool, True on a token that follows a punctuation mark.

    >>> words = np.array([True, False, True, True, False, True, False, True])
    >>> after_comma = np.array([False, False, False, True, False, False, False, False])
    >>> cut_sentence(8, 5, words, after_comma)
    [3, 8]
    """
    ends, start = [], 0
    while length - start > limit:
        pieces = -(-(length - start) // limit)
        aim = start + -(-(length - start) // pieces)
        last = start + limit
        words = np.flatnonzero(word_starts[start + 1 : last + 1]) + start + 1
        clauses = words[after_punctuation[words] & (words >= (start + aim) // 2)]
        candidates = clauses if len(clauses) else words
        start = int(candidates[np.argmin(np.abs(candidates - aim))]) if len(candidates) else aim
        ends.append(start)
    return [*ends, length]


def sop_pairs(
    start: int,
    sentence_ends: Sequence[int],
    word_starts: np.ndarray,
    after_punctuation: np.ndarray,
    max_tokens: int,
    short_seq_prob: float,
    rng: np.random.Generator,
) -> SegmentedDocument:
    """One pass over a document in chunks of whole sentences, each split at a random sentence end into A and B.

    A chunk is filled up to a target length: ``max_tokens`` or, with ``short_seq_prob``, a random shorter one, as in
    BERT.
    A sentence alone takes the next one to it if both fit; if none fits, it is split inside, after a punctuation mark
    or else between two words; if it is a single word, it joins the pair before it or is skipped.

    Arguments:
        start: offset of the document's first token.
        sentence_ends: ascending offsets where its sentences end; none longer than ``max_tokens``.
        word_starts: bool over all tokens, True on the first token of a word.
        after_punctuation: bool over all tokens, True on a token that follows a punctuation mark.
        max_tokens: most tokens of both segments together (sequence length less the 3 special tokens).
        short_seq_prob: chance of a shorter target.
        rng: draws lengths, splits and swaps.

    Returns:
        Pairs of two non-empty segments. Pairs and skipped stretches together cover the document once, in order.
    """
    pairs: list[Pair] = []
    skipped: list[tuple[int, int]] = []
    first, count, begin = 0, len(sentence_ends), start
    while first < count:
        short, size, split, swap = rng.random(4).tolist()
        target = 2 + int(size * (max_tokens - 1)) if short < short_seq_prob else max_tokens
        last = max(first + 1, bisect_right(sentence_ends, begin + target, first))
        if last == first + 1 < count and sentence_ends[last] - begin <= max_tokens:
            last += 1
        end = sentence_ends[last - 1]
        middle = None
        if last - first > 1:
            middle = sentence_ends[first + int(split * (last - first - 1))]
        else:
            cuts = np.flatnonzero(word_starts[begin + 1 : end]) + begin + 1
            clauses = cuts[after_punctuation[cuts]]
            if len(clauses) or len(cuts):
                middle = int((clauses if len(clauses) else cuts)[int(split * (len(clauses) or len(cuts)))])
        if middle is not None:
            pairs.append(Pair(begin, middle, end, swap < 0.5))
        elif pairs and pairs[-1].end == begin and end - pairs[-1].start <= max_tokens:
            pairs[-1] = pairs[-1]._replace(end=end)
        else:
            skipped.append((begin, end))
        first, begin = last, end
    return SegmentedDocument(pairs, skipped)
