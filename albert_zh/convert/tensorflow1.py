"""Checkpoints under the variable names of the published TensorFlow 1 code: read, recognise, write.

This is also the layout this project trains in: a checkpoint that an old tool can read needs no export.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from albert_zh.config import AlbertConfig
from albert_zh.files import InputError

_BLOCK_BRIGHTMART = (
    ("attention/query", "attention/self/query"),
    ("attention/key", "attention/self/key"),
    ("attention/value", "attention/self/value"),
    ("attention/output", "attention/output/dense"),
    ("attention_norm", "attention/output/LayerNorm"),
    ("intermediate", "intermediate/dense"),
    ("output", "output/dense"),
    ("output_norm", "output/LayerNorm"),
)
_BLOCK_GOOGLE = (
    ("attention/query", "attention_1/self/query"),
    ("attention/key", "attention_1/self/key"),
    ("attention/value", "attention_1/self/value"),
    ("attention/output", "attention_1/output/dense"),
    ("attention_norm", "LayerNorm"),
    ("intermediate", "ffn_1/intermediate/dense"),
    ("output", "ffn_1/intermediate/output/dense"),
    ("output_norm", "LayerNorm_1"),
)
_REST = (
    ("encoder/embeddings/word", "bert/embeddings/word_embeddings"),
    ("encoder/embeddings/position", "bert/embeddings/position_embeddings"),
    ("encoder/embeddings/token_type", "bert/embeddings/token_type_embeddings"),
    ("encoder/embeddings/projection/kernel", "bert/embeddings/word_embeddings_2"),  # brightmart
    ("encoder/embeddings/norm", "bert/embeddings/LayerNorm"),
    ("encoder/projection", "bert/encoder/embedding_hidden_mapping_in"),  # google
    ("encoder/pooler", "bert/pooler/dense"),
    ("masked_lm/transform", "cls/predictions/transform/dense"),
    ("masked_lm/norm", "cls/predictions/transform/LayerNorm"),
    ("masked_lm/output_bias", "cls/predictions/output_bias"),
    ("sentence_order/kernel", "cls/seq_relationship/output_weights"),
    ("sentence_order/bias", "cls/seq_relationship/output_bias"),
    ("classifier/kernel", "output_weights"),
    ("classifier/bias", "output_bias"),
)
#: Stored as [classes, H]; Keras keeps kernels as [H, classes].
_TRANSPOSED = frozenset({"cls/seq_relationship/output_weights", "output_weights"})
_SLOT = re.compile(r"/(lamb_m|lamb_v|adam_m|adam_v)$|^global_step$|^(beta1_power|beta2_power)$")


def variable_names(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's trainable variables under the names of the published TF1 checkpoints."""
    block = _BLOCK_BRIGHTMART if model.config.family == "brightmart" else _BLOCK_GOOGLE
    pairs = list(_REST)
    for group in range(model.config.num_hidden_groups):
        for inner in range(model.config.inner_group_num):
            scope = (
                "bert/encoder/layer_shared"
                if model.config.family == "brightmart"
                else f"bert/encoder/transformer/group_{group}/inner_group_{inner}"
            )
            pairs += [(f"encoder/group_{group}_inner_{inner}/{ours}", f"{scope}/{theirs}") for ours, theirs in block]
    table = dict(pairs)
    names = {}
    for variable in model.trainable_variables:
        path = variable.path.split("/", 1)[1]  # without the model's name
        layer, _, part = path.rpartition("/")
        names[table[path] if path in table else f"{table[layer]}/{part}"] = variable
    return names


def to_tf1(name: str, array: np.ndarray) -> np.ndarray:
    """An array of the Keras model as the checkpoint stores it."""
    return array.T if name in _TRANSPOSED else array


from_tf1 = to_tf1  # transposing is its own inverse


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
        raise InputError(
            f"{prefix}: the checkpoint cannot be read ({str(error).splitlines()[0]}). A file of it is missing, "
            "truncated or damaged: download or copy .index and .data-* again."
        ) from error


def shapes(prefix: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """Name to shape of all that a checkpoint's index lists; needs no data file."""
    prefix = os.fspath(prefix)
    try:
        listed = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{prefix}.index: cannot be read ({str(error).splitlines()[0]}). Download or copy it again."
        ) from error
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
        raise InputError(
            f"{prefix}: the checkpoint cannot be written ({str(error).splitlines()[0]}). "
            "Check the folder's rights and the free space; nothing half-written was left."
        ) from error
    finally:
        for file in prefix.parent.glob(f"{temporary.name}*"):
            file.unlink(missing_ok=True)


def family_of(listed: Mapping[str, tuple[int, ...]], where: str) -> str:
    """Which family a checkpoint's names belong to.

    Raises:
        InputError: neither family's names are there.
    """
    if "bert/embeddings/word_embeddings_2" in listed:
        return "brightmart"
    if "bert/encoder/embedding_hidden_mapping_in/kernel" in listed:
        return "google"
    if "bert/encoder/layer_0/attention/self/query/kernel" in listed:
        raise InputError(f"{where}: this is a BERT checkpoint (layer_0, layer_1 …), not an ALBERT.")
    some = ", ".join(sorted(listed)[:3])
    raise InputError(f"{where}: no ALBERT of either family; it holds {some} … Give a brightmart or google checkpoint.")


def adapt_config(config: AlbertConfig, listed: Mapping[str, tuple[int, ...]], where: str) -> AlbertConfig:
    """The config with the checkpoint's family, after comparing every size the shapes can tell.

    The head count and ``ln_type`` leave no trace in the weights: those stay as the JSON says.

    Raises:
        InputError: a size differs; family, variable and both shapes are named.
    """
    family = family_of(listed, where)
    if family != config.family:
        changes = {"family": family}
        if family == "brightmart":
            changes |= {"num_hidden_groups": 1, "inner_group_num": 1}
        else:
            changes["ln_type"] = "postln"
        config = config.replace(**changes)
    width = config.hidden_size if family == "brightmart" else config.embedding_size
    expected = {
        "bert/embeddings/word_embeddings": (config.vocab_size, config.embedding_size),
        "bert/embeddings/position_embeddings": (config.max_position_embeddings, width),
        "bert/embeddings/token_type_embeddings": (config.type_vocab_size, width),
        "bert/pooler/dense/kernel": (config.hidden_size, config.hidden_size),
    }
    for name, shape in expected.items():
        if name in listed and tuple(listed[name]) != shape:
            raise InputError(
                f"{where}: {family} checkpoint of another size: {name} is {list(listed[name])}, "
                f"the config says {list(shape)}. Use the JSON that came with the checkpoint."
            )
    return config


@dataclass(frozen=True)
class LoadReport:
    """What matched when a checkpoint was loaded."""

    source: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    slots: int = 0

    def __str__(self) -> str:
        lines = [f"{self.source}: {len(self.loaded)} arrays loaded, {self.slots} optimizer slots passed over"]
        if self.missing:
            lines.append(f"  not in it, freshly initialised ({len(self.missing)}): {', '.join(self.missing)}")
        if self.unused:
            lines.append(f"  in it, not used here ({len(self.unused)}): {', '.join(self.unused)}")
        return "\n".join(lines)


def load_weights(model: keras.Model, prefix: str | os.PathLike[str]) -> LoadReport:
    """Assigns to the model every array the checkpoint has for it.

    Raises:
        InputError: a shape differs, a value is not finite, an encoder array is missing, or a file is damaged.
    """
    prefix = os.fspath(prefix)
    listed = shapes(prefix)
    family = family_of(listed, prefix)
    variables = variable_names(model)
    if family != model.config.family:
        raise InputError(f"{prefix}: a {family} checkpoint, but the model is of the {model.config.family} family.")
    loaded = [name for name in variables if name in listed]
    missing = tuple(name for name in variables if name not in listed)
    unused = [name for name in listed if name not in variables]
    slots = [name for name in unused if _SLOT.search(name)]
    absent = [name for name in missing if name.startswith("bert/") and not name.startswith("bert/pooler/")]
    beyond = sorted(name for name in set(unused) - set(slots) if name.startswith("bert/encoder/"))
    if absent or beyond:
        what = f"without {absent[0]}" if absent else f"with {beyond[0]}"
        raise InputError(
            f"{prefix}: {family} checkpoint {what} (and {len(absent or beyond) - 1} more of the encoder). "
            "It belongs to a network with other layers or groups: use the JSON that came with it."
        )
    arrays = read_checkpoint(prefix, loaded)
    for name in loaded:
        array, variable = from_tf1(name, arrays[name]), variables[name]
        if array.shape != tuple(variable.shape):
            raise InputError(
                f"{prefix}: {family} checkpoint of another size: {name} is {list(array.shape)}, "
                f"the config says {list(variable.shape)}. Use the JSON that came with the checkpoint."
            )
        if not np.isfinite(array).all():
            raise InputError(f"{prefix}: {name} holds values that are not finite. The checkpoint is damaged.")
        variable.assign(array)
    return LoadReport(prefix, tuple(loaded), missing, tuple(sorted(set(unused) - set(slots))), len(slots))


def save_weights(model: keras.Model, prefix: str | os.PathLike[str]) -> None:
    """Writes the model's weights under their TF1 names."""
    arrays = {
        name: to_tf1(name, keras.ops.convert_to_numpy(variable)) for name, variable in variable_names(model).items()
    }
    write_checkpoint(prefix, arrays)
