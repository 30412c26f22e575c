"""Hugging Face's layout: numbers of its own network, names both ways, refusals that say what a file is."""

import json
import re
import shutil
import struct

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import ops

from albert_zh.config import ACTIVATIONS, AlbertConfig
from albert_zh.convert import huggingface
from albert_zh.convert.huggingface import config_json, open_stored, refusal
from albert_zh.convert.weights import variable_names
from albert_zh.files import InputError
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining, AlbertModel
from albert_zh.pretrained import find, load, load_pretrained

FILES = ["model.safetensors", "pytorch_model.bin", "pytorch_model_2019.bin"]
BLOCK = "albert.encoder.albert_layer_groups.{}.albert_layers.{}."
WORD, DECODER = "albert.embeddings.word_embeddings.weight", "predictions.decoder.weight"


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def state(model):
    return {name: ops.convert_to_numpy(variable) for name, variable in variable_names(model).items()}


def assert_same_weights(first, second):
    first, second = state(first), state(second)
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].tobytes() == second[name].tobytes(), name


def arrays_in(folder):
    return safetensors.numpy.load_file(folder / "model.safetensors")


@pytest.fixture
def tensors(golden):
    """The arrays of the golden model by their names; a dict of the test's own."""
    return arrays_in(golden / "huggingface")


@pytest.fixture
def folder_of(golden, tmp_path):
    """``folder_of(arrays, key=value)``: a model folder of these arrays and the golden config with some keys changed."""

    def make(arrays, **changes):
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        config = json.loads((golden / "huggingface" / "config.json").read_text(encoding="utf-8")) | changes
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        safetensors.numpy.save_file(
            {name: np.array(a, order="C") for name, a in arrays.items()}, folder / "model.safetensors"
        )
        return folder

    return make


@pytest.fixture
def loaded(golden):
    """The golden model."""
    return load(find(golden / "huggingface" / "model.safetensors"))[0]


# --------------------------------------------------------------------------------------------------------------- parity


@pytest.mark.parametrize("file", FILES)
def test_outputs_are_those_of_hugging_face_from_each_kind_of_file(file, golden):
    expected = np.load(golden / "huggingface" / "expected.npz")
    model, report = load(find(golden / "huggingface" / file))
    rows, length = expected["input_ids"].shape
    inputs = {name: expected[name].astype(np.int32) for name in ("input_ids", "input_mask", "segment_ids")}
    inputs["masked_lm_positions"] = np.tile(np.arange(length, dtype=np.int32), (rows, 1))
    outputs = {name: ops.convert_to_numpy(array) for name, array in model(inputs).items()}
    for name in ("sequence_output", "pooled_output"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5, rtol=0, err_msg=name)
    for ours, theirs in (("mlm_logits", "prediction_logits"), ("sop_logits", "sop_logits")):
        np.testing.assert_allclose(
            log_softmax(outputs[ours]), log_softmax(expected[theirs]), atol=1e-4, rtol=0, err_msg=ours
        )
    # Every name of the file has its place, and every array of the model its name.
    assert set(report.loaded) == set(variable_names(model))
    assert (report.missing, report.unused, report.slots) == ((), (), 0)


@pytest.mark.parametrize("file", FILES)
def test_a_folder_with_one_of_the_files_is_a_model(file, golden, tmp_path, loaded):
    name = "model.safetensors" if file.endswith(".safetensors") else "pytorch_model.bin"
    shutil.copy(golden / "huggingface" / file, tmp_path / name)
    shutil.copy(golden / "huggingface" / "config.json", tmp_path)
    source = find(tmp_path)
    assert (source.stored.layout, source.where) == ("huggingface", str(tmp_path / name))
    assert source.config == loaded.config
    assert_same_weights(load(source)[0], loaded)


def test_of_both_kinds_in_a_folder_the_one_without_a_pickle_is_read(golden):
    assert find(golden / "huggingface").where == str(golden / "huggingface" / "model.safetensors")


def test_kernels_lie_transposed_and_all_else_as_it_is(tensors, loaded):
    ours = state(loaded)
    block = "bert/encoder/transformer/group_0/inner_group_0"
    pairs = {
        "albert.encoder.embedding_hidden_mapping_in.weight": "bert/encoder/embedding_hidden_mapping_in/kernel",
        f"{BLOCK.format(0, 0)}ffn.weight": f"{block}/ffn_1/intermediate/dense/kernel",
        f"{BLOCK.format(0, 0)}ffn_output.weight": f"{block}/ffn_1/intermediate/output/dense/kernel",
        f"{BLOCK.format(0, 0)}attention.value.weight": f"{block}/attention_1/self/value/kernel",
        "albert.pooler.weight": "bert/pooler/dense/kernel",
        "predictions.dense.weight": "cls/predictions/transform/dense/kernel",
        "sop_classifier.classifier.weight": "cls/seq_relationship/output_weights",
    }
    for theirs, name in pairs.items():
        np.testing.assert_array_equal(tensors[theirs].T, ours[name], err_msg=name)
    for theirs, name in {
        WORD: "bert/embeddings/word_embeddings",
        f"{BLOCK.format(0, 0)}attention.LayerNorm.weight": f"{block}/LayerNorm/gamma",
        f"{BLOCK.format(0, 0)}full_layer_layer_norm.bias": f"{block}/LayerNorm_1/beta",
        "predictions.bias": "cls/predictions/output_bias",
    }.items():
        np.testing.assert_array_equal(tensors[theirs], ours[name], err_msg=name)


# -------------------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("name", ["google_1group", "google_2groups_2inner"])
def test_writing_then_reading_is_the_identity_to_the_bit(name, golden, tmp_path):
    model = load_pretrained(golden / name, say=lambda _: None)
    save_pretrained(model, tmp_path / "out", layout="huggingface")
    twin, report = load(find(tmp_path / "out"))
    assert twin.config == model.config
    assert_same_weights(model, twin)
    assert (report.missing, report.unused) == ((), ())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "model.safetensors"]


def test_the_file_read_is_the_file_written(golden, tmp_path, loaded, tensors):
    save_pretrained(loaded, tmp_path / "out", layout="huggingface")
    written = arrays_in(tmp_path / "out")
    assert written.keys() == tensors.keys()
    for name, array in tensors.items():
        assert (written[name].dtype, written[name].shape) == (array.dtype, array.shape), name
        assert written[name].tobytes() == array.tobytes(), name
    ours, theirs = (
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
        for folder in (tmp_path / "out", golden / "huggingface")
    )
    same = theirs.keys() - {"bos_token_id", "eos_token_id", "transformers_version", "classifier_dropout_prob"}
    assert {key: ours.get(key) for key in same} == {key: theirs[key] for key in same}


def test_a_network_of_groups_and_blocks_has_a_name_for_each(golden, tmp_path, tensors):
    save_pretrained(load_pretrained(golden / "google_2groups_2inner", say=str), tmp_path / "out", layout="huggingface")
    written = arrays_in(tmp_path / "out")
    inside = [name for name in tensors if name.startswith(BLOCK.format(0, 0))]
    expected = {name: tensors[name].shape for name in tensors if name not in inside}
    for group in range(2):
        for block in range(2):
            for name in inside:
                expected[name.replace(BLOCK.format(0, 0), BLOCK.format(group, block))] = tensors[name].shape
    assert {name: array.shape for name, array in written.items()} == expected
    # The blocks are not copies of each other, so a wrong number would show above only as other bits.
    stored = open_stored(tmp_path / "out" / "model.safetensors")
    name = "bert/encoder/transformer/group_1/inner_group_0/ffn_1/intermediate/dense/kernel"
    np.testing.assert_array_equal(stored.read([name])[name], written[f"{BLOCK.format(1, 0)}ffn.weight"].T)
    assert (written[f"{BLOCK.format(1, 0)}ffn.weight"] != written[f"{BLOCK.format(0, 1)}ffn.weight"]).any()


GOOGLE = st.builds(
    lambda heads, size, layers, **fields: AlbertConfig(
        family="google",
        hidden_size=heads * size,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        num_hidden_groups=1,
        **fields,
    ),
    heads=st.integers(1, 64),
    size=st.integers(1, 64),
    layers=st.integers(1, 48),
    vocab_size=st.integers(1, 30000),
    embedding_size=st.integers(1, 512),
    intermediate_size=st.integers(1, 16384),
    inner_group_num=st.integers(1, 4),
    hidden_act=st.sampled_from(ACTIVATIONS),
    hidden_dropout_prob=st.floats(0, 0.9),
    attention_probs_dropout_prob=st.floats(0, 0.9),
    max_position_embeddings=st.integers(1, 512),
    type_vocab_size=st.integers(1, 4),
    initializer_range=st.floats(0, 0.9),
    layer_norm_eps=st.sampled_from([1e-12, 1e-5]),
)


@given(config=GOOGLE, named=st.booleans(), classes=st.integers(1, 9))
def test_a_config_written_is_read_as_the_same_network(config, named, classes):
    labels = tuple(f"类{number}" for number in range(classes)) if named else ()
    written = json.loads(json.dumps(config_json(config, {"output_weights": (classes, config.hidden_size)}, labels)))
    same = {"gelu_new": "gelu"}.get(config.hidden_act, config.hidden_act)  # two names of the tanh form
    assert AlbertConfig.from_dict(written) == config.replace(hidden_act=same)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("gelu", "gelu_new"), ("gelu_new", "gelu_new"), ("gelu_exact", "gelu"), ("relu", "relu"), ("tanh", "tanh")],
)
def test_an_activation_has_hugging_face_s_name(ours, theirs, tiny_config):
    assert config_json(tiny_config(family="google", hidden_act=ours), {})["hidden_act"] == theirs


def test_activations_differ_so_their_names_matter(golden, tensors, folder_of):
    expected = np.load(golden / "huggingface" / "expected.npz")
    inputs = {name: expected[name].astype(np.int32) for name in ("input_ids", "input_mask", "segment_ids")}
    difference = {}
    for name in ("gelu_new", "gelu", "relu"):
        model = load(find(folder_of(tensors, hidden_act=name)))[0]
        difference[name] = np.abs(ops.convert_to_numpy(model(inputs)["sequence_output"]) - expected["sequence_output"])
    assert difference["gelu_new"].max() < 1e-5 < 1e-4 < difference["gelu"].max() < difference["relu"].max()


def test_the_architecture_is_that_of_the_heads_written(tiny_config, tmp_path):
    config = tiny_config(family="google")
    both, without = AlbertForPretraining(config), AlbertModel(config)
    encoder = [name for name in variable_names(both) if name.startswith("bert/")]
    masked = [name for name in variable_names(both) if name.startswith(("bert/", "cls/predictions/"))]
    for number, (model, names, expected) in enumerate(
        [
            (both, None, "AlbertForPreTraining"),
            (both, masked, "AlbertForMaskedLM"),
            (both, encoder, "AlbertModel"),
            (without, None, "AlbertModel"),
            (AlbertForClassification(config, 3), None, "AlbertForSequenceClassification"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert huggingface.write(model, folder, names) == ("model.safetensors", "config.json")
        written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        assert (written["architectures"], written["model_type"]) == ([expected], "albert")
        held = {name.split(".")[0] for name in arrays_in(folder)} - {"albert"}
        assert (
            held
            == {
                "AlbertForPreTraining": {"predictions", "sop_classifier"},
                "AlbertForMaskedLM": {"predictions"},
                "AlbertModel": set(),
                "AlbertForSequenceClassification": {"classifier"},
            }[expected]
        )


def test_label_names_stand_in_the_order_of_the_classes(tiny_config, tmp_path):
    model, names = AlbertForClassification(tiny_config(family="google"), 3), ("矛盾", "中立", "蕴含")
    save_pretrained(model, tmp_path / "out", layout="huggingface", label_names=names)
    written = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert written["id2label"] == {"0": "矛盾", "1": "中立", "2": "蕴含"}
    assert written["label2id"] == {"矛盾": 0, "中立": 1, "蕴含": 2}
    twin = load_pretrained(tmp_path / "out", say=lambda _: None)
    assert (type(twin), twin.num_classes) == (AlbertForClassification, 3)
    assert_same_weights(model, twin)


def test_a_classifier_without_label_names_has_as_many_as_it_has_classes(tiny_config):
    # Of a config without any, transformers makes a classifier of two classes and refuses the weights.
    written = config_json(tiny_config(family="google"), {"output_weights": (3, 16), "output_bias": (3,)})
    assert written["id2label"] == {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
    assert "id2label" not in config_json(tiny_config(family="google"), {"bert/pooler/dense/kernel": (16, 16)})


@pytest.mark.parametrize("names", [("是",), ("是", "否", "也许"), ("是", "是")])
def test_other_label_names_than_classes_are_refused_before_anything_is_written(names, tiny_config, tmp_path):
    model = AlbertForClassification(tiny_config(family="google"), 2)
    with pytest.raises(InputError, match=r"label names '是'.* for a classifier of 2 classes"):
        save_pretrained(model, tmp_path / "out", layout="huggingface", label_names=names)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------- files of other hands


def test_an_encoder_saved_alone_has_no_prefix(folder_of, tensors, loaded):
    alone = {name.removeprefix("albert."): a for name, a in tensors.items() if name.startswith("albert.")}
    source = find(folder_of(alone))
    model, report = load(source, bare=True)
    assert (type(model), report.unused, report.missing) == (AlbertModel, (), ())
    expected = {name: array for name, array in state(loaded).items() if name.startswith("bert/")}
    assert {n: a.tobytes() for n, a in state(model).items()} == {n: a.tobytes() for n, a in expected.items()}
    _, report = load(source)
    assert all(name.startswith("cls/") for name in report.missing)
    assert len(report.missing) == 7


def test_a_model_saved_out_of_data_parallel_is_read(folder_of, tensors, loaded):
    assert_same_weights(load(find(folder_of({f"module.{n}": a for n, a in tensors.items()})))[0], loaded)


def test_norms_may_be_called_gamma_and_beta(folder_of, tensors, loaded):
    old = {
        n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): a
        for n, a in tensors.items()
    }
    assert len(old.keys() - tensors.keys()) == 6
    model, report = load(find(folder_of(old)))
    assert (report.unused, report.missing) == ((), ())
    assert_same_weights(model, loaded)


def test_tables_of_numbers_and_tied_copies_are_nothing_to_load(folder_of, tensors, loaded):
    more = {
        "albert.embeddings.position_ids": np.arange(64)[None],
        "albert.embeddings.token_type_ids": np.zeros((1, 64), np.int64),
        DECODER: tensors[WORD],
        "predictions.decoder.bias": tensors["predictions.bias"],
    }
    model, report = load(find(folder_of(tensors | more)))
    assert (report.unused, report.missing) == ((), ())
    assert_same_weights(model, loaded)


@pytest.mark.parametrize("copy", [DECODER, "predictions.decoder.bias"])
def test_a_head_that_is_not_tied_is_refused(copy, folder_of, tensors):
    first = {DECODER: WORD, "predictions.decoder.bias": "predictions.bias"}[copy]
    other = tensors[first].copy()
    other.flat[-1] += 1e-3
    with pytest.raises(InputError, match=rf"{re.escape(copy)} is not the same as {re.escape(first)}: .*not tied"):
        load(find(folder_of(tensors | {copy: other})))


def test_arrays_of_no_albert_are_listed(folder_of, tensors, loaded):
    more = {"ner_outputs.weight": np.zeros((2, 48), np.float32), "albert.adapter.bias": np.zeros(3, np.float32)}
    model, report = load(find(folder_of(tensors | more)))
    assert report.unused == ("albert.adapter.bias", "ner_outputs.weight")
    assert_same_weights(model, loaded)


def test_two_names_of_one_array_are_refused(folder_of, tensors):
    twice = tensors | {"albert.embeddings.LayerNorm.gamma": np.zeros(16, np.float32)}
    with pytest.raises(InputError, match=r"LayerNorm\.\w+ and albert\.embeddings\.LayerNorm\.\w+, .*two names of one"):
        find(folder_of(twice))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_precisions_are_read_as_float32(dtype, folder_of, tensors):
    source = find(folder_of({name: array.astype(dtype) for name, array in tensors.items()}))
    assert {array.dtype for array in source.stored.read(source.shapes).values()} == {np.dtype(np.float32)}
    model, report = load(source)
    assert report.missing == ()
    ours = state(model)
    assert {array.dtype for array in ours.values()} == {np.dtype(np.float32)}
    rounded = tensors[WORD].astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(ours["bert/embeddings/word_embeddings"], rounded)
    assert (rounded == tensors[WORD]).all() == (dtype is np.float64)
    kernel = tensors[f"{BLOCK.format(0, 0)}ffn.weight"].astype(dtype).astype(np.float32).T
    name = "bert/encoder/transformer/group_0/inner_group_0/ffn_1/intermediate/dense/kernel"
    np.testing.assert_array_equal(ours[name], kernel)


OLD_KEYS = {
    # As transformers 2.2 wrote every config, model_type not yet among them.
    "finetuning_task": None,
    "is_decoder": False,
    "num_labels": 2,
    "output_attentions": False,
    "output_hidden_states": False,
    "output_past": True,
    "pruned_heads": {},
    "torchscript": False,
    "use_bfloat16": False,
    # 2.4 added these.
    "do_sample": False,
    "eos_token_ids": 0,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
    "label2id": {"LABEL_0": 0, "LABEL_1": 1},
    "length_penalty": 1.0,
    "max_length": 20,
    "num_beams": 1,
    "num_return_sequences": 1,
    "repetition_penalty": 1.0,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    # google's own, taken over by the converter of the time
    "down_scale_factor": 1,
    "gap_size": 0,
    "layers_to_keep": [],
    "net_structure_type": 0,
    "num_memory_blocks": 0,
}


@pytest.mark.parametrize("since", ["2.2", "2.4"])
def test_a_config_of_early_transformers_is_read(since, golden, tmp_path, loaded):
    config = json.loads((golden / "huggingface" / "config.json").read_text(encoding="utf-8")) | OLD_KEYS
    for key in ("dtype", "tie_word_embeddings", "transformers_version", *(["model_type"] if since == "2.2" else [])):
        del config[key]
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shutil.copy(golden / "huggingface" / "pytorch_model_2019.bin", tmp_path / "pytorch_model.bin")
    model = load_pretrained(tmp_path, say=lambda _: None)
    assert model.config == loaded.config
    assert_same_weights(model, loaded)
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu"}), encoding="utf-8")
    assert find(tmp_path).config.hidden_act == "gelu_exact"


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("prefix", ["bert.", "roberta.", ""])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_a_bert_is_called_one(prefix, suffix, tmp_path, monkeypatch):
    names = [
        "embeddings.word_embeddings.weight",
        "encoder.layer.0.attention.self.query.weight",
        "encoder.layer.11.output.dense.weight",
    ]
    # Without a prefix its embeddings have the names of an ALBERT's.
    arrays = {prefix + name: np.zeros((4, 4), np.float32) for name in names} | {"cls.predictions.bias": np.zeros(4)}
    file = tmp_path / f"model{suffix}"
    safetensors.numpy.save_file(arrays, file)
    monkeypatch.setattr(huggingface, "read_arrays", safetensors.numpy.load_file)
    with pytest.raises(InputError, match=rf"this is a BERT or one of its kin \({prefix}encoder\.layer\.0\.attention"):
        open_stored(file)


def test_a_model_of_something_else_is_refused_with_what_it_holds(folder_of):
    with pytest.raises(InputError, match=r"no ALBERT; it holds a\.weight, b\.weight, c\.weight …\. Give an ALBERT"):
        find(folder_of({f"{letter}.weight": np.zeros(2, np.float32) for letter in "dcba"}))
    with pytest.raises(InputError, match="no ALBERT; it holds no weights"):
        find(folder_of({}))


def test_an_array_of_numbers_that_are_no_floats_is_called_quantised(folder_of, tensors):
    name = f"{BLOCK.format(0, 0)}ffn.weight"
    with pytest.raises(InputError, match=r"ffn\.weight is I8, not floating-point numbers: a quantised model"):
        find(folder_of(tensors | {name: np.ones((96, 48), np.int8)}))


def test_a_float8_array_is_called_quantised(folder_of, tensors):
    folder = folder_of(tensors)
    repack(folder / "model.safetensors", lambda header: header[WORD].update(dtype="F8_E4M3", shape=[211, 16 * 4]))
    with pytest.raises(InputError, match=r"word_embeddings\.weight is F8_E4M3, not floating-point"):
        find(folder)


def test_values_that_are_not_finite_are_refused_with_the_array(folder_of, tensors):
    for value in (np.nan, np.inf):
        tensors["predictions.bias"][7] = value
        copy = {"predictions.decoder.bias": tensors["predictions.bias"]}
        with pytest.raises(InputError, match="cls/predictions/output_bias holds values that are not finite"):
            load(find(folder_of(tensors | copy)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"num_attention_heads": 5},
            r"config\.json: config: hidden_size 48 is not a multiple of num_attention_heads 5",
        ),
        ({"vocab_size": 99}, r"word_embeddings is \[211, 16\], the config says \[99, 16\]"),
        ({"embedding_size": 8}, r"word_embeddings is \[211, 16\], the config says \[211, 8\]"),
        ({"hidden_size": 64}, r"bert/pooler/dense/kernel is \[48, 48\], the config says \[64, 64\]"),
        ({"max_position_embeddings": 32}, r"position_embeddings is \[64, 16\], the config says \[32, 16\]"),
        ({"type_vocab_size": 1}, r"token_type_embeddings is \[2, 16\], the config says \[1, 16\]"),
        ({"intermediate_size": 24}, r"ffn_1/intermediate/dense/\w+ is \[.*96\], the config says \[.*24\]"),
        ({"num_hidden_groups": 2}, r"google checkpoint without bert/encoder/transformer/group_1/"),
        ({"inner_group_num": 2}, r"google checkpoint without bert/encoder/transformer/group_0/inner_group_1/"),
        ({"position_embedding_type": "relative_key"}, r"position_embedding_type is 'relative_key'.*absolute"),
        ({"hidden_act": "silu"}, r"hidden_act is 'silu', not one of gelu"),
        ({"hidden_act": ["gelu"]}, r"hidden_act is \['gelu'\], not one of gelu"),
    ],
)
def test_a_config_of_another_network_is_refused(changes, said, folder_of, tensors):
    with pytest.raises(InputError, match=said):
        load(find(folder_of(tensors, **changes)))


def test_more_blocks_than_the_config_says_are_refused(golden, tmp_path):
    model = load_pretrained(golden / "google_2groups_2inner", say=lambda _: None)
    save_pretrained(model, tmp_path / "out", layout="huggingface")
    path = tmp_path / "out" / "config.json"
    for changes in ({"num_hidden_groups": 1}, {"inner_group_num": 1}):
        config = config_json(model.config, {})
        path.write_text(json.dumps(config | changes), encoding="utf-8")
        with pytest.raises(
            InputError, match=r"google checkpoint with bert/encoder/transformer/group_\d/inner_group_\d"
        ):
            load(find(tmp_path / "out"))


@pytest.mark.parametrize("number", ["99999999999", "9999", "-1", "x", "", "01", "1.albert_layers"])
def test_a_group_of_any_number_neither_fails_nor_costs(number, folder_of, tensors):
    # A name is somebody's text: 99999999999 groups must not be listed.
    name = f"albert.encoder.albert_layer_groups.{number}.albert_layers.0.ffn.bias"
    said = "google checkpoint with bert/encoder/transformer/group_9999/" if number == "9999" else None
    folder = folder_of(tensors | {name: np.zeros(96, np.float32)})
    if said:
        with pytest.raises(InputError, match=said):
            find(folder)
    else:
        assert load(find(folder))[1].unused == (name,)


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("classifier.weight", (), r"classifier\.weight is \[\], not of 2 dimensions"),
        ("classifier.weight", (2,), r"classifier\.weight is \[2\], not of 2 dimensions"),
        ("classifier.weight", (2, 47), r"output_weights is \[2, 47\], the config says \[2, 48\]"),
        (WORD, (211, 16, 1), r"word_embeddings\.weight is \[211, 16, 1\], not of 2 dimensions"),
        ("albert.embeddings.LayerNorm.weight", (16, 1), r"LayerNorm\.weight is \[16, 1\], not of 1 dimensions"),
        (f"{BLOCK.format(0, 0)}full_layer_layer_norm.weight", (48, 1), r"layer_norm\.weight is \[48, 1\], not of 1"),
        ("predictions.bias", (1, 211), r"predictions\.bias is \[1, 211\], not of 1 dimensions"),
        ("predictions.bias", (7,), r"cls/predictions/output_bias is \[7\], the config says \[211\]"),
    ],
)
def test_an_array_of_another_shape_is_refused(name, shape, said, folder_of, tensors):
    with pytest.raises(InputError, match=said):
        load(find(folder_of(tensors | {name: np.zeros(shape, np.float32)})))


def repack(file, change):
    """Changes the header of a safetensors file, whatever becomes of it."""
    content = file.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    change(header)
    raw = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(raw)) + raw + content[8 + size :])


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 100, 2000, 3500, 4000, 50_000, 114_000, 114_571])
def test_a_safetensors_file_cut_anywhere_is_refused(kept, golden, tmp_path):
    content = (golden / "huggingface" / "model.safetensors").read_bytes()
    assert len(content) == 114_572
    (tmp_path / "model.safetensors").write_bytes(content[:kept])
    with pytest.raises(InputError, match=r"not a safetensors file, cut off or damaged .*Download or copy it again"):
        open_stored(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [211, 17]},
        {"shape": [1 << 40, 1 << 40]},
        {"shape": [-211, -16]},
        {"dtype": "F64"},
        {"dtype": "F99"},
        {"data_offsets": [0, 1 << 50]},
        {"data_offsets": [1 << 50, 1 << 51]},
        {"data_offsets": [13504, 0]},
    ],
)
def test_a_header_that_does_not_fit_its_data_is_refused(change, folder_of, tensors):
    folder = folder_of(tensors)
    repack(folder / "model.safetensors", lambda header: header[WORD].update(change))
    with pytest.raises(InputError, match="not a safetensors file, cut off or damaged"):
        find(folder)


@pytest.mark.parametrize("size", [1 << 62, (1 << 64) - 1, 200_000_000])
def test_a_header_of_any_claimed_length_is_refused(size, golden, tmp_path):
    content = (golden / "huggingface" / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", size) + content[8:])
    with pytest.raises(InputError, match="not a safetensors file, cut off or damaged"):
        open_stored(tmp_path / "model.safetensors")


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_changed_bytes_of_a_header_give_a_model_s_file_or_a_refusal(data, golden, tmp_path):
    content = bytearray((golden / "huggingface" / "model.safetensors").read_bytes())
    (size,) = struct.unpack("<Q", content[:8])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, 8 + size - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "model.safetensors").write_bytes(content)
    try:
        stored = open_stored(tmp_path / "model.safetensors")
    except InputError:
        return
    read = stored.read(stored.shapes)
    assert {name: array.shape for name, array in read.items()} == dict(stored.shapes)


def test_files_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.safetensors: no such file"):
        open_stored(tmp_path / "none.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(InputError, match=r"folder\.safetensors: not a safetensors file"):
        open_stored(tmp_path / "folder.safetensors")
    with pytest.raises(InputError, match=r"none\.bin: cannot be read: No such file"):
        open_stored(tmp_path / "none.bin")


def theirs(layer, layers, groups):
    """The group of a layer as transformers' AlbertTransformer finds it."""
    return int(layer / (layers / groups))


@given(layers=st.integers(1, 48), groups=st.integers(1, 48))
def test_a_network_is_refused_exactly_where_hugging_face_would_run_other_groups(layers, groups):
    fields = {"vocab_size": 9, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8, "family": "google"}
    try:
        config = AlbertConfig(num_hidden_layers=layers, num_hidden_groups=groups, **fields)
    except InputError:
        return  # a group that no layer would run
    same = all(config.group_of(layer) == theirs(layer, layers, groups) for layer in range(layers))
    assert (refusal(config) is None) == same


def test_groups_that_hugging_face_rounds_otherwise_are_refused_both_ways(tiny_config, tmp_path, folder_of, tensors):
    config = tiny_config(family="google", num_hidden_layers=18, num_hidden_groups=14)
    assert [(n, config.group_of(n)) for n in range(18) if config.group_of(n) != theirs(n, 18, 14)] == [(9, 7)]
    said = "with 14 groups of 18 layers it rounds the number of a layer's group another way"
    with pytest.raises(InputError, match=f"the Hugging Face layout cannot hold this model: {said}"):
        save_pretrained(AlbertForPretraining(config), tmp_path / "out", layout="huggingface")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=said):
        find(folder_of(tensors, num_hidden_layers=18, num_hidden_groups=14))


def test_brightmart_s_network_is_refused_by_the_writer_itself(tiny_config, tmp_path):
    with pytest.raises(InputError, match="cannot hold this model: its network is google's"):
        huggingface.write(AlbertForPretraining(tiny_config()), tmp_path)
    assert list(tmp_path.iterdir()) == []
