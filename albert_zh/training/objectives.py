"""What training minimises and measures, as sums and the counts they are divided by (see ``loop.Objective``).

Shapes: B rows, L length, P predictions, V vocabulary, C classes or tags.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def _cross_entropy_and_hits(logits, labels, weights):
    """Weighted sums over all places of -log p(label), in nats, and of hits: logits (…, V), labels and weights (…)."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    hits = tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32) == labels, tf.float32)
    return tf.reduce_sum(losses * weights), tf.reduce_sum(hits * weights)


class PretrainingObjective:
    """Mean masked-LM cross-entropy over the masked tokens plus mean sentence-order cross-entropy over the rows, nats.

    Lan et al. 2019, section 3.1. Equals, for logits z and labels y, mean(logsumexp(z) - z[y]) in float32. Outputs hold
    ``mlm_logits`` (B, P, V) and ``sop_logits`` (B, 2); batches ``masked_lm_ids`` and ``masked_lm_weights`` (B, P),
    ``next_sentence_labels`` and ``row_weights`` (B,).
    """

    losses = ("mlm_loss", "sop_loss")

    def counts(self, batch):
        tokens, rows = tf.reduce_sum(batch["masked_lm_weights"]), tf.reduce_sum(batch["row_weights"])
        return {"mlm_loss": tokens, "mlm_accuracy": tokens, "sop_loss": rows, "sop_accuracy": rows}

    def sums(self, outputs, batch):
        mlm = _cross_entropy_and_hits(outputs["mlm_logits"], batch["masked_lm_ids"], batch["masked_lm_weights"])
        sop = _cross_entropy_and_hits(outputs["sop_logits"], batch["next_sentence_labels"], batch["row_weights"])
        return {"mlm_loss": mlm[0], "mlm_accuracy": mlm[1], "sop_loss": sop[0], "sop_accuracy": sop[1]}


class ClassificationObjective:
    """Mean cross-entropy over the rows, nats, and accuracy. Batches hold ``labels`` int (B,), ``row_weights`` (B,).

    Of choices the classes are the K texts of a row.
    """

    losses = ("loss",)

    def counts(self, batch):
        rows = tf.reduce_sum(batch["row_weights"])
        return {"loss": rows, "accuracy": rows}

    def sums(self, outputs, batch):
        loss, hits = _cross_entropy_and_hits(outputs["logits"], batch["labels"], batch["row_weights"])
        return {"loss": loss, "accuracy": hits}

    def mean_loss(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """The loss of rows at hand, logits (n, C), labels (n,)."""
        return float(np.mean(_log_sum(logits) - logits[np.arange(len(logits)), labels]))


class RegressionObjective:
    """Mean squared error over the rows. Batches hold ``labels`` float (B,), ``row_weights`` (B,)."""

    losses = ("loss",)

    def counts(self, batch):
        return {"loss": tf.reduce_sum(batch["row_weights"])}

    def sums(self, outputs, batch):
        errors = outputs["logits"][:, 0] - batch["labels"]
        return {"loss": tf.reduce_sum(tf.square(errors) * batch["row_weights"])}

    def mean_loss(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """The loss of rows at hand, logits (n, 1), labels (n,)."""
        return float(np.mean((logits[:, 0] - labels) ** 2))


class SpanObjective:
    """Mean over the windows of half the cross-entropy of the first and half that of the last token's place, nats.

    Devlin et al. 2018, section 4.2. Batches hold ``labels`` int (B, 2), -1 where there is no gold, ``row_weights``
    (B,); outputs ``logits`` (B, L, 2).
    """

    losses = ("loss",)

    def counts(self, batch):
        rows = tf.reduce_sum(_with_gold(batch))
        return {"loss": rows, "accuracy": rows}

    def sums(self, outputs, batch):
        places, weights = tf.maximum(batch["labels"], 0), _with_gold(batch)
        scores = tf.transpose(outputs["logits"], [0, 2, 1])  # (B, L, 2) -> (B, 2, L)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=places, logits=scores)
        hits = tf.reduce_all(tf.argmax(scores, axis=-1, output_type=tf.int32) == places, axis=1)
        return {
            "loss": tf.reduce_sum(tf.reduce_mean(losses, axis=1) * weights),
            "accuracy": tf.reduce_sum(tf.cast(hits, tf.float32) * weights),
        }

    def mean_loss(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """The loss of windows at hand with gold, logits (n, L, 2), labels (n, 2)."""
        known = labels[:, 0] >= 0
        scores, labels = logits[known].transpose(0, 2, 1), labels[known]  # (n, 2, L), (n, 2)
        if not len(labels):
            return 0.0
        return float(np.mean(_log_sum(scores) - np.take_along_axis(scores, labels[:, :, None], axis=2)[:, :, 0]))


def _with_gold(batch):
    """Weights of the rows, 0 for those without gold."""
    return batch["row_weights"] * tf.cast(batch["labels"][:, 0] >= 0, tf.float32)


class TaggingObjective:
    """Mean cross-entropy over the tokens that have a tag, nats, and the share of tags right.

    Batches hold ``labels`` int (B, L), -1 for no tag; outputs ``logits`` (B, L, C).
    """

    losses = ("loss",)

    def counts(self, batch):
        tokens = tf.reduce_sum(tf.cast(batch["labels"] >= 0, tf.float32))
        return {"loss": tokens, "accuracy": tokens}

    def sums(self, outputs, batch):
        tags = batch["labels"]
        weights = tf.cast(tags >= 0, tf.float32)
        loss, hits = _cross_entropy_and_hits(outputs["logits"], tf.maximum(tags, 0), weights)
        return {"loss": loss, "accuracy": hits}

    def mean_loss(self, logits: np.ndarray, labels) -> float:
        """The loss of sequences at hand: logits (n, L, C), labels of each sequence, a tag a token."""
        losses = [
            _log_sum(scores[: len(tags)])[tags >= 0] - scores[: len(tags)][tags >= 0, tags[tags >= 0]]
            for scores, tags in zip(logits, labels, strict=True)
        ]
        return float(np.mean(np.concatenate(losses)))


class ChainObjective:
    """Mean over the sequences of -log p(their tags) by a conditional random field, nats a sequence.

    p is exp(score) over the sum of all taggings' exp(score), found by the forward recursion (Lafferty et al. 2001).
    The tags of a sequence stand side by side, as those of all tokens between [CLS] and [SEP] do. Batches hold
    ``labels`` int (B, L), -1 for none; outputs ``logits`` (B, L, C), ``transitions`` (C, C), ``first``, ``last`` (C,).
    """

    losses = ("loss",)

    def counts(self, batch):
        tagged = tf.reduce_any(batch["labels"] >= 0, axis=1)
        return {"loss": tf.reduce_sum(tf.cast(tagged, tf.float32))}

    def sums(self, outputs, batch):
        scores, tags = outputs["logits"], batch["labels"]
        chain = outputs["transitions"], outputs["first"], outputs["last"]
        return {"loss": tf.reduce_sum(_chain_losses(scores, tags, *chain))}

    def mean_loss(self, logits: np.ndarray, labels, transitions, first, last) -> float:
        """The loss of sequences at hand: logits (n, L, C), labels of each sequence, a tag a token."""
        tags = np.full(logits.shape[:2], -1, np.int32)
        for row, own in zip(tags, labels, strict=True):
            row[: len(own)] = own
        losses = _chain_losses(*map(tf.convert_to_tensor, (logits, tags, transitions, first, last))).numpy()
        return float(losses.sum() / max((tags >= 0).any(axis=1).sum(), 1))


def _chain_losses(scores, tags, transitions, first, last):
    """-log p of the tags of each sequence, (B,); 0 for one without tags. scores (B, L, C), tags (B, L)."""
    held = tf.cast(tags >= 0, tf.float32)  # (B, L)
    known, place = tf.maximum(tags, 0), tf.range(tf.shape(tags)[1])[None, :]
    # Of each sequence the places of its first and last tag.
    begin = tf.reduce_min(tf.where(tags >= 0, place, tf.shape(tags)[1]), axis=1)[:, None]
    end = tf.reduce_max(tf.where(tags >= 0, place, -1), axis=1)[:, None]
    own = tf.gather(scores, known, batch_dims=2) * held
    own += tf.where(place == begin, tf.gather(first, known), 0.0) + tf.where(place == end, tf.gather(last, known), 0.0)
    between = tf.gather_nd(transitions, tf.stack([known[:, :-1], known[:, 1:]], axis=-1))
    path = tf.reduce_sum(own, axis=1) + tf.reduce_sum(between * held[:, :-1] * held[:, 1:], axis=1)

    def forward(alpha, now):
        score, here, starts = now  # (B, C), (B,), (B,)
        following = tf.reduce_logsumexp(alpha[:, :, None] + transitions[None], axis=1) + score
        alpha = tf.where(here[:, None] > 0, following, alpha)
        return tf.where(starts[:, None], first[None] + score, alpha)

    moments = tf.transpose(scores, [1, 0, 2]), tf.transpose(held), tf.transpose(place == begin)
    alphas = tf.scan(forward, moments, initializer=tf.zeros_like(scores[:, 0]))  # (L, B, C)
    total = tf.reduce_logsumexp(alphas[-1] + last[None], axis=1)
    return tf.where(end[:, 0] >= 0, total - path, 0.0)


def _log_sum(scores: np.ndarray) -> np.ndarray:
    """log of the sum of exp over the last axis."""
    highest = scores.max(axis=-1, keepdims=True)
    return np.log(np.exp(scores - highest).sum(axis=-1)) + highest[..., 0]


#: Kind of a task's head -> what is minimised.
OBJECTIVES = {
    "classification": ClassificationObjective,
    "cloze": ClassificationObjective,
    "regression": RegressionObjective,
    "choice": ClassificationObjective,
    "span": SpanObjective,
    "tagging": TaggingObjective,
    "crf": ChainObjective,
}
