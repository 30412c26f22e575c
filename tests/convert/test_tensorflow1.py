"""TF1 checkpoints: numbers of the published code, names both ways, refusals that name the variable."""

import errno
import os

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from albert_zh.config import AlbertConfig
from albert_zh.convert import tensorflow1
from albert_zh.convert.loading import adapt_config
from albert_zh.convert.tensorflow1 import (
    find_prefix,
    load_weights,
    open_stored,
    read_checkpoint,
    save_weights,
    shapes,
    write_checkpoint,
)
from albert_zh.convert.weights import family_of, to_tf1, variable_names
from albert_zh.files import InputError
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining

FOLDERS = ["brightmart_postln", "brightmart_preln", "google_1group", "google_2groups_2inner"]
INPUTS = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def state(model):
    return {name: ops.convert_to_numpy(variable) for name, variable in variable_names(model).items()}


@pytest.fixture(scope="module", params=FOLDERS)
def reference(request, golden):
    """(model with the golden weights, expected arrays, its outputs, load report, folder)"""
    folder = golden / request.param
    model = AlbertForPretraining(AlbertConfig.from_json(folder / "albert_config.json"), seed=9)
    report = load_weights(model, folder / "albert_model.ckpt")
    expected = dict(np.load(folder / "expected.npz"))
    outputs = model({name: expected[name].astype(np.int32) for name in INPUTS})
    return model, expected, {name: ops.convert_to_numpy(array) for name, array in outputs.items()}, report, folder


# --------------------------------------------------------------------------------------------------------------- parity


def test_hidden_states_are_those_of_the_published_code(reference):
    _, expected, outputs, _, _ = reference
    for name in ("embedding_output", "sequence_output", "pooled_output"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5, rtol=0, err_msg=name)


def test_log_probabilities_are_those_of_the_published_code(reference):
    _, expected, outputs, _, _ = reference
    mlm = log_softmax(outputs["mlm_logits"]).reshape(expected["mlm_log_probs"].shape)
    np.testing.assert_allclose(mlm, expected["mlm_log_probs"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(log_softmax(outputs["sop_logits"]), expected["sop_log_probs"], atol=1e-4, rtol=0)


def test_losses_are_those_of_the_published_code_and_of_numpy(reference):
    from albert_zh.training.objectives import PretrainingObjective

    _, expected, outputs, _, _ = reference
    labels, weights = expected["masked_lm_ids"].reshape(-1), expected["masked_lm_weights"].reshape(-1)
    mlm_log_probs = log_softmax(outputs["mlm_logits"]).reshape(len(labels), -1)
    sop_log_probs, swapped = log_softmax(outputs["sop_logits"]), expected["next_sentence_labels"]
    each = -mlm_log_probs[np.arange(len(labels)), labels]
    by_hand = {
        "mlm_loss": (each * weights).sum() / weights.sum(),
        "mlm_accuracy": ((mlm_log_probs.argmax(-1) == labels) * weights).sum() / weights.sum(),
        "sop_loss": -sop_log_probs[np.arange(len(swapped)), swapped].mean(),
        "sop_accuracy": (sop_log_probs.argmax(-1) == swapped).mean(),
    }
    objective, batch = (
        PretrainingObjective(),
        {
            "masked_lm_ids": expected["masked_lm_ids"].astype(np.int32),
            "masked_lm_weights": expected["masked_lm_weights"],
            "next_sentence_labels": swapped.astype(np.int32),
            "row_weights": np.ones(len(swapped), np.float32),
        },
    )
    counts, sums = objective.counts(batch), objective.sums(outputs, batch)
    ours = {name: float(sums[name] / counts[name]) for name in sums}
    assert ours == pytest.approx(by_hand, abs=1e-5)
    np.testing.assert_allclose(each, expected["mlm_example_loss"], atol=1e-4)
    # The published code divides by the sum of the weights plus 1e-5.
    published = ours["mlm_loss"] * weights.sum() / (weights.sum() + 1e-5)
    assert published == pytest.approx(float(expected["mlm_loss"]), abs=1e-5)
    assert ours["sop_loss"] == pytest.approx(float(expected["sop_loss"]), abs=1e-5)


# ---------------------------------------------------------------------------------------------------------------- names


def test_a_published_checkpoint_matches_the_model_name_by_name(reference):
    model, _, _, report, folder = reference
    listed = shapes(folder / "albert_model.ckpt")
    assert set(report.loaded) == set(variable_names(model)) == set(listed)
    assert (report.missing, report.unused, report.slots) == ((), (), 0)
    assert f"{len(listed)} arrays loaded, 0 optimizer slots" in str(report)


def test_every_trainable_variable_has_one_name_and_the_checkpoint_s_shape(reference):
    model, _, _, _, folder = reference
    names, listed = variable_names(model), shapes(folder / "albert_model.ckpt")
    assert len(names) == len(model.trainable_variables)
    for name, array in state(model).items():
        assert to_tf1(name, array).shape == listed[name], name


def test_a_checkpoint_written_holds_the_bytes_of_the_one_read(reference, tmp_path):
    model, _, _, _, folder = reference
    save_weights(model, tmp_path / "albert_model.ckpt")
    ours, theirs = (read_checkpoint(where / "albert_model.ckpt") for where in (tmp_path, folder))
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert listing(tmp_path) == ["albert_model.ckpt.data-00000-of-00001", "albert_model.ckpt.index"]


def test_a_classifier_is_stored_as_the_old_runner_did(tiny_config, tmp_path):
    model = AlbertForClassification(tiny_config(), 3)
    save_weights(model, tmp_path / "m.ckpt")
    listed = shapes(tmp_path / "m.ckpt")
    assert (listed["output_weights"], listed["output_bias"]) == ((3, 16), (3,))
    twin = AlbertForClassification(tiny_config(), 3, seed=1)
    load_weights(twin, tmp_path / "m.ckpt")
    for name, array in state(twin).items():
        np.testing.assert_array_equal(array, state(model)[name], err_msg=name)


def test_the_report_counts_what_was_loaded_missing_unused_and_passed_over(tiny_config, tmp_path):
    model = AlbertForPretraining(tiny_config())
    arrays = {name: to_tf1(name, array) for name, array in state(model).items()}
    slots = {f"{name}/{slot}": array for name, array in arrays.items() for slot in ("lamb_m", "lamb_v")}
    extra = {"global_step": np.int64(7), "beta1_power": np.float32(1), "somebody/else": np.zeros(3, np.float32)}
    write_checkpoint(tmp_path / "m.ckpt", arrays | slots | extra)
    twin = AlbertForClassification(tiny_config(), 2)
    before = state(twin)
    report = load_weights(twin, tmp_path / "m.ckpt")
    heads = {name for name in arrays if name.startswith("cls/")}
    assert set(report.loaded) == set(arrays) - heads
    assert report.missing == ("output_weights", "output_bias")
    assert set(report.unused) == heads | {"somebody/else"}
    assert report.slots == 2 * len(arrays) + 2
    text = str(report)
    assert "freshly initialised (2): output_weights, output_bias" in text
    assert f"not used here ({len(heads) + 1}): cls/" in text
    after = state(twin)
    for name in ("output_weights", "output_bias"):
        np.testing.assert_array_equal(before[name], after[name])


# ------------------------------------------------------------------------------------------------------------- refusals


def test_the_family_is_told_by_names_alone(golden):
    for folder in FOLDERS:
        listed = shapes(golden / folder / "albert_model.ckpt")
        assert family_of(listed, "x") == folder.split("_")[0]


def test_a_bert_checkpoint_is_called_one():
    listed = {"bert/embeddings/word_embeddings": (40, 16), "bert/encoder/layer_0/attention/self/query/kernel": (16, 16)}
    with pytest.raises(InputError, match=r"here: this is a BERT checkpoint"):
        family_of(listed, "here")


def test_a_checkpoint_of_something_else_is_refused_with_what_it_holds():
    with pytest.raises(InputError, match=r"here: no ALBERT of either family; it holds a/kernel, b/kernel"):
        family_of({"b/kernel": (1,), "a/kernel": (1,)}, "here")


@pytest.mark.parametrize(("folder", "other"), [("brightmart_postln", "google"), ("google_1group", "brightmart")])
def test_weights_of_the_other_family_are_refused_by_a_built_model(folder, other, golden, tiny_config):
    model = AlbertForPretraining(tiny_config(family=other))
    family = folder.split("_")[0]
    with pytest.raises(InputError, match=f"a {family} checkpoint, but the model is of the {other} family"):
        load_weights(model, golden / folder / "albert_model.ckpt")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"vocab_size": 99}, "word_embeddings is .211, 16., the config says .99, 16."),
        ({"embedding_size": 8}, "word_embeddings is .211, 16., the config says .211, 8."),
        ({"hidden_size": 64}, "position_embeddings is .64, 48., the config says .64, 64."),
        ({"max_position_embeddings": 128}, "position_embeddings is .64, 48., the config says .128, 48."),
        ({"type_vocab_size": 3}, "token_type_embeddings is .2, 48., the config says .3, 48."),
    ],
)
def test_a_config_of_another_size_is_refused_with_variable_and_shapes(changes, name, golden):
    folder = golden / "brightmart_postln"
    config = AlbertConfig.from_json(folder / "albert_config.json").replace(**changes)
    with pytest.raises(InputError, match=f"brightmart checkpoint of another size: bert/embeddings/{name}"):
        adapt_config(config, open_stored(folder / "albert_model.ckpt"))


def test_a_feed_forward_of_another_size_is_refused_when_loaded(golden):
    folder = golden / "brightmart_postln"
    config = AlbertConfig.from_json(folder / "albert_config.json").replace(intermediate_size=100)
    with pytest.raises(InputError, match=r"another size: .*intermediate.* is \[.*96.*the config says \[.*100"):
        load_weights(AlbertForPretraining(config), folder / "albert_model.ckpt")


@pytest.mark.parametrize(("folder", "groups"), [("google_1group", 2), ("google_2groups_2inner", 1)])
def test_another_number_of_groups_is_refused(folder, groups, golden):
    config = AlbertConfig.from_json(golden / folder / "albert_config.json").replace(num_hidden_groups=groups)
    with pytest.raises(
        InputError, match=r"google checkpoint with(out)? bert/encoder/transformer/group_1/.*other .*groups"
    ):
        load_weights(AlbertForPretraining(config), golden / folder / "albert_model.ckpt")


def test_heads_leave_no_trace_so_the_json_decides(golden):
    # Another head count loads without a word and computes other numbers: why the JSON must be the checkpoint's own.
    folder = golden / "brightmart_postln"
    config = AlbertConfig.from_json(folder / "albert_config.json").replace(num_attention_heads=8)
    assert adapt_config(config, open_stored(folder / "albert_model.ckpt")) == config
    model = AlbertForPretraining(config)
    assert load_weights(model, folder / "albert_model.ckpt").missing == ()
    expected = np.load(folder / "expected.npz")
    out = model({name: expected[name].astype(np.int32) for name in INPUTS})["sequence_output"]
    assert np.abs(ops.convert_to_numpy(out) - expected["sequence_output"]).max() > 1e-3


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(suffix, kept, golden, tmp_path):
    for file in (golden / "google_1group").iterdir():
        content = file.read_bytes()
        cut = content[: int(len(content) * kept)] if file.name.endswith(suffix) else content
        (tmp_path / file.name).write_bytes(cut)
    config = AlbertConfig.from_json(tmp_path / "albert_config.json")
    said = r"lists 32 arrays of 110,868 bytes in all, but .* holds [\d,]+: the download was cut off.*Download or copy"
    with pytest.raises(
        InputError, match=said if "data" in suffix else r"ckpt\.index: cannot be read .*Download or copy"
    ):
        load_weights(AlbertForPretraining(config), tmp_path / "albert_model.ckpt")


def test_a_data_file_that_is_not_there_is_refused(golden, tmp_path):
    (tmp_path / "m.ckpt.index").write_bytes((golden / "google_1group" / "albert_model.ckpt.index").read_bytes())
    with pytest.raises(InputError, match=r"lists 32 arrays .* there is no m\.ckpt\.data-00000-of-00001 with the"):
        read_checkpoint(tmp_path / "m.ckpt")


def test_a_flipped_byte_is_noticed(golden, tmp_path):
    source = golden / "google_1group"
    (tmp_path / "m.ckpt.index").write_bytes((source / "albert_model.ckpt.index").read_bytes())
    content = bytearray((source / "albert_model.ckpt.data-00000-of-00001").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "m.ckpt.data-00000-of-00001").write_bytes(content)
    with pytest.raises(InputError, match=r"the weights are damaged .*Checksum does not match"):
        read_checkpoint(tmp_path / "m.ckpt")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(value, tiny_config, tmp_path):
    model = AlbertForPretraining(tiny_config())
    arrays = {name: to_tf1(name, array) for name, array in state(model).items()}
    arrays["bert/pooler/dense/bias"] = np.full(16, value, np.float32)
    write_checkpoint(tmp_path / "m.ckpt", arrays)
    with pytest.raises(InputError, match="bert/pooler/dense/bias holds values that are not finite"):
        load_weights(model, tmp_path / "m.ckpt")


def test_an_encoder_with_a_part_missing_is_refused(tiny_config, tmp_path):
    model = AlbertForPretraining(tiny_config())
    arrays = {name: to_tf1(name, array) for name, array in state(model).items()}
    del arrays["bert/embeddings/LayerNorm/gamma"]
    write_checkpoint(tmp_path / "m.ckpt", arrays)
    with pytest.raises(InputError, match="brightmart checkpoint without bert/embeddings/LayerNorm/gamma"):
        load_weights(model, tmp_path / "m.ckpt")


# ---------------------------------------------------------------------------------------------------------------- files


def test_a_folder_a_prefix_and_each_file_stand_for_one_checkpoint(golden):
    folder = golden / "google_1group"
    prefix = str(folder / "albert_model.ckpt")
    for path in (folder, prefix, f"{prefix}.index", f"{prefix}.meta", f"{prefix}.data-00000-of-00001"):
        assert find_prefix(path) == prefix


def test_a_checkpoint_file_that_points_elsewhere_is_ignored(golden, tmp_path):
    for file in (golden / "google_1group").glob("*.ckpt.*"):
        (tmp_path / file.name.replace("albert_model.ckpt", "model.ckpt-best")).write_bytes(file.read_bytes())
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "gs://bucket/other.ckpt"\n', encoding="utf-8")
    assert find_prefix(tmp_path) == str(tmp_path / "model.ckpt-best")


def test_a_folder_with_several_checkpoints_and_one_with_none_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no checkpoint there: neither .* nor a folder with one \.index file"):
        find_prefix(tmp_path)
    with pytest.raises(InputError, match="no checkpoint there"):
        find_prefix(tmp_path / "none.ckpt")
    for name in ("a.ckpt", "b.ckpt"):
        write_checkpoint(tmp_path / name, {"x": np.zeros(1, np.float32)})
    with pytest.raises(InputError, match=r"holds several checkpoints \(a\.ckpt, b\.ckpt\)\. Name one"):
        find_prefix(tmp_path)


def test_arrays_read_back_are_those_written_whatever_their_type(tmp_path):
    arrays = {"a/b": np.arange(6, dtype=np.float32).reshape(2, 3), "global_step": np.int64(2**40), "q": np.float64(0.1)}
    write_checkpoint(tmp_path / "new" / "m.ckpt", arrays)
    back = read_checkpoint(tmp_path / "new" / "m.ckpt")
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
    assert read_checkpoint(tmp_path / "new" / "m.ckpt", ["q"]).keys() == {"q"}


def test_equal_arrays_give_equal_bytes(tmp_path):
    arrays = {name: np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32) for name in "abc"}
    for name in ("one", "two"):
        write_checkpoint(tmp_path / name, dict(reversed(arrays.items())) if name == "two" else arrays)
    for suffix in (".index", ".data-00000-of-00001"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing_half_written(call, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tensorflow1.os, call, full)
    with pytest.raises(InputError, match=r"m\.ckpt: the checkpoint cannot be written .*No space left"):
        write_checkpoint(tmp_path / "m.ckpt", {"x": np.zeros(9, np.float32)})
    assert listing(tmp_path) == []


def test_a_full_disk_while_tensorflow_writes_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    write_checkpoint(tmp_path / "m.ckpt", {"x": np.zeros(9, np.float32)})

    def full(prefix, **_):
        with open(f"{prefix}.data-00000-of-00001.tempstate1", "wb") as stream:
            stream.write(b"half")
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.raw_ops, "SaveV2", full)
    with pytest.raises(InputError, match=r"m\.ckpt: the checkpoint cannot be written .*No space left"):
        write_checkpoint(tmp_path / "m.ckpt", {"x": np.ones(9, np.float32)})
    assert listing(tmp_path) == ["m.ckpt.data-00000-of-00001", "m.ckpt.index"]
    assert not read_checkpoint(tmp_path / "m.ckpt")["x"].any()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("old", encoding="utf-8")
    with pytest.raises(InputError, match=r"m\.ckpt: the checkpoint cannot be written"):
        write_checkpoint(tmp_path / "file" / "m.ckpt", {"x": np.zeros(9, np.float32)})
    assert (tmp_path / "file").read_text(encoding="utf-8") == "old"
