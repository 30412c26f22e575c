"""One step is one step, however it is cut into micro-batches; what is not finite changes nothing."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from albert_zh.cli import CHECKOUT
from albert_zh.convert.weights import variable_names
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining
from albert_zh.pretrain.records import RecordIndex
from albert_zh.training.batches import PretrainingBatches
from albert_zh.training.loop import Loop, NonFiniteError
from albert_zh.training.objectives import ClassificationObjective, PretrainingObjective

ROWS = 8


@pytest.fixture(scope="module")
def batches(tmp_path_factory, random_instances, write_records):
    path = write_records(tmp_path_factory.mktemp("records") / "r.tfrecord", random_instances(ROWS))
    return PretrainingBatches(RecordIndex(path), max_seq_length=16, max_predictions=3, vocab_size=40)


@pytest.fixture(scope="module")
def make_loop(tiny_config):
    """``make_loop(accumulate=…, dropout=…)``: a loop on one CPU over a network of seed 1, as if just made.

    Loops are kept and set back, for tracing one takes seconds.
    """
    made = {}

    def make(*, dropout=0.0, **options):
        key = (dropout, *sorted(options.items()))
        if key not in made:
            config = tiny_config(
                num_hidden_layers=1,
                hidden_dropout_prob=dropout,
                attention_probs_dropout_prob=dropout,
                initializer_range=0.3,
            )
            model = AlbertForPretraining(config, seed=1)
            loop = Loop(
                model,
                variable_names(model),
                PretrainingObjective(),
                tf.distribute.OneDeviceStrategy("CPU:0"),
                **{"optimizer": "lamb"} | options,
            )
            made[key] = loop, weights(loop)
        loop, first = made[key]
        loop.restore(first)
        return loop

    return make


def run(loop, arrays, step=0, rate=0.0):
    return loop.step(loop.distribute(lambda replica, replicas: arrays), step, rate)


def weights(loop):
    return {name: value.copy() for name, value in loop.state().items()}


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def three_updates(loop, batches):
    """(result of each update, state after them)"""
    return [run(loop, batches.read(range(ROWS)), step, 1e-3) for step in range(3)], weights(loop)


# --------------------------------------------------------------------------------------------------------- accumulation


@pytest.mark.parametrize("accumulate", [1, 2, 4])
@pytest.mark.parametrize("filled", [0, 2])
def test_accumulating_gives_the_loss_and_gradient_of_the_whole_batch(accumulate, filled, batches, make_loop):
    # Rows of unequal numbers of masked tokens: a mean of means would show. The last ``filled`` rows count for nothing.
    rows = list(range(ROWS - filled))
    loop = make_loop(accumulate=accumulate)
    batch, objective = batches.read(rows), PretrainingObjective()
    with tf.GradientTape() as tape:  # by hand
        sums, counts = objective.sums(loop.model(batch), batch), objective.counts(batch)
        loss = sum(sums[name] / counts[name] for name in objective.losses)
    gradient = tape.gradient(loss, loop.variables)
    expected = {name: float(sums[name] / counts[name]) for name in sums}
    expected["gradient_norm"] = float(tf.linalg.global_norm(gradient))
    assert run(loop, batches.read(rows, ROWS)) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulating_gives_the_weights_of_the_whole_batch(accumulate, batches, make_loop):
    _, whole = three_updates(make_loop(accumulate=1), batches)
    _, accumulated = three_updates(make_loop(accumulate=accumulate), batches)
    for name in whole:
        np.testing.assert_allclose(whole[name], accumulated[name], atol=1e-5, err_msg=name)


#: Prints how far one update of as many micro-batches of 8 rows as it is told raises a process's peak.
PEAK = """
import sys
import numpy as np
import tensorflow as tf
from albert_zh.config import AlbertConfig
from albert_zh.convert.weights import variable_names
from albert_zh.models.heads import AlbertForClassification
from albert_zh.training.loop import Loop
from albert_zh.training.objectives import ClassificationObjective
from albert_zh.training.strategy import forget_peak_memory, peak_memory

parts = int(sys.argv[1])
config = AlbertConfig.from_json("albert_config/albert_config_nano_google.json").replace(vocab_size=50)
model, device = AlbertForClassification(config, 2), tf.distribute.OneDeviceStrategy("CPU:0")
loop = Loop(
    model, variable_names(model), ClassificationObjective(), device, optimizer="lamb", accumulate=parts, any_shape=True
)

def update(length):
    batch = {name: np.ones((8 * parts, length), np.int32) for name in ("input_ids", "input_mask", "segment_ids")}
    batch |= {"labels": np.zeros(8 * parts, np.int32), "row_weights": np.ones(8 * parts, np.float32)}
    loop.step(loop.distribute(lambda *_: batch), 0, 0.0)

update(8)  # what tracing takes
forget_peak_memory()
before = peak_memory()
update(512)
print(peak_memory() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system does not tell a peak of its own")
def test_one_micro_batch_is_held_at_a_time():
    def peak(parts):
        words = [sys.executable, "-c", PEAK, str(parts)]
        return int(subprocess.run(words, capture_output=True, text=True, check=True, cwd=CHECKOUT).stdout)

    assert peak(8) < 1.5 * peak(1)


def test_evaluation_is_the_mean_over_all_rows_however_they_are_batched(batches, make_loop):
    loop = make_loop(accumulate=1)

    def evaluate(parts, size):
        return loop.evaluate(loop.distribute(lambda r, n, p=part: batches.read(p, size)) for part in parts)

    whole = evaluate([range(ROWS)], ROWS)
    assert whole == pytest.approx(evaluate([[0, 1, 2], [3, 4, 5], [6, 7]], 3), rel=2e-6)
    assert whole == pytest.approx(evaluate([[row] for row in range(ROWS)], 3), rel=2e-6)
    assert set(whole) == {"mlm_loss", "mlm_accuracy", "sop_loss", "sop_accuracy"}


def test_the_loss_of_small_weights_is_that_of_guessing(batches, make_loop):
    loop = make_loop(accumulate=1)
    loop.restore({name: value * 0.05 if "LayerNorm" not in name else value for name, value in weights(loop).items()})
    scores = loop.evaluate([loop.distribute(lambda r, n: batches.read(range(ROWS)))])
    assert scores["mlm_loss"] == pytest.approx(np.log(40), rel=0.02)
    assert scores["sop_loss"] == pytest.approx(np.log(2), rel=0.05)


# ------------------------------------------------------------------------------------------------------------------ XLA


def test_compiled_steps_give_the_numbers_of_plain_ones(batches, make_loop):
    plain, compiled = (three_updates(make_loop(optimizer="adamw", jit_compile=jit), batches) for jit in (False, True))
    for first, second in zip(plain[0], compiled[0], strict=True):
        assert first == pytest.approx(second, rel=1e-5)
    for name in plain[1]:
        np.testing.assert_allclose(plain[1][name], compiled[1][name], atol=1e-5, err_msg=name)


# -------------------------------------------------------------------------------------------------------------- dropout


def same_rows(batches, count):
    """One record ``count`` times: what differs between its losses is the masks."""
    return batches.read([3] * count)


def test_masks_are_a_function_of_seed_and_step(batches, make_loop):
    batch, losses = same_rows(batches, 1), {}
    for seed in (7, 8):
        loop = make_loop(dropout=0.5, seed=seed)
        losses[seed] = [run(loop, batch, step)["mlm_loss"] for step in (0, 1, 2)]
        # Asked for again out of order, as a resumed run does.
        assert [run(loop, batch, step)["mlm_loss"] for step in (2, 0, 1)] == [losses[seed][i] for i in (2, 0, 1)]
    assert len({*losses[7], *losses[8]}) == 6


def test_micro_batches_have_masks_of_their_own(batches, make_loop):
    alone = run(make_loop(dropout=0.5, seed=7), same_rows(batches, 1))["mlm_loss"]
    both = run(make_loop(dropout=0.5, seed=7, accumulate=2), same_rows(batches, 2))["mlm_loss"]
    # The first micro-batch has the masks of the row alone; were the second's the same, so would be the mean.
    assert abs(both - alone) > 1e-3


def test_rows_and_layers_have_masks_of_their_own(batches, make_loop):
    loop = make_loop(dropout=0.5, seed=7)
    rows = ops.convert_to_numpy(loop.model(same_rows(batches, 2), training=True)["sequence_output"])
    assert (rows[0] != rows[1]).any()
    drawn = [v for v in loop.model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    assert len(drawn) == 3  # embeddings, attention probabilities, block: each of its own stream


def test_no_dropout_in_evaluation(batches, make_loop):
    loops = make_loop(dropout=0.5, seed=7), make_loop(accumulate=1)
    scores = [loop.evaluate([loop.distribute(lambda r, n: batches.read(range(ROWS)))]) for loop in loops]
    assert scores[0] == scores[1]


# ----------------------------------------------------------------------------------------------------------- not finite


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize(
    "options", [{"accumulate": 1}, {"accumulate": 2}, {"optimizer": "adamw", "jit_compile": True}], ids=str
)
def test_a_step_that_is_not_finite_changes_nothing_and_is_named(poison, options, batches, make_loop):
    loop = make_loop(**options)
    batch = batches.read(range(ROWS))
    run(loop, batch, 0, 0.01)
    before = weights(loop)
    poisoned = batch | {"masked_lm_weights": batch["masked_lm_weights"].copy()}
    poisoned["masked_lm_weights"][2, 0] = poison
    with pytest.raises(NonFiniteError, match=r"step 1: .*loss.* is not finite"):
        run(loop, poisoned, 1, 0.01)
    assert_equal(weights(loop), before)
    run(loop, batch, 1, 0.01)  # the loop goes on working
    assert any((weights(loop)[name] != before[name]).any() for name in before)


class Overflowing(PretrainingObjective):
    """A loss that is infinite while its gradient is not."""

    def sums(self, outputs, batch):
        sums = super().sums(outputs, batch)
        return sums | {"mlm_loss": sums["mlm_loss"] + np.inf * batch["poison"][0]}


def test_an_infinite_loss_of_finite_gradient_changes_nothing_either(batches, tiny_config):
    model = AlbertForPretraining(tiny_config(num_hidden_layers=1), seed=1)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    loop = Loop(model, variable_names(model), Overflowing(), strategy, optimizer="lamb")
    before = weights(loop)
    with pytest.raises(NonFiniteError, match="step 0: mlm_loss is not finite"):
        run(loop, batches.read(range(ROWS)) | {"poison": np.ones(ROWS, np.float32)}, 0, 0.01)
    assert_equal(weights(loop), before)


# ------------------------------------------------------------------------------------------------------------- contract


def test_the_gradient_norm_told_is_that_before_clipping(batches, make_loop):
    loop = make_loop(optimizer="adamw", jit_compile=False)
    assert run(loop, batches.read(range(ROWS)))["gradient_norm"] > 1.1
    moments = [value for name, value in weights(loop).items() if name.endswith("adam_m")]
    clipped = np.sqrt(sum((moment**2).sum() for moment in moments)) / 0.1  # m = 0.1 g after the first step
    assert clipped == pytest.approx(1.0, rel=1e-4)


def test_a_rate_of_zero_moves_moments_alone(batches, make_loop):
    loop = make_loop(accumulate=1)
    before = weights(loop)
    run(loop, batches.read(range(ROWS)), 0, 0.0)
    after = weights(loop)
    for name in before:
        moved = (before[name] != after[name]).any()
        assert moved == name.endswith(("lamb_m", "lamb_v")), name


def test_state_restored_goes_on_the_same_way(batches, make_loop):
    results, after = three_updates(loop := make_loop(accumulate=1), batches)
    loop = make_loop(accumulate=1)
    for step in range(2):
        run(loop, batches.read(range(ROWS)), step, 1e-3)
    state = weights(loop)
    three_updates(loop, batches)
    loop.restore(state)
    assert run(loop, batches.read(range(ROWS)), 2, 1e-3) == results[2]
    assert_equal(weights(loop), after)


def test_classification_counts_rows_by_hand(tiny_config):
    model = AlbertForClassification(tiny_config(initializer_range=0.3), 3, seed=1)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    loop = Loop(model, variable_names(model), ClassificationObjective(), strategy)
    ids = np.random.default_rng(0).integers(5, 40, (4, 8)).astype(np.int32)
    labels, kept = np.array([0, 2, 1, 1], np.int32), np.array([1, 1, 1, 0], np.float32)
    batch = {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
    logits = loop.predict(batch, "logits")
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    scores = loop.evaluate([loop.distribute(lambda r, n: batch | {"labels": labels, "row_weights": kept})])
    assert scores == pytest.approx(
        {
            "loss": -log_probs[np.arange(3), labels[:3]].mean(),
            "accuracy": (logits.argmax(-1) == labels)[:3].mean(),
        },
        rel=1e-5,
    )


def test_half_precision_trains_with_float32_weights(batches, tiny_config):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = AlbertForPretraining(tiny_config(num_hidden_layers=1, initializer_range=0.3), seed=1)
    finally:
        keras.config.set_dtype_policy("float32")
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    loop = Loop(model, variable_names(model), PretrainingObjective(), strategy, optimizer="lamb")
    batch = batches.read(range(ROWS))
    losses = [run(loop, batch, step, 0.003)["mlm_loss"] for step in range(4)]
    assert losses[-1] < losses[0]
    assert {value.dtype.name for value in weights(loop).values()} == {"float32"}
