"""What training minimises and measures, as sums and the counts they are divided by (see ``loop.Objective``).

Shapes: B rows, P predictions, V vocabulary, C classes.
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
    """Mean cross-entropy over the rows, nats, and accuracy. Batches hold ``labels`` int (B,), ``row_weights`` (B,)."""

    losses = ("loss",)

    def counts(self, batch):
        rows = tf.reduce_sum(batch["row_weights"])
        return {"loss": rows, "accuracy": rows}

    def sums(self, outputs, batch):
        loss, hits = _cross_entropy_and_hits(outputs["logits"], batch["labels"], batch["row_weights"])
        return {"loss": loss, "accuracy": hits}

    def mean_loss(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """The loss of rows at hand, logits (n, C), labels (n,)."""
        highest = logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
        return float(np.mean(log_sum - logits[np.arange(len(logits)), labels]))


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


#: Kind of a task's head -> what is minimised.
OBJECTIVES = {
    "classification": ClassificationObjective,
    "cloze": ClassificationObjective,
    "regression": RegressionObjective,
}
