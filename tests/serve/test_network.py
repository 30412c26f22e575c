"""The compiled network answers as the Keras model, traced once for every batch and length."""

import numpy as np
import pytest
import tensorflow as tf

from albert_zh.opened import open_finetuned
from albert_zh.serve.network import INPUTS, Network, logits_network, logits_of
from albert_zh.tasks.task import Features


def inputs(rows, length, vocabulary=33, seed=1):
    dice = np.random.default_rng(seed)
    mask = (np.arange(length) < dice.integers(1, length + 1, rows)[:, None]).astype(np.int32)
    ids = dice.integers(5, vocabulary, (rows, length)).astype(np.int32) * mask
    return dict(zip(INPUTS, (ids, mask, (np.arange(length) > length // 2) * mask), strict=True))


def test_its_numbers_are_the_model_s_for_any_batch_and_length(finetuned):
    model = open_finetuned(finetuned).model
    network = logits_network(model)
    for rows, length in ((1, 3), (1, 24), (7, 9), (64, 16)):
        batch = inputs(rows, length)
        wanted = np.asarray(model(batch)["logits"])
        assert network(batch).dtype == np.float32
        np.testing.assert_allclose(network(batch), wanted, atol=1e-4)


def test_it_is_traced_once_whatever_the_sizes_and_the_threads(in_threads):
    traces = []

    def function(tensors):
        traces.append(tensors)
        return tensors["input_ids"] * 2

    network = Network(function)
    for rows, length in ((1, 1), (3, 8), (2, 5)):
        batch = inputs(rows, length)
        np.testing.assert_array_equal(network(batch), batch["input_ids"] * 2)
    batch = inputs(4, 6)
    for found in in_threads(lambda: network(batch)):
        np.testing.assert_array_equal(found, batch["input_ids"] * 2)
    assert len(traces) == 1


@pytest.mark.parametrize("size", [1, 2, 100])
def test_logits_of_tokens_stand_in_the_rows_of_their_sequences(size):
    def tokens(tensors):  # (B, L) -> (B, L, 1)
        return tf.cast(tensors["input_ids"][:, :, None], tf.float32)

    ids = [np.array(own, np.int32) for own in ([7], [1, 2, 3, 4, 5, 6, 7, 8, 9], [4, 5])]
    features = Features(ids, [np.zeros_like(own) for own in ids], np.zeros(3), [None] * 3, np.arange(3))
    logits = logits_of(Network(tokens), features, size, pad_id=0)
    assert logits.shape == (3, 9, 1)
    for own, row in zip(ids, logits[:, :, 0], strict=True):
        assert row[: len(own)].tolist() == own.tolist()
        assert set(row[len(own) :].tolist()) <= {0.0, -1e9}, "padding's own numbers, or none"
