"""The heads: tied to the embedding, reading only the masked positions, rebuilt by Keras from their config."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from albert_zh.models.heads import (
    CLASSIFIER_DROPOUT,
    NO_CHOICE,
    AlbertForChoice,
    AlbertForClassification,
    AlbertForCloze,
    AlbertForPretraining,
    word_scores,
)


@pytest.fixture(params=["brightmart", "google"])
def config(request, tiny_config):
    return tiny_config(family=request.param, initializer_range=0.3)


@pytest.fixture
def batch():
    dice = np.random.default_rng(0)
    return {
        "input_ids": dice.integers(0, 40, (3, 10)).astype(np.int32),
        "input_mask": np.ones((3, 10), np.int32),
        "segment_ids": np.zeros((3, 10), np.int32),
    }


def test_gathering_the_masked_positions_first_gives_the_scores_of_all_positions_gathered(config, batch):
    model = AlbertForPretraining(config)
    positions = np.array([[0, 3, 9], [1, 1, 0], [8, 2, 5]], np.int32)
    everywhere = np.tile(np.arange(10, dtype=np.int32), (3, 1))
    few = ops.convert_to_numpy(model(batch | {"masked_lm_positions": positions})["mlm_logits"])
    all_of_them = ops.convert_to_numpy(model(batch | {"masked_lm_positions": everywhere})["mlm_logits"])
    np.testing.assert_allclose(few, np.take_along_axis(all_of_them, positions[:, :, None], axis=1), atol=1e-5)


def test_without_positions_there_are_no_masked_lm_scores(config, batch):
    assert "mlm_logits" not in AlbertForPretraining(config)(batch)


def test_the_masked_lm_head_is_tied_to_the_word_embedding(config, batch):
    model = AlbertForPretraining(config)
    batch = batch | {"masked_lm_positions": np.full((3, 1), 4, np.int32)}
    before = ops.convert_to_numpy(model(batch)["mlm_logits"])
    word = ops.convert_to_numpy(model.encoder.embeddings.word).copy()
    unread = next(i for i in range(40) if i not in batch["input_ids"])
    word[unread] *= 3  # of a word that the batch does not hold: only its own score moves
    model.encoder.embeddings.word.assign(word)
    after = ops.convert_to_numpy(model(batch)["mlm_logits"])
    moved = np.abs(after - before).max(axis=(0, 1)) > 1e-6
    assert moved.nonzero()[0].tolist() == [unread]


def test_the_classifier_reads_the_pooled_output(config, batch):
    model = AlbertForClassification(config, 5)
    out = model(batch)
    kernel, bias = (ops.convert_to_numpy(weight) for weight in model.classifier.weights)
    np.testing.assert_allclose(out["logits"], ops.convert_to_numpy(out["pooled_output"]) @ kernel + bias, atol=1e-5)
    assert out["logits"].shape == (3, 5)


def test_the_classifier_drops_part_of_the_pooled_output_in_training(config, batch):
    model = AlbertForClassification(config, 2)
    assert model.dropout.rate == CLASSIFIER_DROPOUT == 0.1
    assert any((model(batch, training=True)["logits"] != model(batch)["logits"]).numpy().any() for _ in range(8))


def test_keras_rebuilds_a_model_from_its_config(config):
    cloze = AlbertForCloze(config, [[7, 8], [9, 7]], mask_id=4, seed=3)
    choice = AlbertForChoice(config, seed=3)
    for model in (AlbertForPretraining(config, seed=3), AlbertForClassification(config, 4, seed=3), cloze, choice):
        twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
        assert (type(twin), twin.config) == (type(model), config)
        for ours, theirs in zip(model.trainable_variables, twin.trainable_variables, strict=True):
            assert ours.path == theirs.path
            np.testing.assert_array_equal(ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs))


def test_a_word_s_score_is_the_mean_log_probability_of_its_pieces():
    logits = np.random.default_rng(3).normal(size=(4, 2, 11)).astype(np.float32)
    words = [[1, 2], [3, 1], [10, 0]]
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    by_hand = [[np.log(row[0, first] * row[1, second]) / 2 for first, second in words] for row in shares]
    np.testing.assert_allclose(word_scores(logits, words), by_hand, rtol=1e-5)


def test_a_cloze_reads_its_blanks_wherever_they_are(config, batch):
    words, blanks = [[7, 8], [9, 7], [8, 9]], np.array([[1, 2], [0, 9], [4, 8]], np.int32)
    np.put_along_axis(batch["input_ids"], blanks, 4, axis=1)
    others = np.ones_like(batch["input_ids"], bool)
    np.put_along_axis(others, blanks, False, axis=1)
    batch["input_ids"][others & (batch["input_ids"] == 4)] = 5
    cloze, pretraining = AlbertForCloze(config, words, mask_id=4, seed=1), AlbertForPretraining(config, seed=2)
    held = {variable.path: variable for variable in pretraining.trainable_variables}
    for variable in cloze.trainable_variables:
        variable.assign(held[variable.path])
    scores = word_scores(pretraining(batch | {"masked_lm_positions": blanks})["mlm_logits"], words)
    np.testing.assert_allclose(cloze(batch)["logits"], scores, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"family": "brightmart"},
        {"family": "brightmart", "ln_type": "preln"},
        {"family": "google", "num_hidden_groups": 2, "inner_group_num": 2},
        {"family": "google", "num_hidden_layers": 1},
    ],
)
def test_what_the_heads_read_and_its_gradient_are_the_same_without_the_rest_of_the_last_block(
    tiny_config, batch, changes
):
    config = tiny_config(initializer_range=0.3, **changes)
    batch["input_mask"][1, 7:] = 0
    batch["input_ids"][batch["input_ids"] == 4] = 5
    batch["input_ids"][:, [2, 6]] = 4
    positions = np.array([[0, 3, 9], [1, 1, 0], [8, 2, 5]], np.int32)
    models = (
        (AlbertForPretraining(config), batch | {"masked_lm_positions": positions}, ("mlm_logits", "sop_logits")),
        (AlbertForPretraining(config), batch, ("sop_logits",)),
        (AlbertForClassification(config, 5), batch, ("logits",)),
        (AlbertForCloze(config, [[7, 8], [9, 7]], mask_id=4), batch, ("logits",)),
    )
    for model, inputs, names in models:
        found = {}
        for heads_only in (False, True):
            with tf.GradientTape() as tape:
                outputs = model(inputs, heads_only=heads_only)
                loss = sum(tf.reduce_sum(outputs[name] ** 2) for name in names)
            weights = [variable.value for variable in model.trainable_variables]
            grads = tape.gradient(loss, weights, unconnected_gradients="zero")
            found[heads_only] = [*(outputs[name] for name in names), *map(tf.convert_to_tensor, grads)]
            assert ("sequence_output" in outputs) is not heads_only
        for whole, few in zip(found[False], found[True], strict=True):
            np.testing.assert_allclose(few, whole, rtol=1e-4, atol=2e-5)


def test_choices_are_scored_one_by_one_as_a_classifier_with_one_output_scores_them(config):
    dice, lengths = np.random.default_rng(4), np.array([[9, 4, 6], [5, 9, 1]])  # the last is no choice
    shape = 2, 3, 12
    mask = (np.arange(12) < lengths[:, :, None]).astype(np.int32)
    inputs = {
        "input_ids": dice.integers(5, 40, shape).astype(np.int32) * mask,
        "input_mask": mask,
        "segment_ids": (np.arange(12) > 3).astype(np.int32) * mask,
    }
    choice, single = AlbertForChoice(config, seed=1), AlbertForClassification(config, 1, seed=2)
    for mine, its in zip(choice.trainable_variables, single.trainable_variables, strict=True):
        assert mine.shape == its.shape
        its.assign(mine)
    outputs = choice(inputs)
    assert outputs["pooled_output"].shape == (2, 3, 16)
    logits = ops.convert_to_numpy(outputs["logits"])
    assert logits.shape == (2, 3)
    for row, place in np.ndindex(2, 3):
        length = lengths[row, place]
        if length == 1:
            assert logits[row, place] <= NO_CHOICE / 2
            continue
        alone = {name: values[row, place, None, :length] for name, values in inputs.items()}  # without its padding
        assert logits[row, place] == pytest.approx(float(single(alone)["logits"][0, 0]), abs=1e-4)
    # Another choice that is not there, and more padding, change nothing.
    wider = {name: np.pad(values, ((0, 0), (0, 1), (0, 7))) for name, values in inputs.items()}
    wider["input_mask"][:, 3, 0] = 1
    again = ops.convert_to_numpy(choice(wider)["logits"])
    np.testing.assert_allclose(again[:, :2], logits[:, :2], atol=1e-4)
    assert logits[0, 2] == pytest.approx(again[0, 2], abs=1e-4)
    assert again[:, 3].max() <= NO_CHOICE / 2


def test_a_choice_that_is_not_there_takes_no_part_in_what_is_learned(config):
    model, mask = AlbertForChoice(config, seed=1), np.ones((1, 3, 8), np.int32)
    mask[0, 2, 1:] = 0
    ids = np.random.default_rng(5).integers(5, 40, (1, 3, 8)).astype(np.int32)
    found = []
    for word in (6, 7):  # of the choice that is not there
        ids[0, 2] = word
        with tf.GradientTape() as tape:
            logits = model({"input_ids": ids, "input_mask": mask, "segment_ids": np.zeros_like(ids)})["logits"]
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[0], logits=logits)
        weights = [variable.value for variable in model.trainable_variables]
        grads = tape.gradient(loss, weights, unconnected_gradients="zero")
        found.append([*map(tf.convert_to_tensor, grads)])
    assert any(np.abs(grad).max() > 0 for grad in found[0])
    for first, second in zip(*found, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)
