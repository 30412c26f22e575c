"""The optimizers are the published ones, step by step; what decays and what does not is stated name by name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from albert_zh.convert.weights import variable_names
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining
from albert_zh.training.loop import Loop
from albert_zh.training.optimizers import RULES, is_decayed, published_rule, schedule

GOLDEN = {"lamb": "lamb_brightmart", "lamb_google": "lamb_google", "adamw": "adamw_bert"}


class Weights(keras.Model):
    """Nothing but weights: its loss is their product with the batch, so that the batch is the gradient."""

    def __init__(self, arrays):
        super().__init__()
        self.by_name = {
            name: self.add_weight(array.shape, initializer=keras.initializers.Constant(0.0), name=f"weight_{number}")
            for number, (name, array) in enumerate(arrays.items())
        }
        for name, array in arrays.items():
            self.by_name[name].assign(array)
        self.built = True

    def call(self, batch, training=False, heads_only=False):
        return {name: keras.ops.sum(weight * batch[name][0]) for name, weight in self.by_name.items()}


class Product:
    losses = ("loss",)

    def counts(self, batch):
        return {"loss": tf.constant(1.0)}

    def sums(self, outputs, batch):
        return {"loss": tf.add_n(list(outputs.values()))}


def golden_run(folder, rule, clip_norm):
    """The (largest difference from the published value) of each of the six steps, through the loop that trains."""
    arrays = dict(np.load(folder / "optimizers" / f"{GOLDEN[rule]}.npz"))
    initial = {key.removeprefix("init|"): array for key, array in arrays.items() if key.startswith("init|")}
    model = Weights(initial)
    loop = Loop(
        model, model.by_name, Product(), tf.distribute.OneDeviceStrategy("CPU:0"), optimizer=rule, clip_norm=clip_norm
    )
    worst = []
    for step in range(6):
        grads = {name: arrays[f"grad{step}|{name}"][None] for name in initial}
        batch = loop.distribute(lambda replica, replicas, grads=grads: grads)
        norm = loop.step(batch, step, float(arrays[f"lr{step}"]))["gradient_norm"]
        assert norm == pytest.approx(np.sqrt(sum((grad**2).sum() for grad in grads.values())), rel=1e-5)
        worst.append(
            max(
                np.abs(keras.ops.convert_to_numpy(w) - arrays[f"value{step}|{n}"]).max()
                for n, w in model.by_name.items()
            )
        )
    return worst


@pytest.mark.parametrize("rule", GOLDEN)
def test_six_steps_are_those_of_the_published_code(rule, golden):
    assert max(golden_run(golden, rule, clip_norm=1.0)) < 1e-6


@pytest.mark.parametrize("rule", GOLDEN)
def test_the_published_steps_need_the_clip_at_a_global_norm_of_one(rule, golden):
    assert max(golden_run(golden, rule, clip_norm=1e9)) > 1e-4


def test_the_golden_set_holds_a_decayed_an_undecayed_and_a_zero_weight(golden):
    # Else the parity above would say nothing of the trust ratio's and the decay's exceptions.
    arrays = np.load(golden / "optimizers" / "lamb_brightmart.npz")
    names = [key.removeprefix("init|") for key in arrays.files if key.startswith("init|")]
    assert {is_decayed(name) for name in names} == {True, False}
    assert any(not arrays[f"init|{name}"].any() for name in names if is_decayed(name))


def test_every_rule_has_its_golden_run_and_slots_of_its_own_names(golden):
    assert set(GOLDEN) == set(RULES)
    assert RULES["lamb"].slots == ("lamb_m", "lamb_v")
    assert RULES["lamb_google"].slots == RULES["adamw"].slots == ("adam_m", "adam_v")


#: Ends of the names of weights that decay; all others are LayerNorms and biases.
DECAYED_ENDS = ("/kernel", "embeddings", "word_embeddings_2", "output_weights")


@pytest.mark.parametrize("family", ["brightmart", "google"])
def test_weights_decay_and_layer_norms_and_biases_do_not_for_every_variable_of_the_models(family, tiny_config):
    more = {"num_hidden_groups": 2, "inner_group_num": 2} if family == "google" else {}
    config = tiny_config(family=family, **more)
    names = {**variable_names(AlbertForPretraining(config)), **variable_names(AlbertForClassification(config, 3))}
    for name, variable in names.items():
        assert is_decayed(name) == name.endswith(DECAYED_ENDS), name
        # By shape: of the published models, matrices decay and vectors do not.
        assert is_decayed(name) == (len(variable.shape) == 2), name
    left_out = sorted(name for name in names if not is_decayed(name))
    blocks = 1 if family == "brightmart" else 4
    # Per block 6 biases and 2 LayerNorms of 2; embeddings 2, pooler 1, MLM 1 + 2 + 1, SOP 1, classifier 1.
    assert len(left_out) == blocks * (6 + 4) + 2 + 1 + 4 + 1 + 1 + (1 if family == "google" else 0)


@pytest.mark.parametrize(
    ("name", "decays"),
    [
        ("bert/embeddings/word_embeddings", True),
        ("bert/embeddings/word_embeddings_2", True),
        ("bert/embeddings/LayerNorm/gamma", False),
        ("bert/encoder/transformer/group_0/inner_group_0/LayerNorm_1/beta", False),
        ("bert/encoder/layer_shared/attention/self/query/kernel", True),
        ("bert/encoder/layer_shared/attention/self/query/bias", False),
        ("cls/predictions/output_bias", False),
        ("cls/seq_relationship/output_weights", True),
        ("output_weights", True),
        ("output_bias", False),
    ],
)
def test_what_decays(name, decays):
    assert is_decayed(name) is decays


def test_the_rate_by_hand():
    rate = schedule(peak=1.0, warmup_steps=4, total_steps=10)
    assert [rate(step) for step in range(12)] == pytest.approx(
        [0, 0.25, 0.5, 0.75, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0, 0]  # 1 - step / 10 from step 4: counted from step 0
    )


def test_the_published_recipe_s_rate():
    rate = schedule(0.00176, 12_500, 125_000)
    assert rate(0) == 0
    assert rate(6_250) == pytest.approx(0.00088)
    assert rate(12_499) == pytest.approx(0.00176, rel=1e-4)
    assert rate(12_500) == pytest.approx(0.00176 * 0.9)  # the drop where the warm-up ends
    assert rate(62_500) == pytest.approx(0.00088)
    assert rate(124_999) == pytest.approx(0.00176 / 125_000)


def test_without_warm_up_the_first_rate_is_the_peak():
    assert schedule(0.5, 0, 10)(0) == 0.5


def test_the_moments_are_saved_under_their_published_names(tiny_config):
    names = variable_names(model := AlbertForPretraining(tiny_config()))
    from albert_zh.training.objectives import PretrainingObjective

    loop = Loop(model, names, PretrainingObjective(), tf.distribute.OneDeviceStrategy("CPU:0"), optimizer="lamb")
    slots = loop.optimizer.slots()
    assert set(slots) == {f"{name}/{slot}" for name in names for slot in ("lamb_m", "lamb_v")}
    for name, variable in names.items():
        assert slots[f"{name}/lamb_m"].shape == slots[f"{name}/lamb_v"].shape == tuple(variable.shape)
    assert set(loop.state()) == set(names) | set(slots)


@pytest.mark.parametrize(
    ("name", "family", "rule"),
    [
        ("lamb", "brightmart", "lamb"),
        ("lamb", "google", "lamb_google"),
        ("lamb_google", "brightmart", "lamb_google"),
        ("adamw", "google", "adamw"),
    ],
)
def test_plain_lamb_is_the_variant_that_trained_the_family(name, family, rule):
    assert published_rule(name, family) == rule
