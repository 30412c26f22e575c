"""A Keras model as a compiled function of numpy arrays, for any batch and length.

A pair on ALBERT-tiny takes 5 ms in it, and 54 ms as a call of the Keras model, whose layers run one by one from Python
(benchmarks/inference.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from albert_zh.models.token_heads import gathered
from albert_zh.serve.batches import by_length
from albert_zh.tasks.task import Features

#: What every model reads, int32 (B, L) each.
INPUTS = ("input_ids", "input_mask", "segment_ids")


class Network:
    """A function of int32 arrays of two axes, traced once for all of their sizes, safe to call from several threads.

    Args:
        function: takes a dict of tensors named as ``names``, gives a tensor.
        names: of the inputs.
        longest: tokens of the longest sequence it takes; None: any.
    """

    def __init__(
        self,
        function: Callable[[Mapping[str, tf.Tensor]], tf.Tensor],
        names: Sequence[str] = INPUTS,
        longest: int | None = None,
    ):
        self._names, self._longest = tuple(names), longest
        signature = [tf.TensorSpec([None, None], tf.int32, name) for name in names]
        traced = tf.function(
            lambda *tensors: function(dict(zip(names, tensors, strict=True))), signature, autograph=False
        )
        self._run = traced.get_concrete_function()  # traced here, so that no thread ever does

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """The function's output for one batch."""
        return self._run(*(tf.constant(inputs[name], tf.int32) for name in self._names)).numpy()

    def batches(
        self, input_ids: Sequence[Sequence[int]], segment_ids: Sequence[Sequence[int]], size: int, pad_id: int
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        """Yields the places of up to ``size`` sequences of like length, and the outputs of them."""
        for part, inputs in by_length(input_ids, segment_ids, size, pad_id, self._longest):
            yield part, self(inputs)


def logits_network(model: keras.Model) -> Network:
    """The logits of a fine-tuned model, nothing else of it computed."""
    longest = model.config.max_position_embeddings
    return Network(lambda inputs: model(inputs, heads_only=True)["logits"], longest=longest)


def logits_of(network: Network, features: Features, size: int, pad_id: int) -> np.ndarray:
    """The logits of every sequence as ``task.decode`` takes them; see ``token_heads.gathered``.

    Args:
        network: as ``logits_network`` makes it.
        features: one sequence or more.
        size: sequences computed at once.
        pad_id: of the tokenizer.
    """
    batches = network.batches(features.input_ids, features.segment_ids, size, pad_id)
    return gathered(batches, list(map(len, features.input_ids)))
