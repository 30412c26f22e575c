"""Checkpoints under the variable names of the published TensorFlow 1 code: find, read, write.

This is also the layout this project trains in: a checkpoint that an old tool can read needs no export.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from albert_zh.convert.loading import LoadReport, assign
from albert_zh.convert.weights import PROJECTION_BRIGHTMART, Stored, arrays_of
from albert_zh.files import InputError, first_line

#: Optimizer slots and counters.
_SLOT = re.compile(r"/(lamb_m|lamb_v|adam_m|adam_v)$|^global_step$|^(beta1_power|beta2_power)$")
#: Names of TF1 hub modules begin with their scope.
_SCOPE = re.compile(r"^(?:[^/]+/)*?(?=(?:bert|cls)/)")


def find_prefix(path: str | os.PathLike[str]) -> str:
    """The checkpoint prefix that a folder, a prefix or one of a checkpoint's files stands for.

    A ``checkpoint`` file inside the folder is ignored: published ones point to somebody else's disk.

    Raises:
        InputError: nothing there, or several checkpoints in the folder.
    """
    path = os.fspath(path)
    path = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path)
    if os.path.isfile(path + ".index"):
        return path
    if os.path.isdir(path):
        prefixes = sorted(str(file)[: -len(".index")] for file in Path(path).glob("*.index"))
        if len(prefixes) == 1:
            return prefixes[0]
        if prefixes:
            names = ", ".join(os.path.basename(prefix) for prefix in prefixes)
            raise InputError(f"{path}: holds several checkpoints ({names}). Name one, such as {prefixes[-1]}.")
    raise InputError(
        f"{path}: no checkpoint there: neither {path}.index nor a folder with one .index file. "
        "Give the folder or the prefix, such as albert_tiny_zh/albert_model.ckpt."
    )


def read_checkpoint(prefix: str | os.PathLike[str], names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of a checkpoint by name; all of them unless ``names`` says which.

    Raises:
        InputError: a file is missing, truncated or damaged.
    """
    prefix = os.fspath(prefix)
    try:
        reader = tf.train.load_checkpoint(prefix)
        wanted = list(reader.get_variable_to_shape_map()) if names is None else names
        return {name: reader.get_tensor(name) for name in wanted}
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:  # IndexError: the data ends too early
        raise _unreadable(prefix, error) from error


def shapes(prefix: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """Name to shape of all that a checkpoint's index lists; needs no data file."""
    prefix = os.fspath(prefix)
    try:
        listed = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise InputError(f"{prefix}.index: cannot be read ({first_line(error)}). Download or copy it again.") from error
    return {name: tuple(shape) for name, shape in listed.items()}


def write_checkpoint(prefix: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a checkpoint of one data file; it is there, index last, or not at all.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    prefix = Path(prefix)
    temporary = prefix.parent / f".{prefix.name}.tmp"
    suffixes = (".data-00000-of-00001", ".index")
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
        names = sorted(arrays)
        tf.raw_ops.SaveV2(
            prefix=str(temporary),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tf.convert_to_tensor(arrays[name]) for name in names],
        )
        for suffix in suffixes:
            with open(f"{temporary}{suffix}", "rb+") as stream:
                os.fsync(stream.fileno())
        # An index beside the data of another step would be a lie: the old one goes first.
        Path(f"{prefix}.index").unlink(missing_ok=True)
        for suffix in suffixes:
            os.replace(f"{temporary}{suffix}", f"{prefix}{suffix}")
    except (tf.errors.OpError, OSError) as error:
        raise unwritable(prefix, error) from error
    finally:
        for file in prefix.parent.glob(f"{temporary.name}*"):
            file.unlink(missing_ok=True)


def unwritable(where: str | os.PathLike[str], error: Exception) -> InputError:
    """What to do where a checkpoint or a model could not be written."""
    return InputError(
        f"{where}: the checkpoint cannot be written ({first_line(error)}). Check the folder's rights and the free "
        "space; nothing half-written was left."
    )


def _unreadable(prefix: str, error: Exception) -> InputError:
    """What is wrong with a checkpoint's files, told by their sizes where these tell it."""
    advice = "Download or copy .index and .data-* again."
    try:
        reader = tf.train.load_checkpoint(prefix)
        types, sizes = reader.get_variable_to_dtype_map(), reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError):
        return InputError(f"{prefix}: the checkpoint cannot be read ({first_line(error)}). {advice}")
    needed = sum(types[name].size * int(np.prod(sizes[name])) for name in sizes)
    folder, name = os.path.split(prefix)
    files = sorted(Path(folder or ".").glob(f"{name}.data-*-of-*"))
    held = sum(file.stat().st_size for file in files)
    listed = f"{prefix}: its .index lists {len(sizes)} arrays of {needed:,} bytes in all"
    if not files:
        return InputError(f"{listed}, but there is no {name}.data-00000-of-00001 with the weights. {advice}")
    if held < needed:
        return InputError(f"{listed}, but {files[0].name} holds {held:,}: the download was cut off. {advice}")
    if isinstance(error, IndexError | tf.errors.OutOfRangeError):  # text, whose size the index does not list
        return InputError(f"{prefix}: {files[0].name} ends too early: the download was cut off. {advice}")
    return InputError(f"{prefix}: the weights are damaged ({first_line(error)}). {advice}")


def open_stored(prefix: str | os.PathLike[str]) -> Stored:
    """The weights of a checkpoint; nothing but its index is read.

    Raises:
        InputError: the index is missing or damaged.
    """
    prefix = os.fspath(prefix)
    names, slots = {}, 0
    listed = shapes(prefix)
    types = tf.train.load_checkpoint(prefix).get_variable_to_dtype_map()
    foreign = []
    for name in listed:
        standard = _SCOPE.sub("", name)
        if _SLOT.search(name):
            slots += 1
        elif not types[name].is_floating:  # text, counters and the like: no weights
            foreign.append(name)
        elif standard in names:
            raise InputError(
                f"{prefix}: holds both {names[standard]} and {name}: two models, or one twice. Keep one of them."
            )
        else:
            names[standard] = name

    def read(wanted: Iterable[str]) -> dict[str, np.ndarray]:
        wanted = list(wanted)
        arrays = read_checkpoint(prefix, [names[name] for name in wanted])
        return {name: arrays[names[name]].astype(np.float32, copy=False) for name in wanted}

    return Stored(
        layout="tf1",
        where=prefix,
        identity=Path(f"{prefix}.index"),  # it holds the checksum of every array
        shapes={name: listed[held] for name, held in names.items()},
        read=read,
        slots=slots,
        foreign=tuple(foreign),
        known=_told_by_graph(Path(f"{prefix}.meta"), names),
    )


def _told_by_graph(meta: Path, names: Collection[str]) -> dict[str, tuple[Any, str]]:
    """Heads and layers of a brightmart network, from the graph published beside the weights: no shape tells them.

    The graph splits the heads with a Reshape to [batch, length, heads, head size], once a layer. What google's graphs
    look like is not known here, and they tell nothing.
    """
    if not meta.is_file() or PROJECTION_BRIGHTMART not in names:
        return {}
    graph = meta_graph_pb2.MetaGraphDef()
    try:
        graph.ParseFromString(meta.read_bytes())
    except DecodeError:
        return {}  # nothing is taken from it but this check
    split = re.compile(r"^bert/encoder/layer_shared(_\d+)?/attention/self/Reshape/shape$")
    constants = [node for node in graph.graph_def.node if node.op == "Const" and split.match(node.name)]
    heads = {_third_of_four(node.attr["value"].tensor) for node in constants}
    if len(heads) != 1 or None in heads:
        return {}
    return {"num_attention_heads": (heads.pop(), meta.name), "num_hidden_layers": (len(constants), meta.name)}


def _third_of_four(tensor: tensor_pb2.TensorProto) -> int | None:
    """The third of four integers; None for any other tensor, of which a damaged file may claim any size."""
    if tensor.dtype != tf.int32.as_datatype_enum or [axis.size for axis in tensor.tensor_shape.dim] != [4]:
        return None
    try:
        return int(tf.make_ndarray(tensor)[2])
    except ValueError:
        return None


def load_weights(model: keras.Model, prefix: str | os.PathLike[str]) -> LoadReport:
    """Gives the model the arrays of a checkpoint; see ``loading.assign``."""
    return assign(model, open_stored(prefix))


def save_weights(model: keras.Model, prefix: str | os.PathLike[str], names: Collection[str] | None = None) -> None:
    """Writes the model's weights under their TF1 names; only those of ``names`` if given."""
    write_checkpoint(prefix, arrays_of(model, names))
