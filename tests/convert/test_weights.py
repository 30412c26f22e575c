"""Weights under one set of names: what a warm start takes over, and from where."""

import dataclasses

import numpy as np
import pytest

from albert_zh.convert import tensorflow1
from albert_zh.convert.loading import adapt_config, encoder_shapes, warm_start
from albert_zh.convert.weights import arrays_of, variable_names
from albert_zh.files import InputError
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining

BATCH = {
    "input_ids": np.random.default_rng(0).integers(0, 40, (2, 9), np.int32),
    "input_mask": np.array([[1] * 9, [1] * 6 + [0] * 3], np.int32),
    "masked_lm_positions": np.array([[1, 3], [2, 4]], np.int32),
}


def stored(model, folder):
    """The model as a checkpoint."""
    dice = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(dice.normal(0, 0.2, variable.shape))
    tensorflow1.save_weights(model, folder / "m.ckpt")
    return tensorflow1.open_stored(folder / "m.ckpt")


def test_layers_untied_begin_as_the_network_that_shared_them(tiny_config, tmp_path):
    shared = AlbertForPretraining(tiny_config(family="google", num_hidden_layers=6))
    file = stored(shared, tmp_path)
    untied = AlbertForPretraining(shared.config.replace(num_hidden_groups=6), seed=3)
    report = warm_start(untied, shared.config, file)
    assert report.missing == report.unused == ()
    assert len(report.loaded) == len(variable_names(untied)) == len(file.shapes) + 5 * 16
    first, second = shared(BATCH), untied(BATCH)
    for name in ("sequence_output", "pooled_output", "mlm_logits", "sop_logits"):
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.mark.parametrize(
    ("source_groups", "target_groups", "source_layers", "target_layers", "expected"),
    [
        (2, 4, 8, 8, [0, 0, 1, 1]),
        (4, 2, 8, 8, [0, 2]),
        (3, 3, 6, 12, [0, 1, 2]),  # the same depth, not the same layer
        (6, 3, 6, 3, [0, 2, 4]),
        (1, 2, 4, 2, [0, 0]),
    ],
)
def test_a_group_takes_the_group_that_ran_at_its_depth(
    source_groups, target_groups, source_layers, target_layers, expected, tiny_config, tmp_path
):
    def config(groups, layers):
        return tiny_config(family="google", num_hidden_groups=groups, num_hidden_layers=layers)

    source = AlbertForPretraining(config(source_groups, source_layers))
    file = stored(source, tmp_path)
    target = AlbertForPretraining(config(target_groups, target_layers), seed=1)
    warm_start(target, source.config, file)
    theirs, ours = arrays_of(source), arrays_of(target)
    for group, origin in enumerate(expected):
        for name in ("attention_1/self/query/kernel", "ffn_1/intermediate/output/dense/bias", "LayerNorm_1/gamma"):
            np.testing.assert_array_equal(
                ours[f"bert/encoder/transformer/group_{group}/inner_group_0/{name}"],
                theirs[f"bert/encoder/transformer/group_{origin}/inner_group_0/{name}"],
            )


def test_more_layers_of_one_shared_group_take_everything(tiny_config, tmp_path):
    file = stored(source := AlbertForPretraining(tiny_config()), tmp_path)
    deeper = AlbertForPretraining(tiny_config(num_hidden_layers=5), seed=1)
    assert warm_start(deeper, source.config, file).missing == ()
    for name, array in arrays_of(source).items():
        np.testing.assert_array_equal(array, arrays_of(deeper)[name], err_msg=name)


@pytest.mark.parametrize(("source_family", "target_family"), [("brightmart", "google"), ("google", "brightmart")])
def test_the_other_family_takes_the_blocks_the_words_and_the_projection(
    source_family, target_family, tiny_config, tmp_path
):
    source = AlbertForPretraining(tiny_config(family=source_family))
    file = stored(source, tmp_path)
    target = AlbertForPretraining(tiny_config(family=target_family), seed=1)
    before = arrays_of(target)
    report = warm_start(target, source.config, file)
    blocks = [name for name in report.loaded if name.startswith("bert/encoder/") and "mapping" not in name]
    assert len(blocks) == 16
    rows = ("position_embeddings", "token_type_embeddings", "LayerNorm")
    assert not any(name.startswith(f"bert/embeddings/{row}") for name in report.loaded for row in rows)  # other widths
    theirs, ours = arrays_of(source), arrays_of(target)
    projections = {"brightmart": "bert/embeddings/word_embeddings_2"}
    projections["google"] = "bert/encoder/embedding_hidden_mapping_in/kernel"
    for mine, its in (
        (projections[target_family], projections[source_family]),
        ("bert/embeddings/word_embeddings", "bert/embeddings/word_embeddings"),
        ("cls/seq_relationship/output_weights", "cls/seq_relationship/output_weights"),
    ):
        np.testing.assert_array_equal(ours[mine], theirs[its])
    for name in report.missing:
        np.testing.assert_array_equal(ours[name], before[name], err_msg=name)
    assert {*report.loaded, *report.missing} == set(ours)


def test_another_vocabulary_and_another_head_leave_the_rest(tiny_config, tmp_path):
    file = stored(source := AlbertForPretraining(tiny_config()), tmp_path)
    target = AlbertForClassification(tiny_config(vocab_size=50), 3)
    report = warm_start(target, source.config, file)
    assert report.missing == ("bert/embeddings/word_embeddings", "output_weights", "output_bias")
    assert "bert/embeddings/word_embeddings" in report.unused
    assert "freshly initialised (3)" in str(report)


def test_a_network_of_another_width_gives_nothing_and_is_refused(tiny_config, tmp_path):
    file = stored(source := AlbertForPretraining(tiny_config()), tmp_path)
    target = AlbertForPretraining(tiny_config(hidden_size=32, intermediate_size=48))
    with pytest.raises(InputError, match=r"nothing of its layers fits .*hidden size 16 and 32, feed-forward 24 and 48"):
        warm_start(target, source.config, file)


def test_a_value_that_is_not_finite_is_refused_by_name(tiny_config, tmp_path):
    source = AlbertForPretraining(tiny_config())
    stored(source, tmp_path)
    source.encoder.pooler.bias.assign(np.full(16, np.nan))
    tensorflow1.save_weights(source, tmp_path / "m.ckpt")
    with pytest.raises(InputError, match="bert/pooler/dense/bias holds values that are not finite"):
        warm_start(AlbertForPretraining(tiny_config()), source.config, tensorflow1.open_stored(tmp_path / "m.ckpt"))


@pytest.mark.parametrize(("heads", "doubted"), [(12, False), (6, True)])
def test_a_head_count_no_published_network_of_the_width_has_is_doubted(heads, doubted, tiny_config, tmp_path):
    config = tiny_config(hidden_size=312, num_attention_heads=heads)
    tensorflow1.save_weights(AlbertForPretraining(config), tmp_path / "m.ckpt")
    said = str(tensorflow1.load_weights(AlbertForPretraining(config), tmp_path / "m.ckpt"))
    assert (
        "note: the config says num_attention_heads 6; published models of hidden_size 312 have 12." in said
    ) == doubted


def test_names_shuffled_among_arrays_are_refused_with_the_variable_and_both_shapes(tiny_config, tmp_path):
    arrays = arrays_of(AlbertForPretraining(tiny_config()))
    names = list(arrays)
    moved = dict(zip(names, [arrays[name] for name in [*names[1:], names[0]]], strict=True))
    tensorflow1.write_checkpoint(tmp_path / "m.ckpt", moved)
    with pytest.raises(InputError, match=r"brightmart checkpoint of another size: bert/\S+ is \[[\d, ]+\], the config"):
        tensorflow1.load_weights(AlbertForPretraining(tiny_config()), tmp_path / "m.ckpt")


def test_two_models_in_one_checkpoint_are_refused_by_both_names(tiny_config, tmp_path):
    arrays = arrays_of(AlbertForPretraining(tiny_config()))
    others = {f"teacher/{name}": np.zeros_like(array) for name, array in arrays.items()}
    tensorflow1.write_checkpoint(tmp_path / "m.ckpt", arrays | others)
    with pytest.raises(InputError, match=r"holds both \S*\w+/\S+ and \S*\w+/\S+: two models"):
        tensorflow1.open_stored(tmp_path / "m.ckpt")


def test_text_and_counters_are_no_weights(tiny_config, tmp_path):
    arrays = arrays_of(AlbertForPretraining(tiny_config()))
    arrays["bert/pooler/dense/bias"] = np.array(["a"] * 16)
    tensorflow1.write_checkpoint(tmp_path / "m.ckpt", arrays)
    report = tensorflow1.load_weights(AlbertForPretraining(tiny_config()), tmp_path / "m.ckpt")
    assert report.missing == report.unused == ("bert/pooler/dense/bias",)


@pytest.mark.parametrize("family", ["brightmart", "google"])
def test_the_shapes_a_config_implies_are_those_of_its_network(family, tiny_config):
    changes = {"num_hidden_groups": 2, "inner_group_num": 2} if family == "google" else {}
    config = tiny_config(family=family, **changes)
    arrays = arrays_of(AlbertForPretraining(config))
    assert encoder_shapes(config) == {name: array.shape for name, array in arrays.items() if name.startswith("bert/")}


def test_a_config_that_asks_for_more_than_there_is_is_refused_before_a_network_is_built(tiny_config, tmp_path):
    file = stored(model := AlbertForPretraining(tiny_config(family="google")), tmp_path)
    huge = model.config.replace(num_hidden_groups=500, num_hidden_layers=500, inner_group_num=2)
    with pytest.raises(InputError, match=r"google checkpoint without bert/encoder/transformer/group_0/inner_group_1/"):
        adapt_config(huge, file)
    kernel = dataclasses.replace(file, shapes={**file.shapes, "output_weights": (10**9, 16)})
    with pytest.raises(InputError, match=r"its classifier has 1,000,000,000 classes"):
        adapt_config(model.config, kernel)


def test_a_warm_start_from_other_heads_or_another_activation_is_noted(tiny_config, tmp_path):
    file = stored(source := AlbertForPretraining(tiny_config()), tmp_path)
    target = AlbertForPretraining(tiny_config(num_attention_heads=2, hidden_act="relu"))
    said = str(warm_start(target, source.config, file))
    assert "note: the weights were trained for another network: num_attention_heads is 2, was 4; hidden_act" in said


def test_a_network_of_hundreds_of_blocks_can_be_built(tiny_config):
    config = tiny_config(family="google", num_hidden_groups=2, inner_group_num=100)
    assert len(variable_names(AlbertForPretraining(config))) == 16 * 200 + 16
