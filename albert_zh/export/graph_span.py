"""Passages and questions to answers inside a TensorFlow graph, as ``tasks.span`` finds them.

Shapes: B questions, n windows of all, T tokens of all passages, L length of the longest
sequence.
"""

from __future__ import annotations

import tensorflow as tf

from albert_zh.export.graph_packing import begins_of, joined, pieces
from albert_zh.export.graph_sentences import Network
from albert_zh.export.graph_tokenizer import GraphTokenizer
from albert_zh.opened import OpenModel


class SpanTexts:
    """Passages and questions in, the piece of the passage that answers best out.

    Call it with ``passage`` and ``question``, strings (B,). It returns ``answer`` string (B,); ``start`` and ``end``
    int32 (B,), its characters (code points) in the passage, the end exclusive; ``score`` float32 (B,), and
    ``null_odds`` (B,), the score of "no answer" less that one. Where the task allows that there is no answer,
    ``answer`` is "" for ``null_odds`` above the task's threshold, and ``start`` and ``end`` are still those of the best
    piece. A passage longer than a sequence is read in windows; one without tokens has the answer "" and the score -inf.
    """

    inputs = ("passage", "question")

    def __init__(self, opened: OpenModel, network: Network):
        self.opened, self.network = opened, network
        self.tokenizer = GraphTokenizer(opened.tokenizer)

    def __call__(self, passage: tf.Tensor, question: tf.Tensor) -> dict[str, tf.Tensor]:
        task, tokenizer, length = self.opened.task, self.opened.tokenizer, self.opened.max_seq_length
        encoded = self.tokenizer.encode(tf.concat([passage, question], axis=0))
        counts, asked_count = tf.split(encoded.counts, 2)
        begins, asked_begins = tf.split(begins_of(encoded.counts), 2)
        asked_count = tf.minimum(asked_count, min(task.max_query_length, (length - 3) // 2))
        room = length - (asked_count + 2) - 1  # (B,)
        stride = tf.minimum(task.doc_stride, tf.maximum(room // 2, 1))
        many = 1 + tf.maximum(-(-(counts - room) // stride), 0)
        numbers = tf.ragged.range(many)
        own = tf.cast(numbers.value_rowids(), tf.int32)  # the question of each window (n,)
        first = numbers.values * tf.gather(stride, own)
        count = tf.minimum(tf.gather(counts, own) - first, tf.gather(room, own))
        questions = pieces(encoded.ids, tf.gather(asked_begins, own), tf.gather(asked_count, own))
        windows = pieces(encoded.ids, tf.gather(begins, own) + first, count)
        head, tail = [tokenizer.cls_id], [tokenizer.sep_id]
        inputs = joined([(head, 0), (questions, 0), (tail, 0), (windows, 1), (tail, 1)], tokenizer.pad_id)
        logits = self.network(inputs)["logits"]  # (n, L, 2)
        offset = tf.gather(asked_count, own) + 2
        place = tf.range(tf.shape(logits)[1])[None, :] - offset[:, None]  # in the window (n, L)
        inside = (place >= 0) & (place < count[:, None])
        sizes = (tf.gather(part, own) for part in (room, stride, counts, many))
        owns = _has_most_context(numbers.values, first[:, None] + place, *sizes)
        begin = tf.where(inside & owns, logits[:, :, 0], -float("inf"))
        end = tf.where(inside, logits[:, :, 1], -float("inf"))
        score, head_at, tail_at = self._best(begin, end, first[:, None] + place, own, tf.size(counts))
        null = tf.math.unsorted_segment_min(logits[:, 0, 0] + logits[:, 0, 1], own, tf.size(counts))
        there = score > score.dtype.min  # which is the highest of no scores
        score = tf.where(there, score, -float("inf"))
        at = tf.boolean_mask(tf.stack([begins + head_at, begins + tail_at], axis=1), there)
        rows = tf.cast(tf.where(there), tf.int32)
        start = tf.scatter_nd(rows, tf.gather(encoded.starts, at[:, 0]), tf.shape(counts))
        stop = tf.scatter_nd(rows, tf.gather(encoded.ends, at[:, 1]), tf.shape(counts))
        answer = tf.strings.substr(passage, start, stop - start, unit="UTF8_CHAR")
        odds = null - score
        if task.unanswerable:
            given = task.null_score_diff_threshold
            answer = tf.where(odds > (task.null_threshold if given is None else given), "", answer)
        return {"answer": answer, "start": start, "end": stop, "score": score, "null_odds": odds}

    def _best(self, begin, end, tokens, own, rows):
        """Of every question the best score (B,) and the first and last token in its passage; of equal pairs the first.

        Args:
            begin, end: scores (n, L), -inf where none can be.
            tokens: of each place the token's number in its passage (n, L).
            own: the question of each window (n,).
            rows: B.
        """
        reach, length = self.opened.task.max_answer_length, tf.shape(begin)[1]
        beyond = tf.pad(end, ((0, 0), (0, reach)), constant_values=-float("inf"))
        # Of each first token the best last one, the nearest of equals, then the best first one.
        pairs = tf.stack([begin + beyond[:, far : far + length] for far in range(reach)], axis=-1)
        far = tf.argmax(pairs, axis=-1, output_type=tf.int32)  # (n, L)
        scores = tf.reduce_max(pairs, axis=-1)
        best = tf.math.unsorted_segment_max(tf.reduce_max(scores, axis=1), own, rows)  # (B,)
        equal = tf.equal(scores, tf.gather(best, own)[:, None])
        nearest = tf.reduce_min(tf.where(equal, tokens, tf.int32.max), axis=1)
        first = tf.math.unsorted_segment_min(nearest, own, rows)
        chosen = equal & tf.equal(tokens, tf.gather(first, own)[:, None])
        last = tf.math.unsorted_segment_min(
            tf.reduce_min(tf.where(chosen, tokens + far, tf.int32.max), axis=1), own, rows
        )
        return best, first, last


def _has_most_context(number, tokens, room, stride, size, many):
    """Whether each place's token stands in the window where its shorter side is longest, bool (n, L); see
    ``span_windows.has_most_context``.

    Args:
        number: of each window among those of its passage (n,).
        tokens: of each place the token's number in its passage (n, L).
        room, stride, size, many: of each window's passage the tokens a window has room for, those from one window to
            the next, its own, and its windows (n,).
    """
    room, stride, size, many = (part[:, None, None] for part in (room, stride, size, many))
    # The windows that may hold a token, in their order (n, L, K).
    back = tf.range(tf.maximum(tf.reduce_max(room // stride), 0), -1, -1)
    windows = tokens[:, :, None] // stride - back
    first = windows * stride
    count = tf.minimum(room, size - first)
    left = tokens[:, :, None] - first
    right = first + count - 1 - tokens[:, :, None]
    context = tf.cast(tf.minimum(left, right), tf.float64) + 0.01 * tf.cast(count, tf.float64)
    inside = (windows >= 0) & (windows < many) & (left >= 0) & (right >= 0)
    best = tf.argmax(tf.where(inside, context, -tf.ones_like(context)), axis=-1, output_type=tf.int32)
    return tf.equal(tf.gather(windows, best, axis=2, batch_dims=2), number[:, None])
