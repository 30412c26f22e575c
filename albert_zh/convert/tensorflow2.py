"""Object-based checkpoints of the TF2 Model Garden's AlbertEncoder: recognise, read, write.

Their keys are paths in a graph of objects, such as ``encoder/layer_with_weights-0/embeddings``, under the root
``encoder`` or, in older ones, ``model``. The Garden's encoder is google's network with one group of one block, its
attention kernels are split by head, and it has no projection where E equals H.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import trackable_object_graph_pb2

from albert_zh.config import AlbertConfig
from albert_zh.convert import tensorflow1
from albert_zh.convert.weights import (
    CLASSIFIER_BIAS,
    CLASSIFIER_KERNEL,
    PROJECTION_GOOGLE,
    SOP_BIAS,
    SOP_KERNEL,
    TRANSPOSED,
    WORD,
    Stored,
    arrays_of,
    block_scope,
)
from albert_zh.files import InputError

#: What a written checkpoint is called, as the Garden's own are.
CHECKPOINT = "bert_model.ckpt"
ROOTS = ("encoder", "model")
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_COUNTER = re.compile(r"^save_counter|^global_step|\.OPTIMIZER_SLOT|^(model/)?optimizer/")
_BLOCK = block_scope("google", 0, 0)
_ATTENTION = f"{_BLOCK}/attention_1"
_EMBEDDINGS = (
    ("layer_with_weights-0/embeddings", WORD),
    ("layer_with_weights-1/embeddings", "bert/embeddings/position_embeddings"),
    ("layer_with_weights-2/embeddings", "bert/embeddings/token_type_embeddings"),
    ("layer_with_weights-3/gamma", "bert/embeddings/LayerNorm/gamma"),
    ("layer_with_weights-3/beta", "bert/embeddings/LayerNorm/beta"),
)
_TRANSFORMER = (
    ("_attention_layer/_query_dense", f"{_ATTENTION}/self/query"),
    ("_attention_layer/_key_dense", f"{_ATTENTION}/self/key"),
    ("_attention_layer/_value_dense", f"{_ATTENTION}/self/value"),
    ("_attention_layer/_output_dense", f"{_ATTENTION}/output/dense"),
    ("_attention_layer_norm", f"{_BLOCK}/LayerNorm"),
    ("_intermediate_dense", f"{_BLOCK}/ffn_1/intermediate/dense"),
    ("_output_dense", f"{_BLOCK}/ffn_1/intermediate/output/dense"),
    ("_output_layer_norm", f"{_BLOCK}/LayerNorm_1"),
)
#: Until the summer of 2020 the Garden kept the output projection of the attention beside it: path now, path then.
_MOVED = ("_attention_layer/_output_dense", "_attention_output_dense")
#: Beside the encoder: the masked-LM layer of the Garden's pretrainer; the others by the name of their layer there.
_HEADS = (
    ("masked_lm/dense/kernel", "cls/predictions/transform/dense/kernel"),
    ("masked_lm/dense/bias", "cls/predictions/transform/dense/bias"),
    ("masked_lm/layer_norm/gamma", "cls/predictions/transform/LayerNorm/gamma"),
    ("masked_lm/layer_norm/beta", "cls/predictions/transform/LayerNorm/beta"),
    ("masked_lm/bias", "cls/predictions/output_bias"),
    ("next_sentence/out_proj/kernel", SOP_KERNEL),
    ("next_sentence/out_proj/bias", SOP_BIAS),
    ("classifier/out_proj/kernel", CLASSIFIER_KERNEL),
    ("classifier/out_proj/bias", CLASSIFIER_BIAS),
)
#: The names Keras gave the same variables, by which those of a SavedModel are known.
_KERAS_NAMES = {
    "word_embeddings/embeddings": WORD,
    "position_embedding/embeddings": "bert/embeddings/position_embeddings",
    "type_embeddings/embeddings": "bert/embeddings/token_type_embeddings",
    "embeddings/layer_norm": "bert/embeddings/LayerNorm",
    "embedding_projection": PROJECTION_GOOGLE,
    "transformer/self_attention/query": f"{_ATTENTION}/self/query",
    "transformer/self_attention/key": f"{_ATTENTION}/self/key",
    "transformer/self_attention/value": f"{_ATTENTION}/self/value",
    "transformer/self_attention/attention_output": f"{_ATTENTION}/output/dense",
    "transformer/self_attention_output": f"{_ATTENTION}/output/dense",
    "transformer/self_attention_layer_norm": f"{_BLOCK}/LayerNorm",
    "transformer/intermediate": f"{_BLOCK}/ffn_1/intermediate/dense",
    "transformer/output": f"{_BLOCK}/ffn_1/intermediate/output/dense",
    "transformer/output_layer_norm": f"{_BLOCK}/LayerNorm_1",
    "pooler_transform": "bert/pooler/dense",
    "cls/predictions/transform/dense": "cls/predictions/transform/dense",
    "cls/predictions/transform/LayerNorm": "cls/predictions/transform/LayerNorm",
    "cls/predictions/output_bias/bias": "cls/predictions/output_bias",
}


def _table(projection: bool) -> dict[str, str]:
    """Object path, below the root for the encoder, to TF1 name."""
    at = 4 + projection  # the number of the transformer among the layers that have weights
    pairs = list(_EMBEDDINGS)
    if projection:
        pairs += [(f"layer_with_weights-4/{part}", f"{PROJECTION_GOOGLE}/{part}") for part in ("kernel", "bias")]
    for path, name in _TRANSFORMER:
        parts = ("gamma", "beta") if path.endswith("norm") else ("kernel", "bias")
        pairs += [(f"layer_with_weights-{at}/{path}/{part}", f"{name}/{part}") for part in parts]
    pairs += [(f"layer_with_weights-{at + 1}/{part}", f"bert/pooler/dense/{part}") for part in ("kernel", "bias")]
    return dict(pairs)


def _is_split(name: str) -> bool:
    return name.startswith(_ATTENTION)


# ---------------------------------------------------------------------------------------------------------------------
# Read


def is_object_based(prefix: str | os.PathLike[str]) -> bool:
    """Whether a checkpoint's keys are paths of objects."""
    return OBJECT_GRAPH in tensorflow1.shapes(prefix)


def _object_graph(prefix: str) -> list[trackable_object_graph_pb2.TrackableObjectGraph.TrackableObject]:
    """The objects of a checkpoint, nearest to its root first."""
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    try:
        graph.ParseFromString(tensorflow1.read_checkpoint(prefix, [OBJECT_GRAPH])[OBJECT_GRAPH])
    except DecodeError as error:
        raise InputError(f"{prefix}: its graph of objects is damaged ({error}). Download or copy it again.") from error
    return list(graph.nodes)


def open_stored(prefix: str | os.PathLike[str], layout: str = "tf2", where: str | None = None) -> Stored:
    """The weights of an object-based checkpoint; of its arrays none is read.

    Args:
        prefix: of the checkpoint.
        layout: what the file is, a SavedModel's variables being such a checkpoint too.
        where: what to call it in messages; left out, the prefix.

    Raises:
        InputError: the index is missing or damaged.
    """
    prefix = os.fspath(prefix)
    listed = tensorflow1.shapes(prefix)
    objects = _object_graph(prefix)
    keys = {name: key for name, key in (_by_name(objects) | _by_path(objects)).items() if key in listed}
    used = set(keys.values())
    rest = [key for key in listed if key not in used and key != OBJECT_GRAPH]
    counters = [key for key in rest if _COUNTER.search(key)]
    foreign = [key for key in rest if key not in counters]

    shapes, known = {}, {}
    for name, key in keys.items():
        shape = listed[key]
        if _is_split(name) and name.endswith("/self/query/kernel") and len(shape) == 3:
            known["num_attention_heads"] = (shape[1], "its attention kernels are split so")
        shapes[name] = _joined(name, shape)
    identity = {}
    hidden = shapes.get(f"{_BLOCK}/LayerNorm/gamma", ())
    if f"{PROJECTION_GOOGLE}/kernel" not in keys and hidden and shapes.get(WORD, ())[1:] == hidden:
        (width,) = hidden  # E = H: the Garden leaves the projection out
        identity = {
            f"{PROJECTION_GOOGLE}/kernel": np.eye(width, dtype=np.float32),
            f"{PROJECTION_GOOGLE}/bias": np.zeros(width, np.float32),
        }
        shapes |= {name: array.shape for name, array in identity.items()}

    def read(wanted: Iterable[str]) -> dict[str, np.ndarray]:
        wanted = list(wanted)
        arrays = tensorflow1.read_checkpoint(prefix, [keys[name] for name in wanted if name in keys])
        found = {name: identity[name] for name in wanted if name in identity and name not in keys}
        for name in wanted:
            if name in keys:
                array = arrays[keys[name]].astype(np.float32, copy=False)
                array = array.T if name in TRANSPOSED else array
                found[name] = array.reshape(shapes[name])
        return found

    return Stored(
        layout=layout,
        where=where or prefix,
        identity=Path(f"{prefix}.index"),
        shapes=shapes,
        read=read,
        slots=len(counters),
        foreign=tuple(sorted(key.removesuffix(_VALUE) for key in foreign)),
        known=known,
    )


def _by_path(objects: Sequence[Any]) -> dict[str, str]:
    """TF1 name to key, by the places of the objects below an encoder and beside it.

    The key is not always that place: of several paths to a variable it is the shortest, such as one through a head
    that is tied to the word embedding, or through an optimizer.
    """
    within = range(len(objects))
    children = [{c.local_name: c.node_id for c in each.children if c.node_id in within} for each in objects]

    def follow(start: int | None, path: str) -> int | None:
        for part in path.split("/"):
            start = None if start is None else children[start].get(part)
        return start

    encoders = [start for start in within if follow(start, "layer_with_weights-1/embeddings") is not None]
    if not encoders:
        return {}
    encoder = encoders[0]
    places = []
    for path, name in _table(follow(encoder, "layer_with_weights-4/kernel") is not None).items():
        places += [(encoder, path.replace(*_MOVED), name), (encoder, path, name)]
    for start in within:
        if encoder in children[start].values():  # it stands beside the heads
            places += [(start, path, name) for path, name in _HEADS]
    found = [(name, follow(start, path)) for start, path, name in places]
    return {
        name: attribute.checkpoint_key
        for name, node in found
        if node is not None
        for attribute in objects[node].attributes
    }


def _by_name(objects: Sequence[Any]) -> dict[str, str]:
    """TF1 name to key, by the names the variables had when they were saved."""
    keys = {}
    for attribute in (attribute for each in objects for attribute in each.attributes):
        layer, _, part = attribute.full_name.rpartition("/")
        if attribute.full_name in _KERAS_NAMES:
            keys[_KERAS_NAMES[attribute.full_name]] = attribute.checkpoint_key
        elif layer in _KERAS_NAMES and part in ("kernel", "bias", "gamma", "beta"):
            keys[f"{_KERAS_NAMES[layer]}/{part}"] = attribute.checkpoint_key
    return keys


def _joined(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape a TF1 checkpoint stores for what is split by head, or transposed, here."""
    if _is_split(name) and len(shape) == 3:  # [H, N, D], or [N, D, H] for the output
        return (shape[0] * shape[1], shape[2]) if "/output/" in name else (shape[0], shape[1] * shape[2])
    if _is_split(name) and len(shape) == 2 and name.endswith("bias"):
        return (shape[0] * shape[1],)
    return tuple(reversed(shape)) if name in TRANSPOSED else tuple(shape)


# ---------------------------------------------------------------------------------------------------------------------
# Write


def refusal(config: AlbertConfig) -> str | None:
    """Why the Garden's encoder cannot be this network; None when it can."""
    if config.family != "google":
        return "its encoder is google's network"
    if (config.num_hidden_groups, config.inner_group_num) != (1, 1):
        return (
            "its encoder shares one block among all layers, this network has "
            f"{config.num_hidden_groups} groups of {config.inner_group_num}"
        )
    return None


def write(
    model: keras.Model,
    folder: Path,
    names: Collection[str] | None = None,
    *,
    root: str = "encoder",
    name: str = CHECKPOINT,
) -> str:
    """Writes ``folder/name-1``, which restores as ``tf.train.Checkpoint(encoder=...)`` and ``(model=...)``.

    Args:
        model: of google's family, one group of one block.
        folder: exists.
        names: the arrays to write, by TF1 name; left out, all.
        root: the root its keys are under, "encoder" or "model".
        name: of the checkpoint.

    Returns:
        The prefix.

    Raises:
        InputError: the Garden's encoder cannot be this network.
    """
    config = model.config
    if reason := refusal(config):
        raise InputError(f"the TF2 Model Garden layout cannot hold this model: {reason}.")
    arrays = arrays_of(model, names)
    projection = config.embedding_size != config.hidden_size
    if not projection:
        kernel, bias = (arrays.pop(f"{PROJECTION_GOOGLE}/{part}") for part in ("kernel", "bias"))
        if not (np.array_equal(kernel, np.eye(len(kernel))) and not bias.any()):
            raise InputError(
                "the TF2 Model Garden layout cannot hold this model: it has no projection where embedding_size equals "
                "hidden_size, and this model's is not the identity."
            )
    tree, encoder = tf.Module(), tf.Module()
    for each in (root, *(other for other in ROOTS if other != root)):
        setattr(tree, each, encoder)
    for path, its_name in _table(projection).items():
        if its_name in arrays:
            _hang(encoder, path, _split(its_name, arrays[its_name], config))
    for path, its_name in _HEADS:
        if its_name in arrays:
            _hang(tree, path, _split(its_name, arrays[its_name], config))
    tree.save_counter = tf.Variable(1, dtype=tf.int64)
    try:
        return tf.train.Checkpoint(root=tree).write(str(Path(folder) / f"{name}-1"))
    except tf.errors.OpError as error:
        raise tensorflow1.unwritable(folder, error) from error


def _split(name: str, array: np.ndarray, config: AlbertConfig) -> np.ndarray:
    heads, size, width = config.num_attention_heads, config.head_size, config.hidden_size
    if name in TRANSPOSED:
        return array.T
    if not _is_split(name):
        return array
    if "/output/" in name:
        return array if name.endswith("bias") else array.reshape(heads, size, width)
    return array.reshape(heads, size) if name.endswith("bias") else array.reshape(width, heads, size)


def _hang(tree: tf.Module, path: str, array: np.ndarray) -> None:
    """Makes ``array`` the variable at ``path`` below ``tree``, with the objects between."""
    *between, last = path.split("/")
    for part in between:
        if not hasattr(tree, part):
            setattr(tree, part, tf.Module())
        tree = getattr(tree, part)
    setattr(tree, last, tf.Variable(array))
