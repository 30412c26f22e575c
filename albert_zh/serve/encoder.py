"""Texts as vectors: a model's hidden states pooled, to compare sentences and to find those nearest to another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from albert_zh.files import InputError, read_lines
from albert_zh.serve.best import best_places
from albert_zh.serve.given import Model, any_model, listed, positive, texts_of
from albert_zh.serve.network import Network
from albert_zh.text.packing import pack_pair

Pooling = Literal["mean", "cls", "penultimate"]
#: Sentences of a search whose vectors are held at once.
_BLOCK = 4096


class Near(NamedTuple):
    """A sentence near to another.

    Attributes:
        place: its place in a list, from 0, or its line in a file, from 1.
        text: itself.
        similarity: cosine, -1 to 1, rounded to six decimals, below which float32 says nothing.
    """

    place: int
    text: str
    similarity: float


class Encoder:
    """A model as a function from texts to vectors; several threads may ask one at the same time.

    The mean is over the tokens of the text alone: [CLS] and [SEP], the same in every text, only make the vectors more
    alike. A text without any token has those two.

    Args:
        model: any model with a vocabulary, pretrained or fine-tuned: a path, a name of the catalogue or an open model.
        pooling: "mean": of the last layer; "cls": the last layer at [CLS], without the pooler; "penultimate": the mean
            of the layer before the last, which is less bent to what the heads were trained on.
        normalise: vectors of length 1, whose products are cosines.
        max_seq_length: tokens of a sequence, at which a longer text is cut; None: what the model was fine-tuned with,
            of a pretrained one 128 or its most.

    Raises:
        InputError: no such model, an unknown pooling, the layer before the last of a network of one layer, or a length
            that the model does not have.
    """

    def __init__(
        self,
        model: Model,
        pooling: Pooling = "mean",
        normalise: bool = True,
        max_seq_length: int | None = None,
    ):
        if pooling not in _POOLINGS:
            raise InputError(f"pooling is {pooling!r}: it must be one of {', '.join(_POOLINGS)}.")
        opened = any_model(model)
        config = opened.source.config
        if pooling == "penultimate" and config.num_hidden_layers < 2:
            raise InputError(f"{opened.where}: one layer, so none before the last. Use another pooling.")
        length = opened.max_seq_length if max_seq_length is None else positive(max_seq_length, "max_seq_length")
        if not 3 <= length <= config.max_position_embeddings:
            raise InputError(f"max_seq_length is {length}: this model takes 3 to {config.max_position_embeddings}.")
        self.tokenizer, self.max_seq_length = opened.tokenizer, length
        self.pooling, self.normalise, self.size = pooling, normalise, config.hidden_size
        encoder, pool = opened.model.encoder, _POOLINGS[pooling]
        self._network = Network(
            lambda inputs: pool(encoder(inputs, every_layer=True), inputs["input_mask"]),
            longest=config.max_position_embeddings,
        )

    def encode(self, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """The vectors of texts, float32 (n, H).

        Args:
            texts: one or more; each distinct one is computed once.
            batch_size: texts computed at once.

        Raises:
            InputError: one string instead of a list, an empty text, or a value that is no text.
        """
        return self._vectors(texts_of(texts), batch_size, self.normalise)

    def similarity(self, pairs: Sequence[tuple[str, str]], batch_size: int = 64) -> np.ndarray:
        """The cosine of the two vectors of every pair, float32 (n,), -1 to 1.

        Raises:
            InputError: what is no pair of texts, or an empty text.
        """
        pairs = listed(pairs, "pairs")
        for number, pair in enumerate(pairs, 1):
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise InputError(f"pair {number}: {pair!r} where a pair of texts is needed.")
        places = [f"pair {number}" for number in range(1, len(pairs) + 1) for _ in range(2)]
        vectors = self._vectors(texts_of([text for pair in pairs for text in pair], places), batch_size, True)
        return np.clip(np.einsum("nh,nh->n", vectors[::2], vectors[1::2]), -1, 1)

    def nearest(
        self,
        queries: Sequence[str],
        texts: Iterable[str] | str | os.PathLike[str],
        k: int = 10,
        batch_size: int = 64,
    ) -> list[list[Near]]:
        """The ``k`` sentences nearest to each query, nearest first, by their place where they are equally near.

        The sentences are read and compared in blocks, and only the nearest of them kept, so there may be millions.

        Args:
            queries: texts.
            texts: what to search: texts, or a file of one sentence a line, whose blank lines are passed over.
            k: how many; all where there are fewer.
            batch_size: texts computed at once.

        Raises:
            InputError: an empty text or a value that is no text, a file that cannot be read, or nothing to search.
        """
        positive(k, "k")
        asked = self._vectors(texts_of(listed(queries, "queries")), batch_size, True)
        best: list[list[Near]] = [[] for _ in asked]
        empty = True
        for block in _blocks(_numbered(texts)):
            empty = False
            vectors = self._vectors([text for _, text in block], batch_size, True)
            for found, scores in zip(best, np.round(np.clip(asked @ vectors.T, -1, 1), 6), strict=True):
                found += [Near(*block[place], float(scores[place])) for place in best_places(scores, k)]
                found.sort(key=lambda near: (-near.similarity, near.place))
                del found[k:]
        if empty:
            raise InputError(f"nothing to search in {texts!r}. Give texts, or a file of one sentence a line.")
        return best

    def _vectors(self, texts: Sequence[str], batch_size: int, normalise: bool) -> np.ndarray:
        positive(batch_size, "batch_size")
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        packed = [
            pack_pair(self.tokenizer.encode(text).ids, None, self.tokenizer, self.max_seq_length) for text in numbers
        ]
        vectors = np.empty((len(packed), self.size), np.float32)
        ids, segments = [ids for ids, _ in packed], [segments for _, segments in packed]
        for part, found in self._network.batches(ids, segments, batch_size, self.tokenizer.pad_id):
            vectors[part] = found
        if normalise:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return vectors[[numbers[text] for text in texts]]


def _mean(hidden: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """hidden (B, L, H), mask (B, L) of [CLS], tokens, [SEP] and padding -> (B, H), over the tokens."""
    inside = tf.pad(mask[:, 2:], [[0, 0], [1, 1]])  # what has something on both sides
    counted = tf.where(tf.reduce_any(inside > 0, axis=1, keepdims=True), inside, mask)
    weights = tf.cast(counted, hidden.dtype)[:, :, None]
    return tf.reduce_sum(hidden * weights, axis=1) / tf.reduce_sum(weights, axis=1)


#: Pooling -> its function of the encoder's outputs and the mask.
_POOLINGS: dict[str, Callable[[dict, tf.Tensor], tf.Tensor]] = {
    "mean": lambda outputs, mask: _mean(outputs["encoder_outputs"][-1], mask),
    "cls": lambda outputs, mask: outputs["encoder_outputs"][-1][:, 0],
    "penultimate": lambda outputs, mask: _mean(outputs["encoder_outputs"][-2], mask),
}


def _numbered(texts: Iterable[str] | str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    if isinstance(texts, str | os.PathLike):
        yield from ((number, line) for number, line in read_lines(texts) if line.strip())
        return
    for number, text in enumerate(texts):
        yield number, texts_of([text], [f"text {number + 1}"])[0]


def _blocks(numbered: Iterator[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    block: list[tuple[int, str]] = []
    for each in numbered:
        block.append(each)
        if len(block) == _BLOCK:
            yield block
            block = []
    if block:
        yield block
