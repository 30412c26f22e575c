"""SavedModels with the interface of TF Hub's encoders: ours are called and trained as anybody would, others' read."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from albert_zh.convert import savedmodel, tensorflow1
from albert_zh.convert.weights import variable_names
from albert_zh.files import InputError
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining, AlbertModel
from albert_zh.pretrained import find, load, load_pretrained

FOLDERS = ["brightmart_postln", "brightmart_preln", "google_1group", "google_2groups_2inner"]
THEIRS = {"input_word_ids": "input_ids", "input_mask": "input_mask", "input_type_ids": "segment_ids"}
GARDEN = "bert_model.ckpt-1"


def state(model):
    return {name: ops.convert_to_numpy(variable) for name, variable in variable_names(model).items()}


def assert_same_weights(first, second):
    first, second = state(first), state(second)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def interface(expected):
    """The published inputs under the names of the interface."""
    return {theirs: tf.constant(expected[ours], tf.int32) for theirs, ours in THEIRS.items()}


def random_inputs(rows, length, vocabulary=40, seed=0):
    ids = np.random.default_rng(seed).integers(5, vocabulary, (rows, length), np.int32)
    mask = np.ones_like(ids)
    mask[-1, length // 2 + 1 :] = 0
    return {
        "input_word_ids": tf.constant(ids),
        "input_mask": tf.constant(mask),
        "input_type_ids": tf.zeros((rows, length), tf.int32),
    }


# -------------------------------------------------------------------------------------- the published networks, written


@pytest.fixture(scope="module", params=FOLDERS)
def published(request, golden, tmp_path_factory):
    """(model, its SavedModel's folder, what TensorFlow loads of it, expected numbers)"""
    model = load_pretrained(golden / request.param, say=lambda _: None)
    folder = tmp_path_factory.mktemp(request.param) / "m"
    save_pretrained(model, folder, layout="savedmodel")
    return model, folder, tf.saved_model.load(str(folder)), dict(np.load(golden / request.param / "expected.npz"))


def test_what_is_written_and_read_is_bit_for_bit_the_same_with_both_heads(published):
    model, folder, _, _ = published
    twin, report = load(find(folder), seed=9)
    assert type(twin) is AlbertForPretraining
    assert twin.config == model.config
    assert_same_weights(model, twin)
    assert (report.missing, report.unused) == ((), ())


def test_called_with_a_dict_it_gives_the_published_hidden_states_one_a_layer(published):
    model, _, loaded, expected = published
    outputs = loaded(interface(expected))
    assert set(outputs) == {"pooled_output", "sequence_output", "encoder_outputs", "default"}
    for name in ("sequence_output", "pooled_output"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5, rtol=0, err_msg=name)
    np.testing.assert_array_equal(outputs["default"], outputs["pooled_output"])
    layers = outputs["encoder_outputs"]
    assert len(layers) == model.config.num_hidden_layers
    assert {tuple(layer.shape) for layer in layers} == {expected["sequence_output"].shape}
    np.testing.assert_array_equal(layers[-1], outputs["sequence_output"])
    assert np.abs(layers[0] - layers[1]).max() > 1e-2


def test_the_part_mlm_gives_the_published_probabilities_of_both_heads(published):
    _, _, loaded, expected = published
    positions = tf.constant(expected["masked_lm_positions"], tf.int32)
    outputs = loaded.mlm({**interface(expected), "masked_lm_positions": positions})
    assert outputs["mlm_logits"].shape == (3, 5, 211)
    mlm = log_softmax(outputs["mlm_logits"].numpy()).reshape(expected["mlm_log_probs"].shape)
    np.testing.assert_allclose(mlm, expected["mlm_log_probs"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(log_softmax(outputs["sop_logits"].numpy()), expected["sop_log_probs"], atol=1e-4, rtol=0)


def test_a_server_calls_the_same_by_signature_with_tensors_alone(published):
    _, _, loaded, expected = published
    assert set(loaded.signatures) == {"serving_default", "mlm"}
    outputs = loaded.signatures["serving_default"](**interface(expected))
    assert set(outputs) == {"pooled_output", "sequence_output", "default"}
    np.testing.assert_allclose(outputs["sequence_output"], expected["sequence_output"], atol=1e-5, rtol=0)
    positions = tf.constant(expected["masked_lm_positions"], tf.int32)
    outputs = loaded.signatures["mlm"](**interface(expected), masked_lm_positions=positions)
    np.testing.assert_allclose(log_softmax(outputs["sop_logits"].numpy()), expected["sop_log_probs"], atol=1e-4, rtol=0)


# ------------------------------------------------------------------------------------------------ a classifier, written


@pytest.fixture(scope="module")
def classifier(tiny_config, tmp_path_factory):
    """(model, folder) of three classes, with dropout and a vocabulary."""
    config = tiny_config(hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3, initializer_range=0.2)
    model, folder = AlbertForClassification(config, 3, seed=1), tmp_path_factory.mktemp("classifier")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n", encoding="utf-8")
    save_pretrained(model, folder / "m", layout="savedmodel", vocabulary=folder / "vocab.txt", lower_case=False)
    return model, folder / "m"


@pytest.fixture
def loaded(classifier):
    return tf.saved_model.load(str(classifier[1]))


def test_a_classifier_is_bit_for_bit_the_same_and_gives_its_logits(classifier, loaded):
    model, folder = classifier
    twin, report = load(find(folder))
    assert (type(twin), twin.num_classes, report.missing, report.unused) == (AlbertForClassification, 3, (), ())
    assert_same_weights(model, twin)
    inputs = random_inputs(4, 10)
    expected = model({ours: inputs[theirs] for theirs, ours in THEIRS.items()})["logits"]
    np.testing.assert_allclose(loaded.classifier(inputs)["logits"], expected, atol=1e-6)
    np.testing.assert_allclose(loaded.signatures["classifier"](**inputs)["logits"], expected, atol=1e-6)
    assert not hasattr(loaded, "mlm")


def test_its_vocabulary_and_whether_it_lower_cases_lie_in_it(classifier, loaded, tmp_path):
    path = loaded.vocab_file.asset_path.numpy().decode()
    assert path == str(classifier[1] / "assets" / "vocab.txt")
    assert (classifier[1] / "assets" / "vocab.txt").read_text(encoding="utf-8") == "[PAD]\n[UNK]\n"
    assert loaded.do_lower_case.numpy() == np.False_


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 64), (7, 5)])
def test_any_batch_and_any_length_up_to_the_last_position_fits(rows, length, loaded):
    outputs = loaded(random_inputs(rows, length))
    assert outputs["sequence_output"].shape == (rows, length, 16)
    assert outputs["pooled_output"].shape == (rows, 16)


def test_a_row_s_numbers_depend_on_neither_its_neighbours_nor_its_padding(loaded):
    inputs = random_inputs(3, 12)
    alone = loaded({name: value[2:, :7] for name, value in inputs.items()})["sequence_output"]
    together = loaded(inputs)["sequence_output"]
    assert inputs["input_mask"].numpy()[2].sum() == 7
    np.testing.assert_allclose(alone[0], together[2, :7], atol=1e-5)


def test_dropout_acts_in_training_alone_and_differs_from_call_to_call(loaded):
    inputs = random_inputs(4, 10)
    first, second = (loaded(inputs, training=False)["sequence_output"].numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, loaded(inputs)["sequence_output"])
    dropped, again = (loaded(inputs, training=True)["sequence_output"].numpy() for _ in range(2))
    assert np.abs(dropped - first).max() > 1e-2
    assert np.abs(dropped - again).max() > 1e-2


def test_gradients_reach_every_variable_it_lists_as_trainable(classifier, loaded):
    model, _ = classifier
    inputs = random_inputs(4, 10)
    inputs["input_type_ids"] = tf.constant(np.arange(10) > 4, tf.int32) * inputs["input_mask"]
    encoder = [name for name in variable_names(model) if name.startswith("bert/")]
    for called, output, own in ((loaded, "pooled_output", encoder), (loaded.classifier, "logits", state(model))):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(called(inputs, training=True)[output] ** 2)
        gradients = tape.gradient(loss, called.trainable_variables)
        assert len(gradients) == len(own)
        for variable, gradient in zip(called.trainable_variables, gradients, strict=True):
            # A key's bias shifts all scores of a query alike: the softmax does not see it.
            least = 0 if "key/bias" in variable.name else 1e-9
            assert tf.reduce_max(tf.abs(tf.convert_to_tensor(gradient))) >= least, variable.name
        assert {id(variable) for variable in called.trainable_variables} < {id(each) for each in called.variables}
    assert loaded.regularization_losses == []


def test_a_step_against_the_gradient_lowers_the_loss(loaded):
    inputs, labels = random_inputs(8, 10), tf.constant([0, 1, 2, 0, 1, 2, 0, 1])
    variables = loaded.classifier.trainable_variables

    def loss(training):
        logits = loaded.classifier(inputs, training=training)["logits"]
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))

    with tf.GradientTape() as tape:  # without dropout, whose masks are another draw each time
        before = loss(False)
    for variable, gradient in zip(variables, tape.gradient(before, variables), strict=True):
        variable.assign_sub(0.01 * tf.convert_to_tensor(gradient))
    assert loss(False) < before - 1e-3


def test_only_what_is_the_model_s_own_is_written(tiny_config, tmp_path):
    model = AlbertForPretraining(tiny_config())
    names = [name for name in variable_names(model) if not name.startswith("cls/")]
    tmp_path.joinpath("m").mkdir()
    savedmodel.write(model, tmp_path / "m", names)
    model.config.to_json(tmp_path / "m" / "albert_config.json")
    assert set(find(tmp_path / "m").shapes) == set(names)
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    assert set(loaded.signatures) == {"serving_default"}
    assert not hasattr(loaded, "mlm")


# -------------------------------------------------------------------------------------------------- strangers' encoders


class Foreign:
    """An encoder as TF Hub has them: the Garden's variables by their Keras names, and this file's own arithmetic."""

    def __init__(self, golden, activation="gelu", output="self_attention/attention_output"):
        prefix = str(golden / "tf2_garden" / GARDEN)
        reader = tf.train.load_checkpoint(prefix)
        graph = TrackableObjectGraph.FromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
        self.of = {}
        for attribute in (attribute for node in graph.nodes for attribute in node.attributes):
            if attribute.checkpoint_key.startswith("model/"):
                name = attribute.full_name.replace("self_attention/attention_output", output)
                self.of[name] = tf.Variable(reader.get_tensor(attribute.checkpoint_key), name=name)
        self.output = f"transformer/{output}"
        self.activation = {
            "gelu": lambda x: 0.5 * x * (1 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
            "relu": tf.nn.relu,
            "gelu_exact": lambda x: 0.5 * x * (1 + tf.math.erf(x / np.sqrt(2.0))),
            "swish": tf.nn.silu,
        }[activation]

    def norm(self, x, name):
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) / tf.sqrt(variance + 1e-12) * self.of[f"{name}/gamma"] + self.of[f"{name}/beta"]

    def dense(self, x, name, equation="blx,xy->bly"):
        return tf.einsum(equation, x, self.of[f"{name}/kernel"]) + self.of[f"{name}/bias"]

    def layer(self, x, added):
        at = "transformer/self_attention"
        query, key, value = (self.dense(x, f"{at}/{part}", "blh,hnd->blnd") for part in ("query", "key", "value"))
        weights = tf.nn.softmax(tf.einsum("bqnd,bknd->bnqk", query, key) / 12**0.5 + added)
        mixed = self.dense(tf.einsum("bnqk,bknd->bqnd", weights, value), self.output, "bqnd,ndh->bqh")
        x = self.norm(x + mixed, f"{at}_layer_norm")
        inner = self.activation(self.dense(x, "transformer/intermediate"))
        return self.norm(x + self.dense(inner, "transformer/output"), "transformer/output_layer_norm")

    def encode(self, inputs):
        words = tf.gather(self.of["word_embeddings/embeddings"], inputs["input_word_ids"])
        types = tf.gather(self.of["type_embeddings/embeddings"], inputs["input_type_ids"])
        x = words + types + self.of["position_embedding/embeddings"][: tf.shape(words)[1]]
        x = self.dense(self.norm(x, "embeddings/layer_norm"), "embedding_projection")
        added = (1 - tf.cast(inputs["input_mask"], tf.float32))[:, None, None, :] * -10000.0
        layers = []
        for _ in range(4):
            x = self.layer(x, added)
            layers.append(x)
        pooled = tf.tanh(x[:, 0] @ self.of["pooler_transform/kernel"] + self.of["pooler_transform/bias"])
        return {"sequence_output": x, "pooled_output": pooled, "default": pooled, "encoder_outputs": layers}

    def save(self, folder, encode=None, *, inputs=None, extra=None):
        """Writes it: ``encode`` in the place of its own, called with ``inputs``; ``extra`` attributes."""
        specs = {name: tf.TensorSpec((None, None), tf.int32) for name in THEIRS} if inputs is None else inputs
        root = tf.train.Checkpoint()

        @tf.function
        def call(inputs, training=False, mask=None):
            return (encode or self.encode)(inputs)

        call.get_concrete_function(specs, training=False)
        call.get_concrete_function(specs, training=True)
        root.__call__ = call
        root.variables = list(self.of.values())
        root.do_lower_case = tf.Variable(True, trainable=False)
        for name, value in (extra or {}).items():
            setattr(root, name, value)
        tf.saved_model.save(root, str(folder))
        return folder


@pytest.mark.parametrize("output", ["self_attention/attention_output", "self_attention_output"])
def test_an_encoder_of_tf_hub_loads_without_a_config(output, golden, tmp_path):
    # "self_attention_output" is what the Garden called it until the summer of 2020.
    folder = Foreign(golden, "gelu", output).save(tmp_path / "m")
    expected = np.load(golden / "tf2_garden" / "expected.npz")
    theirs = tf.saved_model.load(str(folder))(interface(expected))["sequence_output"]
    np.testing.assert_allclose(theirs, expected["sequence_output"], atol=1e-5, err_msg="this file's own arithmetic")
    assert "variables/0/.ATTRIBUTES/VARIABLE_VALUE" in tensorflow1.shapes(folder / "variables" / "variables")
    source = find(folder)
    model, report = load(source, bare=True)
    config = source.config
    assert (config.num_hidden_layers, config.num_attention_heads, config.hidden_act) == (4, 4, "gelu")
    assert (config.vocab_size, config.embedding_size, config.hidden_size, config.intermediate_size) == (211, 16, 48, 96)
    assert (config.max_position_embeddings, config.type_vocab_size, config.family) == (64, 2, "google")
    ours = model({ours: expected[ours].astype(np.int32) for ours in THEIRS.values()})
    for name in ("sequence_output", "pooled_output"):
        np.testing.assert_allclose(ours[name], expected[name], atol=1e-5, rtol=0, err_msg=name)
    assert (len(report.loaded), report.missing, report.unused) == (25, (), ())


@pytest.mark.parametrize("activation", ["relu", "gelu_exact"])
def test_its_activation_is_told_by_its_operations(activation, golden, tmp_path):
    folder = Foreign(golden, activation).save(tmp_path / "m")
    model = load_pretrained(folder, say=lambda _: None)
    assert model.config.hidden_act == activation
    inputs = random_inputs(3, 20, vocabulary=211, seed=5)
    theirs = tf.saved_model.load(str(folder))(inputs)["sequence_output"]
    ours = model({ours: inputs[theirs] for theirs, ours in THEIRS.items()})["sequence_output"]
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


def test_one_of_no_known_activation_is_refused(golden, tmp_path):
    folder = Foreign(golden, "swish").save(tmp_path / "m")
    with pytest.raises(InputError, match=r"its graph holds no known activation\. Give its config with --bert_config"):
        load_pretrained(folder)


def test_one_that_answers_with_lists_or_without_its_layers_needs_its_config(golden, tmp_path):
    encoder, config = Foreign(golden), golden / "tf2_garden" / "albert_config.json"
    expected = np.load(golden / "tf2_garden" / "expected.npz")

    def in_order(inputs):  # as the first modules did
        outputs = encoder.encode(dict(zip(THEIRS, inputs, strict=True)))
        return [outputs["pooled_output"], outputs["sequence_output"]]

    def without_layers(inputs):
        outputs = encoder.encode(inputs)
        return {name: outputs[name] for name in ("pooled_output", "sequence_output")}

    lists = [tf.TensorSpec((None, None), tf.int32, name=name) for name in THEIRS]
    said = r"does not give the output of each layer\. Give its config with --bert_config_file"
    for name, encode, specs in (("lists", in_order, lists), ("layers", without_layers, None)):
        folder = encoder.save(tmp_path / name, encode, inputs=specs)
        with pytest.raises(InputError, match=said):
            load_pretrained(folder)
        model = load_pretrained(folder, config, say=lambda _: None)
        ours = model({ours: expected[ours].astype(np.int32) for ours in THEIRS.values()})
        np.testing.assert_allclose(ours["sequence_output"], expected["sequence_output"], atol=1e-5, rtol=0)


def test_a_config_of_another_network_is_refused_for_it_too(golden, tmp_path, tiny_config):
    folder = Foreign(golden).save(tmp_path / "m")
    tiny_config(family="google").to_json(folder / "albert_config.json")
    with pytest.raises(InputError, match="google checkpoint of another size"):
        find(folder)
    config = find(golden / "tf2_garden" / GARDEN).config
    config.replace(num_attention_heads=8).to_json(folder / "albert_config.json")
    with pytest.raises(InputError, match=r"num_attention_heads 4 \(its attention kernels are split so\).*says 8"):
        find(folder)


# ------------------------------------------------------------------------------------------------------------- refusals


def write_file(target, x):
    tf.io.write_file(str(target), "written")
    return x


def run_python(target, x):
    return tf.ensure_shape(tf.numpy_function(lambda x: target.write_text("ran") and x, [x], tf.float32), x.shape)


def run_eager_python(target, x):
    return tf.ensure_shape(tf.py_function(lambda x: target.write_text("ran") and x, [x], tf.float32), x.shape)


def print_to_file(target, x):
    tf.print("written", output_stream=f"file://{target}")
    return x


def save_to_file(target, x):
    tf.raw_ops.SaveV2(prefix=str(target), tensor_names=["x"], shape_and_slices=[""], tensors=[x])
    return x


def save_in_a_function_of_its_own(target, x):
    return tf.function(lambda x: save_to_file(target, x))(x)


@pytest.mark.parametrize(
    "act", [write_file, run_python, run_eager_python, print_to_file, save_to_file, save_in_a_function_of_its_own]
)
def test_whatever_a_graph_would_do_is_not_done_for_its_weights_and_config(act, golden, tmp_path):
    encoder = Foreign(golden)

    def encode(inputs):
        outputs = encoder.encode(inputs)
        return {**outputs, "sequence_output": act(tmp_path / "target", outputs["sequence_output"])}

    model = load_pretrained(encoder.save(tmp_path / "m", encode), say=lambda _: None)
    assert (model.config.num_hidden_layers, model.config.hidden_act) == (4, "gelu")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m"]


@pytest.fixture
def written(classifier, tmp_path):
    """A copy of the classifier's SavedModel to damage."""
    return shutil.copytree(classifier[1], tmp_path / "m")


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_a_graph_cut_off_is_refused(kept, written):
    pb = written / "saved_model.pb"
    content = pb.read_bytes()
    pb.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=r"saved_model\.pb: .*damaged.*Copy it again"):
        find(written)
    pb.write_bytes(content[:2])  # the version alone, which is whole as far as it goes
    with pytest.raises(InputError, match=r"saved_model\.pb: holds no graph"):
        find(written)


def test_variables_missing_or_cut_off_are_refused(written):
    data = written / "variables" / "variables.data-00000-of-00001"
    content = data.read_bytes()
    data.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"variables\.data-00000-of-00001.*the download was cut off"):
        load_pretrained(written)
    data.unlink()
    with pytest.raises(InputError, match=r"there is no variables\.data-00000-of-00001 with the weights"):
        load_pretrained(written)
    (written / "variables" / "variables.index").unlink()
    with pytest.raises(InputError, match=r"variables\.index: cannot be read"):
        load_pretrained(written)


def test_one_written_here_that_lost_its_config_is_refused_with_what_to_give(classifier, written, tmp_path):
    config = (written / "albert_config.json").rename(tmp_path / "albert_config.json")
    with pytest.raises(
        InputError, match=r"its weights do not tell the number of heads\. Give its config with --bert_con"
    ):
        find(written)
    assert_same_weights(classifier[0], load_pretrained(written, config, say=lambda _: None))


def test_a_saved_model_of_something_else_is_refused_with_what_it_holds(golden, tmp_path):
    encoder = Foreign(golden)
    encoder.of = {"dense/kernel": tf.Variable(tf.ones((2, 2)))}
    folder = encoder.save(tmp_path / "m", lambda inputs: {"x": encoder.of["dense/kernel"] + 0.0})
    with pytest.raises(InputError, match="no ALBERT of either family; it holds"):
        find(folder)


@pytest.mark.parametrize("scope", ["module/", ""])
@pytest.mark.parametrize("name", ["brightmart_postln", "google_2groups_2inner"])
def test_a_module_of_tf1_is_read_by_its_names_below_whatever_scope(scope, name, golden, tmp_path):
    arrays = tensorflow1.read_checkpoint(golden / name / "albert_model.ckpt")
    (tmp_path / "variables").mkdir()
    tensorflow1.write_checkpoint(
        tmp_path / "variables" / "variables", {f"{scope}{key}": array for key, array in arrays.items()}
    )
    saved = SavedModel()
    saved.meta_graphs.add().graph_def.node.add(name="x", op="Placeholder")
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(InputError, match="its weights do not tell the number of heads"):
        find(tmp_path)
    source = find(tmp_path, golden / name / "albert_config.json")
    assert source.stored.layout == "savedmodel"
    assert_same_weights(load(source)[0], load_pretrained(golden / name, say=lambda _: None))


def test_a_bare_encoder_is_written_without_heads_of_chance(tiny_config, tmp_path):
    save_pretrained(AlbertModel(tiny_config()), tmp_path / "m", layout="savedmodel")
    assert type(load(find(tmp_path / "m"), bare=True)[0]) is AlbertModel
