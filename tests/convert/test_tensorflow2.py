"""Checkpoints of the TF2 Model Garden: its keys and numbers, read and written, whatever path a key got."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from albert_zh.config import AlbertConfig
from albert_zh.convert import tensorflow2
from albert_zh.convert.families import as_family
from albert_zh.convert.loading import adapt_config
from albert_zh.convert.tensorflow1 import read_checkpoint, shapes, write_checkpoint
from albert_zh.convert.weights import PROJECTION_GOOGLE, variable_names
from albert_zh.files import InputError
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining, AlbertModel
from albert_zh.pretrained import find, load, load_pretrained

PREFIXES = {"model": "bert_model.ckpt-1", "encoder": "encoder_bert_model.ckpt-1"}
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
OUTPUT = "layer_with_weights-5/_attention_layer/_output_dense"
#: The heads of the Garden's pretrainer and classifier for that network: V 211, E 16, H 48.
PRETRAINING_HEADS = {
    "masked_lm/dense/kernel": (48, 16),
    "masked_lm/dense/bias": (16,),
    "masked_lm/layer_norm/gamma": (16,),
    "masked_lm/layer_norm/beta": (16,),
    "masked_lm/bias": (211,),
    "next_sentence/out_proj/kernel": (48, 2),
    "next_sentence/out_proj/bias": (2,),
}


def state(model):
    return {name: ops.convert_to_numpy(variable) for name, variable in variable_names(model).items()}


def assert_same_weights(first, second):
    first, second = state(first), state(second)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def bare_of(model):
    """The encoder of a model alone."""
    bare = AlbertModel(model.config)
    arrays = state(model)
    for name, variable in variable_names(bare).items():
        variable.assign(arrays[name])
    return bare


def tree_of(arrays, tree=None):
    """Objects like the Garden's layers: each path's variable at the end of a chain of attributes."""
    tree = tree or tf.Module()
    for path, array in arrays.items():
        *between, last = path.split("/")
        at = tree
        for part in between:
            if not hasattr(at, part):
                setattr(at, part, tf.Module())
            at = getattr(at, part)
        setattr(at, last, tf.Variable(array))
    return tree


@pytest.fixture(scope="module")
def encoder_arrays(golden):
    """The golden encoder's arrays by path below it, read by TensorFlow alone."""
    reader = tf.train.load_checkpoint(str(golden / "tf2_garden" / PREFIXES["model"]))
    begin = "model/layer_with_weights"
    keys = [key for key in reader.get_variable_to_shape_map() if key.startswith(begin)]
    return {key.removeprefix("model/").removesuffix(VALUE): reader.get_tensor(key) for key in keys}


@pytest.fixture(scope="module")
def config(golden):
    return AlbertConfig.from_json(golden / "tf2_garden" / "albert_config.json")


@pytest.fixture(scope="module")
def trained(golden):
    """The golden encoder in a model with heads of its own."""
    return load_pretrained(golden / "tf2_garden" / PREFIXES["model"], seed=3, say=lambda _: None)


@pytest.fixture
def stored(config, tmp_path):
    """``stored(name=tree, …)``: a source of what ``tf.train.Checkpoint`` writes of these objects."""

    def save(**trees):
        config.to_json(tmp_path / "albert_config.json")
        return find(tf.train.Checkpoint(**trees).write(str(tmp_path / "any.ckpt")))

    return save


# -------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("root", PREFIXES)
def test_hidden_states_are_the_garden_s_under_both_roots(root, golden):
    source = find(golden / "tf2_garden" / PREFIXES[root])
    model, report = load(source, bare=True)
    expected = np.load(golden / "tf2_garden" / "expected.npz")
    outputs = model({key: expected[key].astype(np.int32) for key in ("input_ids", "input_mask", "segment_ids")})
    for name in ("sequence_output", "pooled_output"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5, rtol=0, err_msg=name)
    assert (source.stored.layout, source.config.family, type(model)) == ("tf2", "google", AlbertModel)
    # 25 arrays of the encoder; save_counter is the one that is none.
    assert (len(report.loaded), report.missing, report.unused, report.slots) == (25, (), (), 1)


@pytest.mark.parametrize("root", ["encoder", "model", "root", "anything"])
def test_an_encoder_is_found_under_any_root(root, stored, encoder_arrays, trained):
    source = stored(**{root: tree_of(encoder_arrays)})
    assert_same_weights(load(source, bare=True)[0], bare_of(trained))


@pytest.mark.parametrize("moved", ["apart", "both"])
def test_the_place_of_the_output_projection_before_the_summer_of_2020_is_known(moved, stored, encoder_arrays, trained):
    # Then a layer of its own, for a while also one of the attention's: the shorter path became the key.
    tree = tree_of({path: array for path, array in encoder_arrays.items() if not path.startswith(OUTPUT)})
    parts = {part: encoder_arrays[f"{OUTPUT}/{part}"] for part in ("kernel", "bias")}
    transformer = getattr(tree, "layer_with_weights-5")
    transformer._attention_output_dense = tree_of(parts)
    if moved == "both":
        transformer._attention_layer._output_dense = transformer._attention_output_dense
    source = stored(model=tree)
    assert f"model/layer_with_weights-5/_attention_output_dense/kernel{VALUE}" in shapes(source.where)
    model, report = load(source, bare=True)
    assert (report.missing, report.unused) == ((), ())
    assert_same_weights(model, bare_of(trained))


def test_the_garden_s_own_head_is_found_although_its_keys_take_other_paths(stored, encoder_arrays, trained):
    # Its masked-LM layer holds the word embedding too, by a shorter path, and its bias under the weight's name first.
    encoder = tree_of(encoder_arrays)
    paths = {path: shape for path, shape in PRETRAINING_HEADS.items() if path != "masked_lm/bias"}
    heads = tree_of({path: np.full(shape, 0.5, np.float32) for path, shape in paths.items()})
    heads.masked_lm.embedding_table = getattr(encoder, "layer_with_weights-0").embeddings
    bias = tf.Variable(np.full(211, 0.25, np.float32))
    for name in ("output_bias/bias", "bias"):
        setattr(heads.masked_lm, name, bias)
    source = stored(encoder=encoder, masked_lm=heads.masked_lm, next_sentence=heads.next_sentence)
    listed = shapes(source.where)
    assert {f"masked_lm/embedding_table{VALUE}", f"masked_lm/output_bias.Sbias{VALUE}"} < set(listed)
    model, report = load(source)
    assert (report.missing, report.unused) == ((), ())
    assert_same_weights(bare_of(model), bare_of(trained))
    arrays = state(model)
    assert (arrays["cls/predictions/output_bias"] == 0.25).all()
    assert (arrays["cls/predictions/transform/dense/kernel"] == 0.5).all()


def test_an_optimizer_s_variables_are_counted_not_listed(stored, encoder_arrays, trained):
    encoder = tree_of(encoder_arrays)
    optimizer = keras.optimizers.Adam()
    variables = list(encoder.trainable_variables)
    optimizer.build(variables)
    optimizer.apply([tf.zeros_like(variable) for variable in variables], variables)
    source = stored(model=encoder, optimizer=optimizer)
    # Some of the encoder's own lie under the optimizer's shorter path, and still are the encoder's.
    assert any(key.startswith("optimizer/_trainable_variables/") for key in shapes(source.where))
    model, report = load(source, bare=True)
    assert_same_weights(model, bare_of(trained))
    assert (report.missing, report.unused) == ((), ())
    assert report.slots == 2 * 25 + 2, "two moments an array, the learning rate, the count of steps"


def test_slots_as_keras_2_wrote_them_are_counted_and_strangers_are_listed(encoder_arrays, config, trained, tmp_path):
    tree = tree_of(encoder_arrays)
    graph = tf.train.Checkpoint(model=tree).write(str(tmp_path / "plain"))
    arrays = read_checkpoint(graph)
    slot = "/.OPTIMIZER_SLOT/optimizer/{}" + VALUE
    kernel = "model/layer_with_weights-6/kernel"
    extra = {kernel + slot.format(moment): np.zeros((48, 48), np.float32) for moment in "mv"}
    extra |= {f"optimizer/iter{VALUE}": np.int64(9), f"save_counter{VALUE}": np.int64(1)}
    extra |= {f"step{VALUE}": np.zeros(3, np.float32)}
    write_checkpoint(tmp_path / "run.ckpt", arrays | extra)
    config.to_json(tmp_path / "albert_config.json")
    model, report = load(find(tmp_path / "run.ckpt"), bare=True)
    assert (report.slots, report.unused) == (4, ("step",))
    assert_same_weights(model, bare_of(trained))


@pytest.mark.parametrize("output", ["transformer/self_attention/attention_output", "transformer/self_attention_output"])
def test_names_of_variables_serve_where_the_places_are_others(output, golden, stored, trained):
    prefix = str(golden / "tf2_garden" / PREFIXES["model"])
    reader = tf.train.load_checkpoint(prefix)
    graph = TrackableObjectGraph.FromString(reader.get_tensor(GRAPH))
    named = {attribute.checkpoint_key: attribute.full_name for node in graph.nodes for attribute in node.attributes}
    listed = tf.Module()
    listed.all = [
        tf.Variable(reader.get_tensor(key), name=name.replace("transformer/self_attention/attention_output", output))
        for key, name in named.items()
        if key.startswith("model/")
    ]
    source = stored(model=listed)
    assert f"model/all/24{VALUE}" in shapes(source.where)
    model, report = load(source, bare=True)
    assert_same_weights(model, bare_of(trained))
    assert (report.missing, report.unused) == ((), ())


# -------------------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("root", PREFIXES)
def test_what_is_written_has_the_garden_s_keys_and_shapes_and_those_of_the_heads(root, golden, trained, tmp_path):
    prefix = tensorflow2.write(trained, tmp_path, root=root)
    theirs = shapes(golden / "tf2_garden" / PREFIXES[root])
    heads = {f"{path}{VALUE}": shape for path, shape in PRETRAINING_HEADS.items()}
    assert shapes(prefix) == theirs | heads
    assert prefix == str(tmp_path / "bert_model.ckpt-1")


@pytest.mark.parametrize("root", PREFIXES)
def test_what_is_written_restores_into_the_garden_s_objects_under_either_root(root, trained, encoder_arrays, tmp_path):
    prefix = tensorflow2.write(trained, tmp_path, root=root)
    for name in PREFIXES:
        tree = tree_of({path: np.zeros_like(array) for path, array in encoder_arrays.items()})
        tf.train.Checkpoint(**{name: tree}).restore(prefix).assert_existing_objects_matched()
        for path, array in encoder_arrays.items():
            at = tree
            for part in path.split("/"):
                at = getattr(at, part)
            np.testing.assert_array_equal(at, array, err_msg=path)


@pytest.mark.parametrize("root", PREFIXES)
def test_of_an_encoder_alone_nothing_is_left_unrestored(root, trained, encoder_arrays, tmp_path):
    prefix = tensorflow2.write(bare_of(trained), tmp_path, root=root)
    tree = tree_of({path: np.zeros_like(array) for path, array in encoder_arrays.items()})
    tf.train.Checkpoint(**{root: tree}).restore(prefix).assert_consumed()


def test_the_heads_restore_beside_the_encoder(trained, tmp_path):
    prefix = tensorflow2.write(trained, tmp_path)
    heads = tree_of({path: np.zeros(shape, np.float32) for path, shape in PRETRAINING_HEADS.items()})
    parts = {"masked_lm": heads.masked_lm, "next_sentence": heads.next_sentence}
    tf.train.Checkpoint(**parts).restore(prefix).assert_existing_objects_matched()
    arrays = state(trained)
    np.testing.assert_array_equal(heads.masked_lm.dense.kernel, arrays["cls/predictions/transform/dense/kernel"])
    np.testing.assert_array_equal(heads.next_sentence.out_proj.kernel, arrays["cls/seq_relationship/output_weights"])
    assert arrays["cls/seq_relationship/output_weights"].shape == (48, 2), "as Keras keeps it"


@pytest.mark.parametrize("kind", ["pretraining", "classification"])
def test_what_is_written_and_read_is_bit_for_bit_the_same_with_its_heads(kind, config, tmp_path):
    model = (
        AlbertForPretraining(config, seed=5) if kind == "pretraining" else AlbertForClassification(config, 3, seed=5)
    )
    save_pretrained(model, tmp_path / "m", layout="tf2")
    twin, report = load(find(tmp_path / "m"), seed=6)
    assert type(twin) is type(model)
    assert_same_weights(model, twin)
    assert (report.missing, report.unused, report.slots) == ((), (), 1)


def test_only_the_arrays_named_are_written(trained, golden, tmp_path):
    names = [name for name in variable_names(trained) if name.startswith("bert/")]
    prefix = tensorflow2.write(trained, tmp_path, names)
    assert shapes(prefix) == shapes(golden / "tf2_garden" / PREFIXES["encoder"])


def test_a_brightmart_model_is_written_as_the_google_model_that_computes_the_same(golden, tmp_path):
    model = load_pretrained(golden / "brightmart_postln", say=lambda _: None)
    save_pretrained(model, tmp_path / "m", layout="tf2")
    expected = np.load(golden / "brightmart_postln" / "expected.npz")
    twin = load_pretrained(tmp_path / "m", say=lambda _: None)
    outputs = twin({key: expected[key].astype(np.int32) for key in ("input_ids", "input_mask", "segment_ids")})
    assert (twin.config.family, twin.config.embedding_size) == ("google", model.config.hidden_size)
    for name in ("sequence_output", "pooled_output"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5, rtol=0, err_msg=name)


def test_without_a_projection_where_e_equals_h_the_transformer_takes_its_number(tiny_config, tmp_path):
    model = as_family(AlbertForPretraining(tiny_config(), seed=4), "google")
    assert model.config.embedding_size == model.config.hidden_size
    save_pretrained(model, tmp_path / "m", layout="tf2")
    listed = shapes(tmp_path / "m" / "bert_model.ckpt-1")
    assert f"encoder/layer_with_weights-4/_intermediate_dense/kernel{VALUE}" in listed
    assert listed[f"encoder/layer_with_weights-5/kernel{VALUE}"] == (16, 16), "the pooler"
    assert not [key for key in listed if "layer_with_weights-6" in key]
    assert_same_weights(model, load_pretrained(tmp_path / "m", say=lambda _: None))


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("part", ["kernel", "bias"])
def test_a_projection_that_is_not_the_identity_has_no_place_where_e_equals_h(part, tiny_config, tmp_path):
    model = as_family(AlbertForPretraining(tiny_config()), "google")
    variable = variable_names(model)[f"{PROJECTION_GOOGLE}/{part}"]
    variable.assign(variable + 0.5)
    with pytest.raises(InputError, match="no projection where embedding_size equals hidden_size, and this model's is"):
        save_pretrained(model, tmp_path / "m", layout="tf2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"family": "google", "num_hidden_groups": 2},
            "shares one block among all layers, this network has 2 groups of 1",
        ),
        (
            {"family": "google", "inner_group_num": 2},
            "shares one block among all layers, this network has 1 groups of 2",
        ),
        ({}, "its encoder is google's network"),
    ],
    ids=["groups", "inner", "brightmart"],
)
def test_a_network_the_garden_does_not_have_is_refused(changes, said, tiny_config, tmp_path):
    with pytest.raises(InputError, match=f"the TF2 Model Garden layout cannot hold this model: .*{said}"):
        tensorflow2.write(AlbertModel(tiny_config(**changes)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_config_of_another_head_count_is_refused_because_the_kernels_are_split_by_head(golden, config):
    source = tensorflow2.open_stored(golden / "tf2_garden" / PREFIXES["model"])
    with pytest.raises(InputError, match=r"num_attention_heads 4 \(its attention kernels are split so\).*says 8"):
        adapt_config(config.replace(num_attention_heads=8), source)


def test_an_encoder_without_a_projection_whose_widths_differ_is_no_albert(stored, encoder_arrays):
    arrays = {path: array for path, array in encoder_arrays.items() if "layer_with_weights-4" not in path}
    for number in (5, 6):  # the layers after it take the numbers before theirs
        before, after = f"layer_with_weights-{number}", f"layer_with_weights-{number - 1}"
        arrays = {path.replace(before, after): array for path, array in arrays.items()}
    with pytest.raises(InputError, match="no ALBERT of either family"):
        stored(model=tree_of(arrays))


def test_objects_of_another_network_are_refused_with_what_they_hold(stored):
    with pytest.raises(InputError, match=r"no ALBERT of either family; it holds .*\. Give a brightmart or google"):
        stored(model=tree_of({"dense/kernel": np.zeros((2, 2), np.float32)}))


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_data_file_cut_off_is_refused(kept, golden, tmp_path):
    for file in (golden / "tf2_garden").glob("*bert_model.ckpt-1.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "albert_config.json").write_bytes((golden / "tf2_garden" / "albert_config.json").read_bytes())
    data = tmp_path / f"{PREFIXES['model']}.data-00000-of-00001"
    content = data.read_bytes()
    data.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=r"bert_model\.ckpt-1.*: the download was cut off\. Download or copy"):
        load_pretrained(tmp_path / PREFIXES["model"])
    data.unlink()
    with pytest.raises(InputError, match=r"lists 27 arrays .* there is no bert_model\.ckpt-1\.data-00000-of-00001"):
        load_pretrained(tmp_path / PREFIXES["model"])


@pytest.mark.parametrize("graph", [b"\xff\xff\xff\xff", b""], ids=["damaged", "empty"])
def test_a_graph_of_objects_that_cannot_be_read_is_refused(graph, golden, config, tmp_path):
    arrays = read_checkpoint(golden / "tf2_garden" / PREFIXES["model"])
    write_checkpoint(tmp_path / "m", arrays | {GRAPH: np.array(graph, object)})
    config.to_json(tmp_path / "albert_config.json")
    with pytest.raises(InputError, match="graph of objects is damaged" if graph else "no ALBERT of either family"):
        load_pretrained(tmp_path / "m")
