"""The models people call: the encoder with the pretraining heads, with a classifier, and with words for its classes.

Shapes: B batch, L length, P predictions, H hidden, E embedding, V vocabulary, C classes, K blanks.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from albert_zh.config import AlbertConfig
from albert_zh.models.encoder import AlbertEncoder, Initializers, activation, dense, layer_norm, rows_at

#: Share of the pooled output dropped before the classifier in training, as in the published fine-tuning code.
CLASSIFIER_DROPOUT = 0.1
#: Added to the score of a choice that is not there.
NO_CHOICE = -1e9


class MaskedLanguageModel(keras.layers.Layer):
    """Scores over the vocabulary at the masked positions, tied to the word embedding."""

    def __init__(self, config: AlbertConfig, initializers: Initializers, name="masked_lm", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.config = config
        self._width = config.hidden_size if config.family == "brightmart" else config.embedding_size
        self.transform = dense(self._width, initializers, "transform", self.dtype_policy)
        self.norm = layer_norm(config, "norm", self.dtype_policy)
        self.activation = activation(config.hidden_act)

    def build(self, input_shape=None):
        self.transform.build((None, None, self.config.hidden_size))
        self.norm.build((None, None, self._width))
        # The scores it is added to are float32 in any precision.
        self.output_bias = self.add_weight(
            (self.config.vocab_size,), initializer="zeros", name="output_bias", dtype="float32", autocast=False
        )
        self.built = True

    def call(self, x, embeddings):
        """Hidden states x (B, P, H) of the masked positions, the encoder's Embeddings -> float32 logits (B, P, V)."""
        x = self.norm(self.activation(self.transform(x)))
        if self.config.family == "brightmart":
            x = ops.matmul(x, ops.transpose(ops.cast(embeddings.projection.kernel, x.dtype)))  # (B, P, H) -> (B, P, E)
        logits = ops.matmul(x, ops.transpose(ops.cast(embeddings.word, x.dtype)))  # (B, P, E) -> (B, P, V)
        return ops.cast(logits, "float32") + self.output_bias


class AlbertModelBase(keras.Model):
    """What the models share: a config, a seed, weights that exist from the start.

    Attributes:
        reads_pooler: whether the pooler takes part in what the model is trained on.
    """

    reads_pooler = True

    def __init__(self, config: AlbertConfig, seed: int, name: str, dtype):
        super().__init__(name=name, dtype=dtype)
        if isinstance(config, dict):  # what Keras hands over when it reads a saved model
            config = AlbertConfig.from_dict(config)
        self.config, self.seed = config, seed
        self.initializers = Initializers(config, seed)
        self.encoder = AlbertEncoder(config, self.initializers, dtype=self.dtype_policy)

    def _encoded(self, inputs, training: bool, heads_only: bool, read=None):
        """The encoder's outputs, and the hidden states (B, Q, H) at ``read`` int (B, Q); None: of none.

        With ``heads_only`` the last block is computed at [CLS] and at ``read`` alone, a quarter less to do in a network
        of four layers, and there is no ``sequence_output``.
        """
        if not heads_only:
            outputs = self.encoder(inputs, training=training)
            return outputs, None if read is None else rows_at(outputs["sequence_output"], read)
        first = ops.zeros_like(ops.convert_to_tensor(inputs["input_ids"], dtype="int32")[:, :1])
        positions = first if read is None else ops.concatenate([first, ops.cast(read, "int32")], axis=1)
        outputs = self.encoder(inputs, training=training, positions=positions)
        return outputs, outputs.pop("sequence_output")[:, 1:]

    def get_config(self):
        return {"config": self.config.to_dict(), "seed": self.seed, "name": self.name}


@keras.saving.register_keras_serializable("albert_zh")
class AlbertModel(AlbertModelBase):
    """ALBERT without a head.

    Call it with a dict of ``input_ids``, ``input_mask``, ``segment_ids`` int (B, L). It returns a dict:
    ``sequence_output`` (B, L, H), ``pooled_output`` (B, H).
    """

    def __init__(self, config: AlbertConfig, seed: int = 0, name="albert", dtype=None):
        super().__init__(config, seed, name, dtype)
        self.build()

    def build(self, input_shape=None):
        self.encoder.build()
        self.built = True

    def call(self, inputs, training=False):
        return self.encoder(inputs, training=training)


@keras.saving.register_keras_serializable("albert_zh")
class AlbertForPretraining(AlbertModelBase):
    """ALBERT with the masked-LM and the sentence-order head.

    Call it with a dict of ``input_ids``, ``input_mask``, ``segment_ids`` int (B, L) and, for the masked-LM scores,
    ``masked_lm_positions`` int (B, P). It returns a dict: ``sequence_output`` (B, L, H), ``pooled_output`` (B, H),
    ``mlm_logits`` float32 (B, P, V; only with positions), ``sop_logits`` float32 (B, 2; class 1 means swapped).
    ``heads_only`` leaves ``sequence_output`` out, which is faster.
    """

    def __init__(self, config: AlbertConfig, seed: int = 0, name="albert", dtype=None):
        super().__init__(config, seed, name, dtype)
        self.masked_lm = MaskedLanguageModel(self.config, self.initializers, dtype=self.dtype_policy)
        self.sentence_order = dense(2, self.initializers, "sentence_order", "float32")
        self.build()

    def build(self, input_shape=None):
        self.encoder.build()
        self.masked_lm.build()
        self.sentence_order.build((None, self.config.hidden_size))
        self.built = True

    def call(self, inputs, training=False, heads_only=False):
        outputs, read = self._encoded(inputs, training, heads_only, inputs.get("masked_lm_positions"))
        outputs["sop_logits"] = self.sentence_order(ops.cast(outputs["pooled_output"], "float32"))
        if inputs.get("masked_lm_positions") is not None:
            outputs["mlm_logits"] = self.masked_lm(read, embeddings=self.encoder.embeddings)
        return outputs


def word_scores(logits, words):
    """Mean log-probability of words in blanks: masked-LM logits (B, K, V), word ids int (C, K) -> float32 (B, C).

    The mean over the K pieces of a word, not their sum, so that words of other lengths can be held against it.
    """
    logs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    words = ops.convert_to_tensor(words, "int32")
    return ops.mean(ops.stack([ops.take(logs[:, k], words[:, k], axis=-1) for k in range(words.shape[1])]), axis=0)


@keras.saving.register_keras_serializable("albert_zh")
class AlbertForCloze(AlbertModelBase):
    """ALBERT with the masked-LM head, asked for C words in the K blanks of every sequence; see ``word_scores``.

    Call it with a dict of ``input_ids``, ``input_mask``, ``segment_ids`` int (B, L), each row with K ids ``mask_id``.
    It returns the encoder's outputs and ``logits`` float32 (B, C). The pooler takes no part. ``heads_only`` leaves
    ``sequence_output`` out, which is faster.
    """

    reads_pooler = False

    def __init__(
        self,
        config: AlbertConfig,
        words: Sequence[Sequence[int]],
        mask_id: int,
        seed: int = 0,
        name="albert",
        dtype=None,
    ):
        super().__init__(config, seed, name, dtype)
        self.words, self.mask_id = [list(word) for word in words], mask_id
        self.masked_lm = MaskedLanguageModel(self.config, self.initializers, dtype=self.dtype_policy)
        self.build()

    def build(self, input_shape=None):
        self.encoder.build()
        self.masked_lm.build()
        self.built = True

    def call(self, inputs, training=False, heads_only=False):
        blank = ops.cast(ops.equal(inputs["input_ids"], self.mask_id), "int32")  # (B, L)
        _, positions = ops.top_k(blank, len(self.words[0]))  # (B, K), the first ones first
        outputs, read = self._encoded(inputs, training, heads_only, positions)
        outputs["logits"] = word_scores(self.masked_lm(read, embeddings=self.encoder.embeddings), self.words)
        return outputs

    def get_config(self):
        return {**super().get_config(), "words": self.words, "mask_id": self.mask_id}


@keras.saving.register_keras_serializable("albert_zh")
class AlbertForClassification(AlbertModelBase):
    """ALBERT with one dense layer on the pooled output: scores of C classes, or for regression one number (C = 1).

    Call it with a dict of ``input_ids``, ``input_mask``, ``segment_ids`` int (B, L). It returns the encoder's
    outputs and ``logits`` float32 (B, C). ``heads_only`` leaves ``sequence_output`` out, which is faster.
    """

    def __init__(self, config: AlbertConfig, num_classes: int, seed: int = 0, name="albert", dtype=None):
        super().__init__(config, seed, name, dtype)
        self.num_classes = num_classes
        self.dropout = keras.layers.Dropout(CLASSIFIER_DROPOUT, name="dropout", dtype=self.dtype_policy)
        self.classifier = dense(num_classes, self.initializers, "classifier", "float32")
        self.build()

    def build(self, input_shape=None):
        self.encoder.build()
        self.classifier.build((None, self.config.hidden_size))
        self.built = True

    def call(self, inputs, training=False, heads_only=False):
        outputs, _ = self._encoded(inputs, training, heads_only)
        pooled = self.dropout(outputs["pooled_output"], training=training)
        outputs["logits"] = self.classifier(ops.cast(pooled, "float32"))  # (B, H) -> (B, C)
        return outputs

    def rescale(self, factor: float, shift: float) -> None:
        """Makes the logits those of before times ``factor`` plus ``shift``, by the head's weights."""
        kernel, bias = self.classifier.kernel, self.classifier.bias
        kernel.assign(ops.convert_to_tensor(kernel) * factor)
        bias.assign(ops.convert_to_tensor(bias) * factor + shift)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable("albert_zh")
class AlbertForChoice(AlbertForClassification):
    """ALBERT that scores each of K choices by one number and is trained on which of them is right.

    Call it with a dict of ``input_ids``, ``input_mask``, ``segment_ids`` int (B, K, L), a sequence for each choice; one
    of a single token is no choice and gets ``NO_CHOICE``. It returns ``pooled_output`` (B, K, H) and ``logits`` float32
    (B, K). The weights are those of ``AlbertForClassification`` with one output, which scores one choice at a time.
    """

    def __init__(self, config: AlbertConfig, seed: int = 0, name="albert", dtype=None):
        super().__init__(config, 1, seed, name, dtype)

    def call(self, inputs, training=False, heads_only=False):
        choices, length = ops.shape(inputs["input_ids"])[1:]
        flat = {name: ops.reshape(inputs[name], (-1, length)) for name in ("input_ids", "input_mask", "segment_ids")}
        outputs = super().call(flat, training=training, heads_only=True)
        logits = ops.reshape(outputs["logits"], (-1, choices))  # (B K, 1) -> (B, K)
        absent = ops.cast(ops.sum(inputs["input_mask"], axis=-1) <= 1, "float32")
        pooled = ops.reshape(outputs["pooled_output"], (-1, choices, self.config.hidden_size))
        return {"pooled_output": pooled, "logits": logits + NO_CHOICE * absent}

    def get_config(self):
        config = super().get_config()
        del config["num_classes"]
        return config
