"""The encoder: published numbers, and the laws a network of either family keeps."""

import keras
import numpy as np
import pytest
from keras import ops

from albert_zh.models import encoder as encoder_module
from albert_zh.models.encoder import AlbertEncoder, Block, Initializers
from albert_zh.models.heads import AlbertForPretraining

FAMILIES = ["brightmart", "google"]


def encode(model, batch, **more):
    outputs = model(batch | more)
    return {name: ops.convert_to_numpy(array) for name, array in outputs.items()}


@pytest.fixture(params=[("brightmart", "postln"), ("brightmart", "preln"), ("google", "postln")], ids="-".join)
def model(request, tiny_config):
    family, ln_type = request.param
    return AlbertForPretraining(tiny_config(family=family, ln_type=ln_type, initializer_range=0.3), seed=1)


@pytest.fixture
def batch():
    dice = np.random.default_rng(3)
    return {
        "input_ids": dice.integers(0, 40, (4, 12)).astype(np.int32),
        "input_mask": (np.arange(12) < np.array([[12], [9], [5], [2]])).astype(np.int32),
        "segment_ids": dice.integers(0, 2, (4, 12)).astype(np.int32),
    }


def test_outputs_have_the_shapes_promised(model, batch):
    out = encode(model, batch, masked_lm_positions=np.zeros((4, 3), np.int32))
    width = 16 if model.config.family == "brightmart" else 8
    assert {name: array.shape for name, array in out.items()} == {
        "embedding_output": (4, 12, width),
        "sequence_output": (4, 12, 16),
        "pooled_output": (4, 16),
        "mlm_logits": (4, 3, 40),
        "sop_logits": (4, 2),
    }


def test_a_padded_row_has_the_hidden_states_of_the_row_alone(model, batch):
    out = encode(model, batch)
    for row, length in enumerate(batch["input_mask"].sum(axis=1)):
        alone = encode(model, {name: array[row : row + 1, :length] for name, array in batch.items()})
        np.testing.assert_allclose(out["sequence_output"][row, :length], alone["sequence_output"][0], atol=2e-6)
        np.testing.assert_allclose(out["pooled_output"][row], alone["pooled_output"][0], atol=2e-6)


def test_what_stands_in_the_padding_changes_nothing_before_it(model, batch):
    changed = batch | {"input_ids": np.where(batch["input_mask"] == 1, batch["input_ids"], 39)}
    visible = batch["input_mask"] == 1
    np.testing.assert_array_equal(
        encode(model, batch)["sequence_output"][visible], encode(model, changed)["sequence_output"][visible]
    )


def test_permuting_rows_permutes_outputs(model, batch):
    order = np.array([2, 0, 3, 1])
    out, permuted = encode(model, batch), encode(model, {name: array[order] for name, array in batch.items()})
    for name in out:
        np.testing.assert_allclose(permuted[name], out[name][order], atol=2e-6)


def test_a_mask_left_out_means_no_padding_and_segments_left_out_mean_the_first(model, batch):
    ids = batch["input_ids"]
    bare = encode(model, {"input_ids": ids})
    full = encode(model, {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)})
    np.testing.assert_array_equal(bare["sequence_output"], full["sequence_output"])


def test_position_and_segment_matter(model, batch):
    ids = batch["input_ids"]
    bare = encode(model, {"input_ids": ids})["pooled_output"]
    assert (
        np.abs(encode(model, {"input_ids": ids, "segment_ids": np.ones_like(ids)})["pooled_output"] - bare).max() > 1e-3
    )
    swapped = ids[:, [0, *range(11, 0, -1)]]
    assert np.abs(encode(model, {"input_ids": swapped})["pooled_output"] - bare).max() > 1e-3


def test_the_pooled_output_is_a_tanh_of_the_first_token(model, batch):
    out = encode(model, batch)
    kernel, bias = (ops.convert_to_numpy(weight) for weight in model.encoder.pooler.weights)
    np.testing.assert_allclose(out["pooled_output"], np.tanh(out["sequence_output"][:, 0] @ kernel + bias), atol=2e-6)


def test_pre_ln_is_another_network_than_post_ln_with_the_same_weights(tiny_config, batch):
    post, pre = (AlbertForPretraining(tiny_config(ln_type=kind, initializer_range=0.3)) for kind in ("postln", "preln"))
    assert [v.path for v in post.variables] == [v.path for v in pre.variables]
    for ours, theirs in zip(post.variables, pre.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs))
    difference = encode(post, batch)["sequence_output"] - encode(pre, batch)["sequence_output"]
    assert np.abs(difference).max() > 0.1


@pytest.mark.parametrize(
    ("layers", "groups", "inner", "expected"),
    [
        (4, 1, 1, "00 00 00 00"),
        (4, 2, 1, "00 00 10 10"),
        (4, 2, 2, "00 01 00 01 10 11 10 11"),
        (5, 3, 1, "00 00 10 10 20"),  # int(i / 5 * 3) = 0 0 1 1 2
        (3, 3, 1, "00 10 20"),
    ],
)
def test_layer_i_runs_all_blocks_of_group_i_times_groups_over_layers(
    layers, groups, inner, expected, tiny_config, batch, monkeypatch
):
    config = tiny_config(family="google", num_hidden_layers=layers, num_hidden_groups=groups, inner_group_num=inner)
    encoder = AlbertEncoder(config, Initializers(config, 0))
    encoder.build()
    ran, call = [], Block.call

    def spy(self, *args, **kwargs):
        ran.append(self.name)
        return call(self, *args, **kwargs)

    monkeypatch.setattr(encoder_module.Block, "call", spy)
    encoder(batch)
    assert ran == [f"group_{word[0]}_inner_{word[1]}" for word in expected.split()]


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_share_weights_so_depth_adds_none(family, tiny_config):
    shallow, deep = (
        AlbertForPretraining(tiny_config(family=family, num_hidden_layers=layers)).count_params() for layers in (1, 9)
    )
    assert shallow == deep


@pytest.mark.parametrize(
    ("act", "at_one"),
    [("gelu", 0.8411920), ("gelu_new", 0.8411920), ("gelu_exact", 0.8413447), ("relu", 1.0), ("tanh", 0.7615942)],
)
def test_gelu_is_the_tanh_form(act, at_one):
    # tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), Hendrycks & Gimpel 2016
    np.testing.assert_allclose(
        float(encoder_module.activation(act)(ops.convert_to_tensor([1.0]))[0]), at_one, atol=1e-6
    )


def test_every_activation_a_config_may_name_exists():
    from albert_zh.config import ACTIVATIONS

    for name in ACTIVATIONS:
        assert callable(encoder_module.activation(name))


def test_weights_are_a_function_of_the_seed(tiny_config):
    first, same, other = (AlbertForPretraining(tiny_config(), seed=seed) for seed in (5, 5, 6))
    kernels = [
        v.path for v in first.variables if "kernel" in v.path or ("embeddings/" in v.path and "norm" not in v.path)
    ]
    values = [{v.path: ops.convert_to_numpy(v) for v in model.variables} for model in (first, same, other)]
    for path in kernels:
        np.testing.assert_array_equal(values[0][path], values[1][path])
        assert (values[0][path] != values[2][path]).any(), path
    distinct = {values[0][path].ravel()[:8].tobytes() for path in kernels}
    assert len(distinct) == len(kernels)  # no two weights start alike


def test_first_weights_are_the_published_truncated_normal_and_zero_biases(tiny_config):
    model = AlbertForPretraining(tiny_config(vocab_size=3000))
    word = ops.convert_to_numpy(model.encoder.embeddings.word)
    assert np.abs(word).max() <= 0.04 + 1e-6  # cut at two standard deviations
    assert 0.016 < word.std() < 0.019  # 0.02 before the cut, 0.88 of it after
    for variable in model.variables:
        value = ops.convert_to_numpy(variable)
        if "bias" in variable.path or "beta" in variable.path:
            assert not value.any(), variable.path
        if "gamma" in variable.path:
            assert (value == 1).all(), variable.path


def test_dropout_runs_in_training_alone(tiny_config, batch):
    model = AlbertForPretraining(tiny_config(hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5))
    still = AlbertForPretraining(tiny_config())
    np.testing.assert_array_equal(encode(model, batch)["sequence_output"], encode(still, batch)["sequence_output"])
    first, second = (ops.convert_to_numpy(model(batch, training=True)["sequence_output"]) for _ in range(2))
    assert (first != second).any()


def test_half_precision_keeps_weights_in_float32_and_the_scores_too(tiny_config, batch):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = AlbertForPretraining(tiny_config())
    finally:
        keras.config.set_dtype_policy("float32")
    assert {keras.backend.standardize_dtype(v.dtype) for v in model.trainable_variables} == {"float32"}
    out = model(batch | {"masked_lm_positions": np.zeros((4, 3), np.int32)})
    dtypes = {name: keras.backend.standardize_dtype(array.dtype) for name, array in out.items()}
    assert (dtypes["mlm_logits"], dtypes["sop_logits"], dtypes["sequence_output"]) == ("float32", "float32", "bfloat16")
    whole = AlbertForPretraining(tiny_config())(batch)["pooled_output"]
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(out["pooled_output"], "float32")), whole, atol=0.02)
