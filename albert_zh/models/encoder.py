"""The ALBERT encoder of both families: embeddings, shared layers, pooler.

Shapes: B batch, L length, H hidden, E embedding, V vocabulary, N heads, D head size (H / N).
Lan et al. 2019, https://arxiv.org/abs/1909.11942.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import keras
from keras import ops

from albert_zh.config import AlbertConfig

#: Added to the attention scores of padding, as in the published networks.
MASKED_SCORE = -10000.0


class Initializers:
    """Hands every weight an initializer of its own: the published distribution, a seed by order of creation."""

    def __init__(self, config: AlbertConfig, seed: int):
        self._stddev = config.initializer_range
        self._seeds: Iterator[int] = itertools.count(seed * 1009)

    def normal(self) -> keras.initializers.Initializer:
        """Truncated normal with the config's standard deviation."""
        return keras.initializers.TruncatedNormal(stddev=self._stddev, seed=next(self._seeds))


def activation(name: str):
    """The function behind ``hidden_act``; "gelu" is the tanh form of the published code."""
    return {
        "gelu": lambda x: keras.activations.gelu(x, approximate=True),
        "gelu_new": lambda x: keras.activations.gelu(x, approximate=True),
        "gelu_exact": lambda x: keras.activations.gelu(x, approximate=False),
        "relu": keras.activations.relu,
        "tanh": keras.activations.tanh,
    }[name]


def dense(width: int, initializers: Initializers, name: str, dtype, use_bias: bool = True) -> keras.layers.Dense:
    return keras.layers.Dense(
        width, use_bias=use_bias, kernel_initializer=initializers.normal(), name=name, dtype=dtype
    )


def layer_norm(config: AlbertConfig, name: str, dtype) -> keras.layers.LayerNormalization:
    return keras.layers.LayerNormalization(epsilon=config.layer_norm_eps, name=name, dtype=dtype)


class Embeddings(keras.layers.Layer):
    """Token, segment and position embeddings, normalised, at the width of the first layer.

    brightmart projects the word embedding to H first and adds the rest there; google adds and normalises at
    width E and leaves the projection to the encoder.
    """

    def __init__(self, config: AlbertConfig, initializers: Initializers, name="embeddings", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.config = config
        policy = self.dtype_policy
        self._normal = [initializers.normal() for _ in range(3)]
        self.projection = None
        if config.family == "brightmart":
            self.projection = dense(config.hidden_size, initializers, "projection", policy, use_bias=False)
        self.norm = layer_norm(config, "norm", policy)
        self.dropout = keras.layers.Dropout(config.hidden_dropout_prob, name="dropout", dtype=policy)

    def build(self, input_shape=None):
        config = self.config
        added_width = config.hidden_size if config.family == "brightmart" else config.embedding_size
        self.word = self.add_weight(
            (config.vocab_size, config.embedding_size), initializer=self._normal[0], name="word"
        )
        self.position = self.add_weight(
            (config.max_position_embeddings, added_width), initializer=self._normal[1], name="position"
        )
        self.token_type = self.add_weight(
            (config.type_vocab_size, added_width), initializer=self._normal[2], name="token_type"
        )
        if self.projection is not None:
            self.projection.build((None, None, config.embedding_size))
        self.norm.build((None, None, added_width))
        self.built = True

    def call(self, input_ids, segment_ids, training=False):
        """ids (B, L), segments (B, L) -> (B, L, E) in the google family, (B, L, H) in brightmart's."""
        length = ops.shape(input_ids)[1]
        x = ops.take(self.word, input_ids, axis=0)  # (B, L) -> (B, L, E)
        if self.projection is not None:
            x = self.projection(x)  # (B, L, E) -> (B, L, H)
        # Few segments: a product with a one-hot is cheaper to differentiate than a gather.
        x = x + ops.one_hot(segment_ids, self.config.type_vocab_size, dtype=x.dtype) @ ops.cast(
            self.token_type, x.dtype
        )
        x = x + ops.take(self.position, ops.arange(length), axis=0)
        return self.dropout(self.norm(x), training=training)


def rows_at(x, positions):
    """x (B, L, H), positions int (B, Q) -> (B, Q, H)."""
    batch, length = ops.shape(x)[0], ops.shape(x)[1]
    flat = ops.arange(batch, dtype="int32")[:, None] * length + ops.cast(positions, "int32")  # (B, Q)
    return ops.take(ops.reshape(x, (-1, x.shape[-1])), flat, axis=0)


class Attention(keras.layers.Layer):
    """Multi-head self-attention with the output projection; no residual, no norm.

    Attributes:
        fused: query, key and value are one product, so that x is read once; the numbers are the same. A file whose
            weights are constants wants them apart: each is then held once, and no pieces are cut out of the product.
    """

    fused = True

    def __init__(self, config: AlbertConfig, initializers: Initializers, name="attention", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.config = config
        policy = self.dtype_policy
        self.query, self.key, self.value, self.output_projection = (
            dense(config.hidden_size, initializers, part, policy) for part in ("query", "key", "value", "output")
        )
        self.dropout = keras.layers.Dropout(config.attention_probs_dropout_prob, name="dropout", dtype=policy)

    def build(self, input_shape=None):
        for part in (self.query, self.key, self.value, self.output_projection):
            part.build((None, None, self.config.hidden_size))
        self.built = True

    def call(self, x, score_bias, asking=None, training=False):
        """x (B, L, H), score_bias (B, 1, 1, L) -> (B, L, H).

        With ``asking`` (B, Q, H), some rows of x, the answers of those alone: (B, Q, H).
        """
        if asking is None:
            query, key, value = self._projected(x, (self.query, self.key, self.value))
        else:
            (query,) = self._projected(asking, (self.query,))
            key, value = self._projected(x, (self.key, self.value))
        size = self.config.head_size
        scores = ops.matmul(query * (size**-0.5), ops.transpose(key, (0, 1, 3, 2))) + score_bias  # (B, N, Q, L)
        weights = self.dropout(ops.softmax(scores, axis=-1), training=training)
        context = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))  # (B, N, Q, D) -> (B, Q, N, D)
        batch, rows = ops.shape(context)[0], ops.shape(context)[1]
        return self.output_projection(ops.reshape(context, (batch, rows, self.config.hidden_size)))

    def _projected(self, x, parts):
        """x (B, L, H) -> one (B, N, L, D) for each of the projections."""
        heads, size = self.config.num_attention_heads, self.config.head_size
        if not self.fused:
            shape = (ops.shape(x)[0], ops.shape(x)[1], heads, size)
            return [ops.transpose(ops.reshape(part(x), shape), (0, 2, 1, 3)) for part in parts]
        kernel = ops.concatenate([ops.cast(part.kernel, x.dtype) for part in parts], axis=1)  # (H, 3H)
        bias = ops.concatenate([ops.cast(part.bias, x.dtype) for part in parts], axis=0)
        shape = (ops.shape(x)[0], ops.shape(x)[1], len(parts), heads, size)
        projected = ops.reshape(ops.matmul(x, kernel) + bias, shape)
        return [ops.transpose(projected[:, :, i], (0, 2, 1, 3)) for i in range(len(parts))]


class Block(keras.layers.Layer):
    """One transformer block: attention and feed-forward, post-LN or pre-LN (no final norm)."""

    def __init__(self, config: AlbertConfig, initializers: Initializers, name: str, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.config = config
        policy = self.dtype_policy
        self.attention = Attention(config, initializers, dtype=policy)
        self.attention_norm = layer_norm(config, "attention_norm", policy)
        self.intermediate = dense(config.intermediate_size, initializers, "intermediate", policy)
        self.feed_forward_output = dense(config.hidden_size, initializers, "output", policy)
        self.output_norm = layer_norm(config, "output_norm", policy)
        self.dropout = keras.layers.Dropout(config.hidden_dropout_prob, name="dropout", dtype=policy)
        self.activation = activation(config.hidden_act)

    def build(self, input_shape=None):
        hidden = (None, None, self.config.hidden_size)
        self.attention.build()
        self.attention_norm.build(hidden)
        self.intermediate.build(hidden)
        self.feed_forward_output.build((None, None, self.config.intermediate_size))
        self.output_norm.build(hidden)
        self.built = True

    def call(self, x, score_bias, positions=None, training=False):
        """x (B, L, H), score_bias (B, 1, 1, L) -> (B, L, H).

        With ``positions`` int (B, Q) what comes out at those alone, (B, Q, H): all read x, few are computed.
        """

        def attend(x, asking):
            return self.dropout(self.attention(x, score_bias, asking, training=training), training=training)

        def feed_forward(x):
            x = self.feed_forward_output(self.activation(self.intermediate(x)))
            return self.dropout(x, training=training)

        asking = None if positions is None else rows_at(x, positions)
        kept = x if asking is None else asking
        if self.config.ln_type == "preln":
            x = kept + attend(self.attention_norm(x), None if asking is None else self.attention_norm(asking))
            return x + feed_forward(self.output_norm(x))
        x = self.attention_norm(kept + attend(x, asking))
        return self.output_norm(x + feed_forward(x))


class AlbertEncoder(keras.layers.Layer):
    """Token ids to hidden states; ``num_hidden_groups`` x ``inner_group_num`` blocks hold all the weights."""

    def __init__(self, config: AlbertConfig, initializers: Initializers, name="encoder", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.config = config
        policy = self.dtype_policy
        self.embeddings = Embeddings(config, initializers, dtype=policy)
        self.projection = None
        if config.family == "google":
            self.projection = dense(config.hidden_size, initializers, "projection", policy)
        self.groups = [
            [
                Block(config, initializers, f"group_{group}_inner_{inner}", dtype=policy)
                for inner in range(config.inner_group_num)
            ]
            for group in range(config.num_hidden_groups)
        ]
        self.pooler = dense(config.hidden_size, initializers, "pooler", policy)

    def build(self, input_shape=None):
        config = self.config
        self.embeddings.build()
        if self.projection is not None:
            self.projection.build((None, None, config.embedding_size))
        for block in (block for group in self.groups for block in group):
            block.build()
        self.pooler.build((None, config.hidden_size))
        self.built = True

    def call(self, inputs, training=False, every_layer=False, positions=None):
        """Runs the network.

        Args:
            inputs: ``input_ids`` int (B, L); ``input_mask`` int (B, L), 1 for tokens, 0 for padding, left out: no
                padding; ``segment_ids`` int (B, L), left out: all 0.
            training: whether dropout is on.
            every_layer: whether to return what each layer gives, too.
            positions: int (B, Q), the first 0: where the last block is computed alone; not with ``every_layer``.

        Returns:
            A dict: ``embedding_output`` (B, L, H; google: (B, L, E), before the projection),
            ``sequence_output`` (B, L, H), ``pooled_output`` (B, H); with ``every_layer`` also ``encoder_outputs``, a
            list of (B, L, H), one a layer. With ``positions`` ``sequence_output`` is (B, Q, H).
        """
        config, input_ids = self.config, ops.convert_to_tensor(inputs["input_ids"], dtype="int32")
        mask, segments = inputs.get("input_mask"), inputs.get("segment_ids")
        segments = ops.zeros_like(input_ids) if segments is None else segments
        mask = ops.ones_like(input_ids) if mask is None else mask
        embedding_output = x = self.embeddings(input_ids, segments, training=training)
        if self.projection is not None:
            x = self.projection(x)  # (B, L, E) -> (B, L, H)
        score_bias = (1 - ops.cast(mask, x.dtype))[:, None, None, :] * MASKED_SCORE
        layers = []
        for layer in range(config.num_hidden_layers):
            for inner, block in enumerate(self.groups[config.group_of(layer)], 1):
                last = layer + 1 == config.num_hidden_layers and inner == config.inner_group_num
                x = block(x, score_bias, positions if last else None, training=training)
            layers.append(x)
        pooled = ops.tanh(self.pooler(x[:, 0]))  # (B, L, H) -> (B, H)
        outputs = {"embedding_output": embedding_output, "sequence_output": x, "pooled_output": pooled}
        return {**outputs, "encoder_outputs": layers} if every_layer else outputs
