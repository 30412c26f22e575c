"""How many parameters each part of a network has, by arithmetic: no network is built and keras is not imported.

Letters as elsewhere: V vocabulary, E embedding, H hidden.
"""

from __future__ import annotations

from albert_zh.config import AlbertConfig

FLOAT32_BYTES = 4


def word_embedding(config: AlbertConfig) -> int:
    """The table of words, V x E."""
    return config.vocab_size * config.embedding_size


def projection(config: AlbertConfig) -> int:
    """From the words' width to the network's, E x H; in the google family with a bias of H."""
    bias = config.hidden_size if config.family == "google" else 0
    return config.embedding_size * config.hidden_size + bias


def embeddings(config: AlbertConfig) -> int:
    """All below the layers: words, projection, positions, token types and their LayerNorm (scale and offset).

    The last three are as wide as H in the brightmart family and as E in google's.
    """
    width = config.hidden_size if config.family == "brightmart" else config.embedding_size
    return word_embedding(config) + projection(config) + _positions_and_types(config, width)


def layer(config: AlbertConfig) -> int:
    """One set of a layer's weights: attention, feed-forward network, two LayerNorms, ``inner_group_num`` times."""
    hidden, inner = config.hidden_size, config.intermediate_size
    attention = 4 * _dense(hidden, hidden)  # query, key, value, output
    feed_forward = _dense(hidden, inner) + _dense(inner, hidden)
    return config.inner_group_num * (attention + feed_forward + 2 * _layer_norm(hidden))


def layers(config: AlbertConfig, shared: bool = True) -> int:
    """The weights of all layers; ``shared`` False: if each had its own instead of one of ``num_hidden_groups`` sets."""
    return (config.num_hidden_groups if shared else config.num_hidden_layers) * layer(config)


def pooler(config: AlbertConfig) -> int:
    """The dense layer on the first token, H x H and a bias."""
    return _dense(config.hidden_size, config.hidden_size)


def encoder(config: AlbertConfig) -> int:
    """Embeddings, layers and pooler: what fine-tuning starts from, and what published tables count."""
    return embeddings(config) + layers(config) + pooler(config)


def masked_lm_head(config: AlbertConfig) -> int:
    """Dense layer (H to H in the brightmart family, H to E in google's), its LayerNorm, and a bias over V.

    The words' table is used again and not counted again.
    """
    width = config.hidden_size if config.family == "brightmart" else config.embedding_size
    return _dense(config.hidden_size, width) + _layer_norm(width) + config.vocab_size


def sentence_order_head(config: AlbertConfig) -> int:
    """The dense layer from the pooler to the two orders."""
    return _dense(config.hidden_size, 2)


def pretraining(config: AlbertConfig) -> int:
    """Encoder and both heads of pretraining: all that a pretrained checkpoint holds but the optimizer's slots."""
    return encoder(config) + masked_lm_head(config) + sentence_order_head(config)


def bert_encoder(config: AlbertConfig) -> int:
    """Embeddings, layers and pooler of a BERT of these sizes: one table V x H, and a set of weights a layer.

    The layout is that of Devlin et al. 2018, https://arxiv.org/abs/1810.04805.
    """
    hidden = config.hidden_size
    tables = config.vocab_size * hidden + _positions_and_types(config, hidden)
    return tables + layers(config, shared=False) + pooler(config)


def _positions_and_types(config: AlbertConfig, width: int) -> int:
    return (config.max_position_embeddings + config.type_vocab_size) * width + _layer_norm(width)


def _dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _layer_norm(width: int) -> int:
    return 2 * width
