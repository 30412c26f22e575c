"""The models that answer for every token: where an answer begins and ends, and which tag a token has.

Shapes: B batch, L length, H hidden, C tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import keras
import numpy as np
from keras import ops

from albert_zh.config import AlbertConfig
from albert_zh.models.encoder import dense
from albert_zh.models.heads import CLASSIFIER_DROPOUT, AlbertModelBase

#: Added to the score of a place that holds padding: its share of a softmax is 0 in float32.
PADDING_SCORE = -1e9


def gathered(parts: Iterable[tuple[Sequence[int], np.ndarray]], lengths: Sequence[int]) -> np.ndarray:
    """The logits of batches as one array: float32 (n, C), or of heads that answer for each token (n, L, C), L that of
    the longest sequence and ``PADDING_SCORE`` behind the end of what a shorter batch has.

    Args:
        parts: of each batch the places of its sequences among all, and its logits (B, C) or (B, L', C).
        lengths: tokens of every sequence, (n,); one or more.
    """
    logits: np.ndarray | None = None
    for places, found in parts:
        if logits is None:
            per_token = (max(lengths),) if found.ndim == 3 else ()
            logits = np.full((len(lengths), *per_token, found.shape[-1]), PADDING_SCORE, np.float32)
        if found.ndim == 2:
            logits[places] = found
        else:
            width = min(found.shape[1], logits.shape[1])
            logits[places, :width] = found[:, :width]
    return logits


@keras.saving.register_keras_serializable("albert_zh")
class AlbertForSpan(AlbertModelBase):
    """ALBERT with two scores a token: how well an answer begins there, and how well it ends there.

    Call it with a dict of ``input_ids``, ``input_mask``, ``segment_ids`` int (B, L). It returns the encoder's
    outputs and ``logits`` float32 (B, L, 2), ``PADDING_SCORE`` and less where there is padding. (The span head of BERT,
    https://arxiv.org/abs/1810.04805, section 4.2; the place of [CLS] stands for "no answer".)
    """

    reads_pooler = False

    def __init__(self, config: AlbertConfig, seed: int = 0, name="albert", dtype=None):
        super().__init__(config, seed, name, dtype)
        self.span = dense(2, self.initializers, "span", "float32")
        self.build()

    def build(self, input_shape=None):
        self.encoder.build()
        self.span.build((None, None, self.config.hidden_size))
        self.built = True

    def call(self, inputs, training=False, heads_only=False):
        outputs = self.encoder(inputs, training=training)
        scores = self.span(ops.cast(outputs["sequence_output"], "float32"))  # (B, L, H) -> (B, L, 2)
        padding = 1.0 - ops.cast(inputs["input_mask"], "float32")
        return _answered(outputs, scores + PADDING_SCORE * padding[:, :, None], heads_only)


@keras.saving.register_keras_serializable("albert_zh")
class AlbertForTagging(AlbertModelBase):
    """ALBERT with the scores of C tags for every token, and where asked for a linear chain over them.

    Call it with a dict of ``input_ids``, ``input_mask``, ``segment_ids`` int (B, L). It returns the encoder's
    outputs and ``logits`` float32 (B, L, C). With ``crf`` it also returns ``transitions`` float32 (C, C), the score of
    a tag (across) after a tag (down), ``first`` and ``last`` (C,): a conditional random field (Lafferty et al. 2001;
    for tagging, https://arxiv.org/abs/1603.01360).
    """

    reads_pooler = False

    def __init__(
        self, config: AlbertConfig, num_tags: int, crf: bool = False, seed: int = 0, name="albert", dtype=None
    ):
        super().__init__(config, seed, name, dtype)
        self.num_tags, self.crf = num_tags, crf
        self.dropout = keras.layers.Dropout(CLASSIFIER_DROPOUT, name="dropout", dtype=self.dtype_policy)
        self.tagger = dense(num_tags, self.initializers, "tagger", "float32")
        self.chain = Chain(num_tags, name="chain") if crf else None
        self.build()

    def build(self, input_shape=None):
        self.encoder.build()
        self.tagger.build((None, None, self.config.hidden_size))
        if self.chain:
            self.chain.build()
        self.built = True

    def call(self, inputs, training=False, heads_only=False):
        outputs = self.encoder(inputs, training=training)
        hidden = self.dropout(outputs["sequence_output"], training=training)
        scores = self.tagger(ops.cast(hidden, "float32"))  # (B, L, H) -> (B, L, C)
        outputs = _answered(outputs, scores, heads_only)
        return outputs | self.chain.arrays() if self.chain else outputs

    def decoding_weights(self):
        """What is needed beside ``logits`` to find the best tags: the arrays of the chain, by name."""
        return {name: ops.convert_to_numpy(value) for name, value in self.chain.arrays().items()} if self.chain else {}

    def get_config(self):
        return {**super().get_config(), "num_tags": self.num_tags, "crf": self.crf}


class Chain(keras.layers.Layer):
    """The scores of tags that follow each other, and of the first and last tag of a sequence."""

    def __init__(self, num_tags: int, name="chain"):
        super().__init__(name=name, dtype="float32")
        self.num_tags = num_tags

    def build(self, input_shape=None):
        shapes = {"transitions": (self.num_tags, self.num_tags), "first": (self.num_tags,), "last": (self.num_tags,)}
        self.scores = {name: self.add_weight(shape, initializer="zeros", name=name) for name, shape in shapes.items()}
        self.built = True

    def arrays(self):
        """The scores as tensors, by name."""
        return {name: ops.convert_to_tensor(weight) for name, weight in self.scores.items()}


def _answered(outputs, logits, heads_only: bool):
    kept = {name: value for name, value in outputs.items() if not heads_only or name != "sequence_output"}
    return kept | {"logits": logits}
