"""What training minimises, held against sums over everything that could have been."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from albert_zh.training.objectives import ChainObjective, SpanObjective, TaggingObjective


def chain(dice, tags):
    return {
        "transitions": dice.normal(size=(tags, tags)).astype(np.float32),
        "first": dice.normal(size=tags).astype(np.float32),
        "last": dice.normal(size=tags).astype(np.float32),
    }


def path_score(scores, tags, transitions, first, last):
    between = sum(transitions[pair] for pair in itertools.pairwise(tags))
    return first[tags[0]] + last[tags[-1]] + between + sum(scores[place, tag] for place, tag in enumerate(tags))


def enumerated_loss(scores, tags, weights):
    """-log p of a tagging by the scores of all taggings; scores (L, C)."""
    every = itertools.product(range(scores.shape[1]), repeat=len(tags))
    total = np.logaddexp.reduce([path_score(scores, path, **weights) for path in every])
    return total - path_score(scores, tuple(tags), **weights)


#: Tags of sequences of several lengths, [CLS] and [SEP] around them, one without any, one padded.
LABELS = [[-1, 0, 2, 1, -1, -1], [-1, 1, -1, -1, -1, -1], [-1] * 6, [-1, 2, 2, 0, 1, -1]]


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_of_a_chain_is_that_of_enumerating_all_taggings(seed):
    dice = np.random.default_rng(seed)
    weights, logits = chain(dice, 3), dice.normal(size=(4, 6, 3)).astype(np.float32)
    wanted = [
        enumerated_loss(scores[1 : 1 + sum(tag >= 0 for tag in tags)], [tag for tag in tags if tag >= 0], weights)
        for scores, tags in zip(logits, LABELS, strict=True)
        if max(tags) >= 0
    ]
    objective, batch = ChainObjective(), {"labels": tf.constant(LABELS)}
    outputs = {"logits": tf.constant(logits)} | {name: tf.constant(value) for name, value in weights.items()}
    assert float(objective.sums(outputs, batch)["loss"]) == pytest.approx(sum(wanted), rel=1e-5)
    assert float(objective.counts(batch)["loss"]) == 3
    own = [np.array(tags[: 2 + sum(tag >= 0 for tag in tags)]) for tags in LABELS]
    assert objective.mean_loss(logits, own, **weights) == pytest.approx(np.mean(wanted), rel=1e-5)


def test_the_gradient_of_a_chain_is_that_of_its_loss():
    dice = np.random.default_rng(9)
    weights, logits = chain(dice, 3), dice.normal(size=(1, 6, 3)).astype(np.float32)
    variables = {name: tf.Variable(value) for name, value in (weights | {"logits": logits}).items()}
    with tf.GradientTape() as tape:
        loss = ChainObjective().sums(variables, {"labels": tf.constant(LABELS[3:])})["loss"]
    slopes = tape.gradient(loss, variables)
    tags, step = [2, 2, 0, 1], 1e-3
    for name, place in (("transitions", (2, 0)), ("first", (2,)), ("last", (0,)), ("logits", (0, 3, 0))):
        ends = []
        for change in (step, -step):
            moved = {key: value.astype(np.float64) for key, value in (weights | {"logits": logits}).items()}
            moved[name][place] += change
            scores = moved.pop("logits")[0, 1:5]
            ends.append(enumerated_loss(scores, tags, moved))
        assert float(slopes[name][place]) == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-4)
    assert not slopes["logits"].numpy()[0, [0, 5]].any()  # [CLS], [SEP] and padding teach nothing


def test_the_loss_of_tags_is_the_mean_over_tokens_that_have_one():
    dice = np.random.default_rng(2)
    logits, labels = dice.normal(size=(4, 6, 3)).astype(np.float32), np.array(LABELS)
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    known = labels >= 0
    wanted = -np.log(np.take_along_axis(shares, np.maximum(labels, 0)[:, :, None], axis=2)[:, :, 0][known])
    objective, batch = TaggingObjective(), {"labels": tf.constant(labels, tf.int32)}
    sums, counts = objective.sums({"logits": tf.constant(logits)}, batch), objective.counts(batch)
    assert float(sums["loss"] / counts["loss"]) == pytest.approx(wanted.mean(), rel=1e-5)
    right = (shares.argmax(axis=-1) == labels)[known]
    assert float(sums["accuracy"] / counts["accuracy"]) == pytest.approx(right.mean())
    assert objective.mean_loss(logits, list(labels)) == pytest.approx(wanted.mean(), rel=1e-5)


def test_the_loss_of_a_span_is_half_of_each_end_and_windows_without_gold_count_for_nothing():
    dice = np.random.default_rng(5)
    logits = dice.normal(size=(4, 6, 2)).astype(np.float32)
    labels = np.array([[2, 4], [0, 0], [-1, -1], [3, 3]], np.int32)
    weights = np.array([1, 1, 1, 0], np.float32)  # the last only fills the batch

    def by_hand(window):
        shares = np.exp(logits[window]) / np.exp(logits[window]).sum(axis=0)
        begin, end = labels[window]
        return -(np.log(shares[begin, 0]) + np.log(shares[end, 1])) / 2

    objective = SpanObjective()
    batch = {"labels": tf.constant(labels), "row_weights": tf.constant(weights)}
    sums, counts = objective.sums({"logits": tf.constant(logits)}, batch), objective.counts(batch)
    wanted = (by_hand(0) + by_hand(1)) / 2
    assert float(sums["loss"] / counts["loss"]) == pytest.approx(wanted, rel=1e-5)
    assert objective.mean_loss(logits[:3], labels[:3]) == pytest.approx(wanted, rel=1e-5)
    assert objective.mean_loss(logits[2:3], labels[2:3]) == 0
