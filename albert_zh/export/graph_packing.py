"""Sequences put together inside a TensorFlow graph, as ``text.packing`` does it outside.

Shapes: B sequences, L length of the longest, T tokens of all texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def pieces(values: tf.Tensor, begins: tf.Tensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    """Of (T,) values those from ``begins`` (B,) on, ``lengths`` (B,) of them: ragged (B, None)."""
    places = tf.ragged.range(begins, begins + lengths)
    return places.with_values(tf.gather(values, places.values))


def padded(values: tf.RaggedTensor, filling: int) -> tf.Tensor:
    """Ragged (B, None) as a tensor with one column at least, of filling where there is nothing."""
    dense = values.to_tensor(filling)
    missing = tf.cast(tf.equal(tf.shape(dense)[1], 0), tf.int32)
    return tf.pad(dense, [[0, 0], [0, missing]], constant_values=filling)


def joined(parts: Sequence[tuple[tf.RaggedTensor | Sequence[int], int]], pad_id: int) -> dict[str, tf.Tensor]:
    """The network's inputs int32 (B, L): in each row one part after the other, then padding.

    Args:
        parts: each ragged (B, None), or ids that are the same in every row, with its segment; one at least is ragged.
        pad_id: of padding.
    """
    rows = next(part for part, _ in parts if isinstance(part, tf.RaggedTensor)).nrows()
    ragged, masks, segments = [], [], []
    for part, segment in parts:
        if not isinstance(part, tf.RaggedTensor):
            same = tf.tile(tf.constant([list(part)], tf.int32), tf.stack([rows, tf.ones_like(rows)]))
            part = tf.RaggedTensor.from_tensor(same)
        ragged.append(part)
        masks.append(part.with_values(tf.ones_like(part.values)))
        segments.append(part.with_values(tf.fill(tf.shape(part.values), segment)))
    ids = tf.concat(ragged, axis=1)
    # No rows have no width, and the network reads the first place: hence one column at least.
    return {
        "input_ids": padded(ids, pad_id),
        "input_mask": padded(tf.concat(masks, axis=1), 0),
        "segment_ids": padded(tf.concat(segments, axis=1), 0),
    }


def pair_lengths(first: tf.Tensor, second: tf.Tensor, room: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Tokens kept of each of two texts, int32 (B,) and (B,); see ``packing.pair_lengths``."""
    half = room // 2
    fits, short_first, short_second = first + second <= room, first <= half, second <= half
    kept_first = tf.where(fits | short_first, first, tf.where(short_second, room - second, room - half))
    kept_second = tf.where(
        fits,
        second,
        tf.where(short_first, room - first, tf.where(short_second, second, tf.fill(tf.shape(second), half))),
    )
    return kept_first, kept_second


def begins_of(counts: tf.Tensor) -> tf.Tensor:
    """Where each text's tokens begin among those of all, int32 (B,)."""
    return tf.cumsum(counts, exclusive=True)
