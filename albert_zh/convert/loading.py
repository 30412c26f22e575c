"""Stored weights into a model: whether they belong to its config, what matched, what could be taken over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from albert_zh.config import AlbertConfig
from albert_zh.convert.weights import (
    BLOCK,
    CLASSIFIER_KERNEL,
    PROJECTION_BRIGHTMART,
    PROJECTION_GOOGLE,
    SPAN_KERNEL,
    TAGGER_KERNEL,
    TRANSPOSED,
    WORD,
    Stored,
    block_scope,
    family_of,
    from_tf1,
    variable_names,
)
from albert_zh.files import InputError

#: More classes than any task has, and fewer than would fill a machine's memory.
MAX_CLASSES = 100_000
#: Width to head counts of the published networks.
PUBLISHED_HEADS = {312: (12,), 384: (12,), 768: (12,), 1024: (16,), 2048: (16, 32), 4096: (16, 64)}


def adapt_config(config: AlbertConfig, stored: Stored) -> AlbertConfig:
    """The config with the checkpoint's family, after comparing everything the checkpoint can tell.

    The number of layers and ``ln_type`` leave no trace in most files, the head count in few: those stay as the JSON
    says.

    Raises:
        InputError: a size differs; family, variable and both shapes are named.
    """
    listed, where = stored.shapes, stored.where
    family = family_of(listed, where)
    if family != config.family:
        changes: dict[str, Any] = {"family": family}
        if family == "brightmart":
            changes |= {"num_hidden_groups": 1, "inner_group_num": 1}
        else:
            changes["ln_type"] = "postln"
        config = config.replace(**changes)
    # All of it before a model is built: a config of a few bytes can ask for any amount of memory.
    expected = encoder_shapes(config)
    for name, shape in expected.items():
        if name in listed and tuple(listed[name]) != shape:
            raise _another_size(where, family, name, listed[name], shape)
    absent = [name for name in expected if name not in listed and not name.startswith("bert/pooler/")]
    beyond = sorted(name for name in listed if name.startswith("bert/encoder/") and name not in expected)
    if absent or beyond:
        raise _another_network(where, family, absent, beyond)
    for name in (CLASSIFIER_KERNEL, SPAN_KERNEL, TAGGER_KERNEL):
        kernel = listed.get(name)
        if kernel is not None and (len(kernel) != 2 or kernel[1] != config.hidden_size):
            raise _another_size(where, family, name, kernel, (*kernel[:1], config.hidden_size))
        if kernel is not None and not 1 <= kernel[0] <= MAX_CLASSES:
            raise InputError(f"{where}: its classifier has {kernel[0]:,} classes; 1 to {MAX_CLASSES:,} can be used.")
    for name, (value, told_by) in stored.known.items():
        if getattr(config, name) != value:
            raise InputError(
                f"{where}: {family} checkpoint of a network with {name} {value} ({told_by}), the config says "
                f"{getattr(config, name)}. Use the JSON that came with the checkpoint."
            )
    return config


def encoder_shapes(config: AlbertConfig) -> dict[str, tuple[int, ...]]:
    """TF1 name to shape of the encoder's arrays, the pooler's among them; no network is built."""
    width, hidden, inner = config.embedding_size, config.hidden_size, config.intermediate_size
    added = hidden if config.family == "brightmart" else width
    shapes: dict[str, tuple[int, ...]] = {
        WORD: (config.vocab_size, width),
        "bert/embeddings/position_embeddings": (config.max_position_embeddings, added),
        "bert/embeddings/token_type_embeddings": (config.type_vocab_size, added),
    }
    norms = {"bert/embeddings/LayerNorm": added}
    dense = {"bert/pooler/dense": (hidden, hidden)}
    if config.family == "brightmart":
        shapes[PROJECTION_BRIGHTMART] = (width, hidden)
    else:
        dense[PROJECTION_GOOGLE] = (width, hidden)
    for group in range(config.num_hidden_groups):
        for number in range(config.inner_group_num):
            scope = block_scope(config.family, group, number)
            for layer, brightmart, google in BLOCK:
                name = f"{scope}/{brightmart if config.family == 'brightmart' else google}"
                if layer.endswith("norm"):
                    norms[name] = hidden
                else:
                    dense[name] = {"intermediate": (hidden, inner), "output": (inner, hidden)}.get(
                        layer, (hidden, hidden)
                    )
    for name, (rows, columns) in dense.items():
        shapes |= {f"{name}/kernel": (rows, columns), f"{name}/bias": (columns,)}
    for name, size in norms.items():
        shapes |= {f"{name}/gamma": (size,), f"{name}/beta": (size,)}
    return shapes


def _another_network(where: str, family: str, absent: list[str], beyond: list[str]) -> InputError:
    what = f"without {absent[0]}" if absent else f"with {beyond[0]}"
    return InputError(
        f"{where}: {family} checkpoint {what} (and {len(absent or beyond) - 1} more of the encoder). "
        "It belongs to a network with other layers or groups: use the JSON that came with it."
    )


def _another_size(where: str, family: str, name: str, got: Iterable[int], expected: Iterable[int]) -> InputError:
    return InputError(
        f"{where}: {family} checkpoint of another size: {name} is {list(got)}, the config says {list(expected)}. "
        "Use the JSON that came with the checkpoint."
    )


@dataclass(frozen=True)
class LoadReport:
    """What matched when weights were loaded.

    Attributes:
        source: what was loaded.
        loaded: TF1 names of the model's arrays that came from it.
        missing: those that did not and are freshly initialised.
        unused: names in it that the model has no place for.
        slots: number of optimizer slots and counters passed over.
        doubt: what in the config is unlike the published networks, although nothing in the weights tells.
    """

    source: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    slots: int = 0
    doubt: str = ""

    def __str__(self) -> str:
        lines = [f"{self.source}: {len(self.loaded)} arrays loaded, {self.slots} optimizer slots passed over"]
        if self.missing:
            lines.append(f"  not in it, freshly initialised ({len(self.missing)}): {', '.join(self.missing)}")
        if self.unused:
            lines.append(f"  in it, not used here ({len(self.unused)}): {', '.join(self.unused)}")
        if self.doubt:
            lines.append(f"  note: {self.doubt}")
        return "\n".join(lines)


def assign(model: keras.Model, stored: Stored) -> LoadReport:
    """Gives the model every array the file has for it.

    Raises:
        InputError: a shape differs, a value is not finite, an encoder array is missing, or a file is damaged.
    """
    where, listed = stored.where, stored.shapes
    family = family_of(listed, where)
    variables = variable_names(model)
    if family != model.config.family:
        raise InputError(f"{where}: a {family} checkpoint, but the model is of the {model.config.family} family.")
    loaded = [name for name in variables if name in listed]
    missing = tuple(name for name in variables if name not in listed)
    unused = [name for name in listed if name not in variables]
    absent = [name for name in missing if name.startswith("bert/") and not name.startswith("bert/pooler/")]
    beyond = sorted(name for name in unused if name.startswith("bert/encoder/"))
    if absent or beyond:
        raise _another_network(where, family, absent, beyond)
    for name in loaded:  # before the data is read: a mismatch is told at once
        if tuple(listed[name]) != (shape := _stored_shape(name, variables[name])):
            raise _another_size(where, family, name, listed[name], shape)
    arrays = stored.read(loaded)
    for name in loaded:
        variables[name].assign(from_tf1(name, _finite(arrays.pop(name), name, where)))
    unused = (*sorted(unused), *stored.foreign)
    return LoadReport(where, tuple(loaded), missing, unused, stored.slots, _doubt(model.config, stored))


def _doubt(config: AlbertConfig, stored: Stored) -> str:
    """A note where the config's head count is none of a published network of its width; empty otherwise.

    Another head count loads without an error and computes other numbers: no array tells it.
    """
    published = PUBLISHED_HEADS.get(config.hidden_size, ())
    told = stored.config is not None or "num_attention_heads" in stored.known
    if told or not published or config.num_attention_heads in published:
        return ""
    return (
        f"the config says num_attention_heads {config.num_attention_heads}; published models of hidden_size "
        f"{config.hidden_size} have {' or '.join(map(str, published))}. The weights do not tell, and with another "
        "number the model computes something else."
    )


def _finite(array: np.ndarray, name: str, where: str) -> np.ndarray:
    if not np.isfinite(array).all():
        raise InputError(f"{where}: {name} holds values that are not finite. The checkpoint is damaged.")
    return array


def warm_start(model: keras.Model, config: AlbertConfig, stored: Stored) -> LoadReport:
    """Gives a model of another size or family what has the same place and the same shape in the file.

    A group of the model takes the group that runs at the same depth of the file's network, by google's rule
    ``int(layer / num_hidden_layers * num_hidden_groups)``; so a network with a group for each layer begins as the one
    that shared a group among them, and computes the same.

    Args:
        model: to be filled; what finds nothing keeps its initial values.
        config: of the network in the file.
        stored: the file.

    Raises:
        InputError: no block of the encoder fits, or a value is not finite.
    """
    variables = variable_names(model)
    origins = _origins(model.config, config)
    taken: dict[str, str] = {}
    for name, variable in variables.items():
        origin = origins.get(name, name)
        if tuple(stored.shapes.get(origin, ())) == _stored_shape(name, variable):
            taken[name] = origin
    if not any(name.startswith(("bert/encoder/layer_shared/", "bert/encoder/transformer/")) for name in taken):
        raise InputError(
            f"{stored.where}: nothing of its layers fits the config (hidden size {config.hidden_size} and "
            f"{model.config.hidden_size}, feed-forward {config.intermediate_size} and "
            f"{model.config.intermediate_size}). Layers can be taken over only at the same width."
        )
    arrays = stored.read(sorted(set(taken.values())))
    for name, origin in taken.items():
        variables[name].assign(from_tf1(name, _finite(arrays[origin], origin, stored.where)))
    unused = sorted(set(stored.shapes) - set(taken.values()))
    missing = tuple(name for name in variables if name not in taken)
    names = ("num_attention_heads", "hidden_act", "ln_type")
    other = [
        f"{name} is {mine}, was {its}"
        for name in names
        if (mine := getattr(model.config, name)) != (its := getattr(config, name))
    ]
    doubt = f"the weights were trained for another network: {'; '.join(other)}." if other else ""
    return LoadReport(stored.where, tuple(taken), missing, (*unused, *stored.foreign), stored.slots, doubt)


def _origins(target: AlbertConfig, source: AlbertConfig) -> dict[str, str]:
    """TF1 name in the target to TF1 name of what stands in the same place of the source, where the names differ."""
    names = {PROJECTION_BRIGHTMART: f"{PROJECTION_GOOGLE}/kernel", f"{PROJECTION_GOOGLE}/kernel": PROJECTION_BRIGHTMART}
    if target.family == source.family:
        names = {}
    for group in range(target.num_hidden_groups):
        layer = next(n for n in range(target.num_hidden_layers) if target.group_of(n) == group)
        depth = layer * source.num_hidden_layers // target.num_hidden_layers
        for inner in range(target.inner_group_num):
            mine = block_scope(target.family, group, inner)
            theirs = block_scope(source.family, source.group_of(depth), inner % source.inner_group_num)
            for _, brightmart, google in BLOCK:
                to = brightmart if target.family == "brightmart" else google
                of = brightmart if source.family == "brightmart" else google
                for part in ("kernel", "bias", "gamma", "beta"):
                    names[f"{mine}/{to}/{part}"] = f"{theirs}/{of}/{part}"
    return names


def _stored_shape(name: str, variable: keras.Variable) -> tuple[int, ...]:
    """The shape of a variable as a TF1 checkpoint stores it."""
    shape = tuple(variable.shape)
    return shape[::-1] if name in TRANSPOSED else shape
