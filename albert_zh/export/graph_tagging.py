"""Raw texts to the tags of their tokens inside a TensorFlow graph, as ``tasks.tagging`` finds them.

Shapes: B texts, n windows of all, T tokens of all texts, L most tokens of a text, C tags.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from albert_zh.export.graph_packing import begins_of, joined, pieces
from albert_zh.export.graph_sentences import Network
from albert_zh.export.graph_tokenizer import GraphTokenizer
from albert_zh.opened import OpenModel
from albert_zh.tasks.entities import rules


class TaggingTexts:
    """Texts in, the tag of every token out, and where in the text it stands.

    Call it with ``text``, strings (B,). It returns ``logits`` float32 (B, L, C), ``probabilities`` (B, L, C), of each
    token's scores alone; ``tags`` string (B, L), the best tags of the whole text by which no entity goes on that did
    not begin; ``starts`` and ``ends`` int32 (B, L), the characters (code points) of each token, the end exclusive; and
    ``count`` int32 (B,), tokens of each text: what stands after them is padding, of "" and 0. A text longer than a
    sequence is read in windows. Tokens ``B-name`` and the ``I-name`` that follow it are one entity.
    """

    inputs = ("text",)

    def __init__(self, opened: OpenModel, network: Network):
        self.opened, self.network = opened, network
        self.tokenizer = GraphTokenizer(opened.tokenizer)
        between, first = rules(len(opened.task.types))
        last = np.zeros(len(first))
        if weights := opened.model.decoding_weights():
            between, first, last = between + weights["transitions"], first + weights["first"], last + weights["last"]
        self._chain = between, first, last

    def __call__(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        encoded = self.tokenizer.encode(text)
        begins, counts = begins_of(encoded.counts), encoded.counts
        window, offset, inputs = self._windows(encoded.ids, begins, counts)
        logits = tf.gather_nd(self.network(inputs)["logits"], tf.stack([window, offset], axis=1))  # (T, C)

        def by_text(values):
            return pieces(values, begins, counts).to_tensor(tf.zeros([], values.dtype))

        scores = by_text(logits)
        # As the tasks do it: in float64, so that the same tags are the best ones.
        tags = best_tags(tf.nn.log_softmax(tf.cast(scores, tf.float64)), counts, *self._chain)
        names = tf.gather(tf.constant(("", *self.opened.task.labels)), tags + 1)
        return {
            "logits": scores,
            "probabilities": by_text(tf.nn.softmax(logits)),
            "tags": names,
            "starts": by_text(encoded.starts),
            "ends": by_text(encoded.ends),
            "count": counts,
        }

    def _windows(self, ids, begins, counts):
        """Of every token (T,) the window and the place in it where its scores are; and the network's inputs (n, …)."""
        room = self.opened.max_seq_length - 2
        step = room - room // 4
        many = 1 + tf.maximum(-(-(counts - room) // step), 0)  # windows of each text (B,)
        numbers = tf.ragged.range(many)
        text = tf.cast(numbers.value_rowids(), tf.int32)  # (n,)
        first = tf.minimum(numbers.values * step, tf.maximum(tf.gather(counts, text) - room, 0))
        sizes = tf.minimum(tf.gather(counts, text), room)
        tokenizer = self.opened.tokenizer
        parts = pieces(ids, tf.gather(begins, text) + first, sizes)
        inputs = joined([([tokenizer.cls_id], 0), (parts, 0), ([tokenizer.sep_id], 0)], tokenizer.pad_id)
        own = tf.repeat(tf.range(tf.size(counts)), counts)  # the text of each token (T,)
        place = tf.range(tf.size(ids)) - tf.gather(begins, own)
        # The windows that may hold a token: two of those at even steps, and the last one of its text (T, 3).
        last, size = tf.gather(many, own) - 1, tf.gather(counts, own)
        near = place // step
        window = tf.clip_by_value(tf.stack([near - 1, near, last], axis=1), 0, last[:, None])
        firsts = tf.minimum(window * step, tf.maximum(size - room, 0)[:, None])
        left = place[:, None] - firsts
        right = room - 1 - left
        inside = (left >= 0) & (right >= 0)
        # An end of the text cuts nothing off.
        left = tf.where(tf.equal(window, 0), room, left)
        right = tf.where(tf.equal(window, last[:, None]), room, right)
        best = tf.argmax(tf.where(inside, tf.minimum(left, right), -1), axis=1, output_type=tf.int32)
        return (
            tf.gather(begins_of(many), own) + tf.gather(window, best, axis=1, batch_dims=1),
            1 + place - tf.gather(firsts, best, axis=1, batch_dims=1),
            inputs,
        )


def best_tags(scores, counts, between, first, last):
    """The tags of the highest sum of each sequence, int32 (B, L), -1 for padding; see ``tasks.viterbi``.

    Args:
        scores: float64 (B, L, C).
        counts: int32 (B,), tokens of each.
        between, first, last: (C, C), (C,), (C,); see ``viterbi.best_taggings``.
    """
    between, first, last = (tf.constant(part, tf.float64) for part in (between, first, last))
    # One more token, of padding, so that there is a first one where no text has any.
    scores = tf.pad(scores, ((0, 0), (0, 1), (0, 0)))
    batch, length, width = tf.unstack(tf.shape(scores))
    total = first + scores[:, 0]

    def forward(place, total, before):
        paths = total[:, :, None] + between  # (B, C, C)
        going = (place < counts)[:, None]
        come = tf.where(going, tf.argmax(paths, axis=1, output_type=tf.int32), tf.range(width))
        total = tf.where(going, tf.reduce_max(paths, axis=1) + scores[:, place], total)
        return place + 1, total, before.write(place, come)

    before = tf.TensorArray(tf.int32, length, element_shape=(None, scores.shape[-1]))
    before = before.write(0, tf.zeros((batch, width), tf.int32))
    _, total, before = tf.while_loop(lambda place, *_: place < length, forward, (1, total, before))

    def back(place, tag, tags):
        tags = tags.write(place, tf.where(place < counts, tag, -1))
        return place - 1, tf.gather(before.read(place), tag, axis=1, batch_dims=1), tags

    tag = tf.argmax(total + last, axis=1, output_type=tf.int32)
    tags = tf.TensorArray(tf.int32, length, element_shape=(None,))
    _, _, tags = tf.while_loop(lambda place, *_: place >= 0, back, (length - 1, tag, tags))
    return tf.transpose(tags.stack()[:-1])
