"""A SavedModel with the interface of TF Hub's text encoders, out and in.

https://www.tensorflow.org/hub/common_saved_model_apis/text: a dict of ``input_word_ids``, ``input_mask``,
``input_type_ids`` int32 (B, L) becomes a dict of ``pooled_output`` (B, H), ``sequence_output`` (B, L, H),
``encoder_outputs`` (a list of (B, L, H), one a layer) and ``default``, which is the pooled output.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from albert_zh.config import AlbertConfig
from albert_zh.convert import tensorflow1, tensorflow2
from albert_zh.convert.weights import (
    TRANSPOSED,
    WORD,
    Stored,
    block_scope,
    family_of,
    heads_in,
    variable_names,
)
from albert_zh.files import InputError

INPUTS = {"input_word_ids": "input_ids", "input_mask": "input_mask", "input_type_ids": "segment_ids"}
_VARIABLES = "variables/variables"
_OWN = "weights/"
_BLOCK = block_scope("google", 0, 0)


# ---------------------------------------------------------------------------------------------------------------------
# Out


class _Callable(tf.train.Checkpoint):
    """An object that can be called after loading: its ``__call__`` is a function of a dict and ``training``.

    What it lists as variables is what ``hub.KerasLayer(trainable=True)`` trains.
    """

    def __init__(self, function, specs: Mapping[str, tf.TensorSpec]):
        super().__init__()
        self.regularization_losses = []

        # Saving traces what it saves once more: that shall be a call of the network, not the network.
        traced = {
            training: tf.function(function, autograph=False).get_concrete_function(dict(specs), training)
            for training in (False, True)
        }

        @tf.function(autograph=False)
        def call(inputs, training=False, mask=None):
            return traced[training](inputs, training)

        for training in traced:
            call.get_concrete_function(dict(specs), training=training)
        self.__call__ = call

    def owns(self, trainable: Iterable[tf.Variable], others: Iterable[tf.Variable]) -> None:
        self.trainable_variables = list(trainable)
        self.variables = [*self.trainable_variables, *others]


def write(
    model: keras.Model,
    folder: Path,
    names: Collection[str] | None = None,
    *,
    vocabulary: Path | None = None,
    lower_case: bool = True,
) -> tuple[str, ...]:
    """Writes the files of a SavedModel into ``folder``.

    Besides the encoder's interface: ``mlm``, called with ``masked_lm_positions`` (B, P) too, gives ``mlm_logits``
    (B, P, V) and ``sop_logits`` (B, 2) as far as the model has these heads; ``classifier`` gives ``logits`` (B, C).
    Signatures ``serving_default``, ``mlm`` and ``classifier`` are the same with tensors alone.

    Args:
        model: of this package, any family.
        folder: exists.
        names: the arrays that are the model's own, by TF1 name; heads without any are left out.
        vocabulary: kept as the asset ``vocab_file`` or ``sp_model_file``.
        lower_case: kept as ``do_lower_case``.
    """
    variables = variable_names(model)
    names = set(variables if names is None else names)
    heads = heads_in(names)
    specs = {name: tf.TensorSpec((None, None), tf.int32, name=name) for name in INPUTS}

    def encode(inputs, training):
        outputs = model.encoder(_named(inputs), training=training, every_layer=True)
        kept = {key: outputs[key] for key in ("pooled_output", "sequence_output", "encoder_outputs")}
        return {**kept, "default": outputs["pooled_output"]}

    exported = _Callable(encode, specs)
    # The first path to a variable is its key in the file: these names are how it is read again.
    exported.weights = {name: variable.value for name, variable in variables.items() if name in names}
    exported.other = [variable.value for name, variable in variables.items() if name not in names]
    exported.seeds = [seed.value for seed in model.non_trainable_variables]
    exported.owns((v for name, v in exported.weights.items() if name.startswith("bert/")), exported.seeds)
    exported.do_lower_case = tf.Variable(lower_case, trainable=False)
    if vocabulary is not None:
        asset = tf.saved_model.Asset(str(vocabulary))
        setattr(exported, "sp_model_file" if Path(vocabulary).suffix == ".model" else "vocab_file", asset)
    signatures = {"serving_default": _signature(exported, specs)}
    if heads.keys() & {"masked-LM head", "sentence-order head"}:
        with_positions = {
            **specs,
            "masked_lm_positions": tf.TensorSpec((None, None), tf.int32, name="masked_lm_positions"),
        }
        wanted = [
            key
            for key, head in (("mlm_logits", "masked-LM head"), ("sop_logits", "sentence-order head"))
            if head in heads
        ]

        def predict(inputs, training):
            outputs = model({**_named(inputs), "masked_lm_positions": inputs["masked_lm_positions"]}, training=training)
            return {key: outputs[key] for key in ("pooled_output", "sequence_output", *wanted)}

        exported.mlm = _Callable(predict, with_positions)
        exported.mlm.owns(exported.weights.values(), exported.seeds)
        signatures["mlm"] = _signature(exported.mlm, with_positions)
    if "classifier" in heads:

        def classify(inputs, training):
            return {"logits": model(_named(inputs), training=training)["logits"]}

        exported.classifier = _Callable(classify, specs)
        exported.classifier.owns(exported.weights.values(), exported.seeds)
        signatures["classifier"] = _signature(exported.classifier, specs)
    try:
        tf.saved_model.save(exported, str(folder), signatures=signatures)
    except tf.errors.OpError as error:
        raise tensorflow1.unwritable(folder, error) from error
    return "saved_model.pb", "variables", "assets"


def _named(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {ours: inputs[theirs] for theirs, ours in INPUTS.items()}


def _signature(exported: _Callable, specs: Mapping[str, tf.TensorSpec]):
    """The function of an object with named tensors in and out, as a server calls it."""

    @tf.function(autograph=False)
    def serve(**inputs):
        outputs = exported.__call__(inputs, training=False)
        return {name: value for name, value in outputs.items() if not isinstance(value, list | tuple)}

    return serve.get_concrete_function(**specs)


# ---------------------------------------------------------------------------------------------------------------------
# In


def open_stored(folder: str | os.PathLike[str]) -> Stored:
    """The weights of a SavedModel; nothing of it is run.

    Variables are known by the names this package gave them, by those of the TF2 Model Garden (the encoders on TF
    Hub), or by those of TF1 (older hub modules).

    Raises:
        InputError: a file is missing or damaged, or it is no ALBERT.
    """
    folder = Path(folder)
    _graph(folder)
    prefix = str(folder / _VARIABLES)
    listed = tensorflow1.shapes(prefix)
    names = {name: key for key in listed if (name := _own_name(key))}
    if WORD in names:

        def read(wanted):
            arrays = tensorflow1.read_checkpoint(prefix, [names[name] for name in wanted])
            from_keras = {name: arrays[names[name]] for name in wanted}
            return {name: array.T if name in TRANSPOSED else array for name, array in from_keras.items()}

        return Stored(
            layout="savedmodel",
            where=str(folder),
            identity=Path(f"{prefix}.index"),
            shapes={
                name: tuple(reversed(listed[key])) if name in TRANSPOSED else listed[key] for name, key in names.items()
            },
            read=read,
        )
    if tensorflow2.OBJECT_GRAPH not in listed:
        return replace(tensorflow1.open_stored(prefix), layout="savedmodel", where=str(folder))
    stored = tensorflow2.open_stored(prefix, "savedmodel", str(folder))
    return replace(stored, foreign=tuple(name for name in stored.foreign if name != "do_lower_case"))


def lower_case(folder: str | os.PathLike[str]) -> bool:
    """What its variable ``do_lower_case`` says; True where it has none."""
    prefix, key = str(Path(folder) / _VARIABLES), "do_lower_case/.ATTRIBUTES/VARIABLE_VALUE"
    if key not in tensorflow1.shapes(prefix):
        return True
    return bool(tensorflow1.read_checkpoint(prefix, [key])[key])


def _own_name(key: str) -> str | None:
    if not key.startswith(_OWN):
        return None
    return key.split("/")[1].replace(".S", "/").replace("..", ".")  # as TensorFlow writes a name with a slash


def _graph(folder: Path) -> saved_model_pb2.SavedModel:
    """What ``saved_model.pb`` holds. Raises InputError when it is missing or damaged."""
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Give the folder of a SavedModel.") from error
    except DecodeError as error:
        raise InputError(f"{path}: damaged ({error}). Copy it again.") from error
    if not saved.meta_graphs:
        raise InputError(f"{path}: holds no graph: cut off or damaged. Copy it again.")
    return saved


def infer_config(folder: str | os.PathLike[str], stored: Stored) -> AlbertConfig:
    """The config of a SavedModel without one: sizes from its shapes, the rest from its graph, which is not run.

    The number of layers is that of its ``encoder_outputs``; the activation is told by the operations of its functions:
    Erf, Relu, or more than the pooler's Tanh. What was dropped in its training leaves no trace: the config says 0.

    Raises:
        InputError: it is no ALBERT, or does not tell its heads, layers or activation.
    """
    need = "Give its config with --bert_config_file."
    shapes = stored.shapes
    if family_of(shapes, stored.where) != "google" or "num_attention_heads" not in stored.known:
        raise InputError(f"{folder}: no config beside it, and its weights do not tell the number of heads. {need}")
    saved = _graph(Path(folder))
    layers, activation = _layers(saved), _activation(saved)
    if layers is None:
        raise InputError(f"{folder}: no config beside it, and it does not give the output of each layer. {need}")
    if activation is None:
        raise InputError(f"{folder}: no config beside it, and its graph holds no known activation. {need}")
    try:
        return AlbertConfig(
            vocab_size=shapes[WORD][0],
            embedding_size=shapes[WORD][1],
            hidden_size=shapes[f"{_BLOCK}/LayerNorm/gamma"][0],
            num_hidden_layers=layers,
            num_attention_heads=stored.known["num_attention_heads"][0],
            intermediate_size=shapes[f"{_BLOCK}/ffn_1/intermediate/dense/kernel"][1],
            max_position_embeddings=shapes["bert/embeddings/position_embeddings"][0],
            type_vocab_size=shapes["bert/embeddings/token_type_embeddings"][0],
            hidden_act=activation,
            family="google",
        )
    except (KeyError, IndexError) as error:
        raise InputError(f"{folder}: no config beside it, and its weights are not all of an ALBERT. {need}") from error


def _layers(saved: saved_model_pb2.SavedModel) -> int | None:
    """How many outputs its functions list as ``encoder_outputs``; None where none does or they differ."""
    counts = set()
    for meta in saved.meta_graphs:
        for function in meta.object_graph_def.concrete_functions.values():
            outputs = function.output_signature.dict_value.fields
            if "encoder_outputs" in outputs:
                listed = outputs["encoder_outputs"]
                counts.add(len(listed.list_value.values) or len(listed.tuple_value.values))
    return counts.pop() if len(counts) == 1 and counts != {0} else None


def _activation(saved: saved_model_pb2.SavedModel) -> str | None:
    """The activation whose operation its functions hold; None where that is not one alone."""
    operations = [
        [node.op for node in function.node_def]
        for meta in saved.meta_graphs
        for function in meta.graph_def.library.function
    ]
    every = {operation for held in operations for operation in held}
    marks = (("gelu_exact", {"Erf", "Erfc"}), ("relu", {"Relu"}))
    found = {name for name, operations_of in marks if operations_of & every}
    if not found and any(held.count("Tanh") > 1 for held in operations):  # the pooler's is one
        found = {"gelu"}
    return found.pop() if len(found) == 1 else None


def run(folder: str | os.PathLike[str], inputs: Mapping[str, np.ndarray], part: str = "") -> dict[str, Any]:
    """What a SavedModel gives: it is loaded and run as anybody else would. A SavedModel is a program: run none but
    one that this package has just written.

    Args:
        folder: of the SavedModel.
        inputs: int arrays by the names of its interface.
        part: "mlm" or "classifier"; left out, the encoder.

    Returns:
        Its outputs by name: arrays, and lists of them.
    """
    tensors = {name: tf.convert_to_tensor(value, tf.int32) for name, value in inputs.items()}
    loaded = tf.saved_model.load(str(folder))
    outputs = (getattr(loaded, part) if part else loaded)(tensors, training=False)
    return tf.nest.map_structure(np.asarray, dict(outputs))
