"""[CLS] A [SEP] B [SEP]: one or two texts made into one sequence, and sequences into a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from albert_zh.files import InputError
from albert_zh.text.interface import Tokenizer


def pack_pair(
    first: Sequence[int], second: Sequence[int] | None, tokenizer: Tokenizer, max_length: int
) -> tuple[list[int], list[int]]:
    """One sequence ``[CLS] A [SEP]`` or ``[CLS] A [SEP] B [SEP]`` and its segments (0 up to A's [SEP], then 1).

    While it is too long the longer text loses its last token (B when they are equal), as in BERT's reference.

    Args:
        first: ids of A.
        second: ids of B, or None for a single text.
        max_length: most tokens of the sequence, special tokens counted.

    Returns:
        ``input_ids`` and ``segment_ids``, of one length up to ``max_length``.

    Raises:
        InputError: ``max_length`` leaves no room for a token of each text.
    """
    least = 3 if second is None else 5
    if max_length < least:
        raise InputError(f"max_seq_length is {max_length}: the special tokens leave no room. Use {least} or more.")
    if second is None:
        ids = [tokenizer.cls_id, *first[: max_length - 2], tokenizer.sep_id]
        return ids, [0] * len(ids)
    keep_first, keep_second = pair_lengths(len(first), len(second), max_length - 3)
    ids = [tokenizer.cls_id, *first[:keep_first], tokenizer.sep_id, *second[:keep_second], tokenizer.sep_id]
    return ids, [0] * (keep_first + 2) + [1] * (keep_second + 1)


def pair_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """Tokens kept of each of two texts so that both fit: the longer one gives, token by token.

    >>> pair_lengths(10, 3, 9), pair_lengths(10, 9, 9), pair_lengths(2, 2, 9)
    ((6, 3), (5, 4), (2, 2))
    """
    if first + second <= room:
        return first, second
    # When both end up cut, they are equal or A, which yields only while it is longer, is one ahead.
    if first <= room // 2:
        return first, room - first
    if second <= room // 2:
        return room - second, second
    return room - room // 2, room // 2


def pad_batch(
    sequences: Sequence[tuple[Sequence[int], Sequence[int]]], width: int, pad_id: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sequences of (ids, segments) as int32 ``input_ids``, ``input_mask``, ``segment_ids``, each (B, width).

    Raises:
        InputError: a sequence is longer than ``width``.
    """
    input_ids = np.full((len(sequences), width), pad_id, np.int32)
    input_mask, segment_ids = np.zeros((2, len(sequences), width), np.int32)
    for row, (ids, segments) in enumerate(sequences):
        if len(ids) > width:
            raise InputError(f"sequence {row} has {len(ids)} tokens, the batch is {width} wide. Shorten it first.")
        input_ids[row, : len(ids)] = ids
        input_mask[row, : len(ids)] = 1
        segment_ids[row, : len(ids)] = segments
    return input_ids, input_mask, segment_ids
