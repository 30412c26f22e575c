"""Sequences of any length as a few padded batches for a model, shortest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from albert_zh.text.packing import pad_batch


def by_length(
    input_ids: Sequence[Sequence[int]],
    segment_ids: Sequence[Sequence[int]],
    size: int,
    pad_id: int,
    longest: int | None = None,
) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
    """Yields the places of up to ``size`` sequences of like length, and the model's inputs int32 (B, L) of them.

    L is a multiple of 8, so that few shapes occur, and at most ``longest``, the positions that a model has; None: any.
    """
    lengths = list(map(len, input_ids))
    order = sorted(range(len(input_ids)), key=lengths.__getitem__)
    for start in range(0, len(order), size):
        part = order[start : start + size]
        width = -(-lengths[part[-1]] // 8) * 8
        width = width if longest is None else min(width, longest)
        arrays = pad_batch([(input_ids[place], segment_ids[place]) for place in part], width, pad_id)
        yield part, dict(zip(("input_ids", "input_mask", "segment_ids"), arrays, strict=True))
