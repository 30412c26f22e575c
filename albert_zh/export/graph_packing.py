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


def joined(parts: Sequence[tuple[tf.RaggedTensor | Sequence[int], int]], pad_id: int) -> dict[str, tf.Tensor]:
    """The network's inputs int32 (B, L): in each row one part after the other, then padding.

    Args:
        parts: each ragged (B, None), or ids that are the same in every row, with its segment; one at least is ragged.
        pad_id: of padding.
    """
    rows = next(part for part, _ in parts if isinstance(part, tf.RaggedTensor)).nrows()
    ragged, segments = [], []
    for part, segment in parts:
        if not isinstance(part, tf.RaggedTensor):
            same = tf.tile(tf.constant([list(part)], tf.int32), tf.stack([rows, tf.ones_like(rows)]))
            part = tf.RaggedTensor.from_tensor(same)
        ragged.append(part)
        segments.append(part.with_values(tf.fill(tf.shape(part.values), segment)))
    ids = tf.concat(ragged, axis=1)
    return {
        "input_ids": ids.to_tensor(pad_id),
        "input_mask": tf.sequence_mask(ids.row_lengths(), dtype=tf.int32),
        "segment_ids": tf.concat(segments, axis=1).to_tensor(0),
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
