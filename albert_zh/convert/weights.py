"""A model's weights under the names of the published TF1 checkpoints: the one form in which all layouts meet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from albert_zh.config import AlbertConfig
from albert_zh.files import InputError

#: (layer of the Keras block, brightmart's name, google's name).
BLOCK = (
    ("attention/query", "attention/self/query", "attention_1/self/query"),
    ("attention/key", "attention/self/key", "attention_1/self/key"),
    ("attention/value", "attention/self/value", "attention_1/self/value"),
    ("attention/output", "attention/output/dense", "attention_1/output/dense"),
    ("attention_norm", "attention/output/LayerNorm", "LayerNorm"),
    ("intermediate", "intermediate/dense", "ffn_1/intermediate/dense"),
    ("output", "output/dense", "ffn_1/intermediate/output/dense"),
    ("output_norm", "output/LayerNorm", "LayerNorm_1"),
)
WORD = "bert/embeddings/word_embeddings"
#: From E to H: brightmart's has no bias and comes before the other embeddings, google's after them.
PROJECTION_BRIGHTMART = "bert/embeddings/word_embeddings_2"
PROJECTION_GOOGLE = "bert/encoder/embedding_hidden_mapping_in"
SOP_KERNEL, SOP_BIAS = "cls/seq_relationship/output_weights", "cls/seq_relationship/output_bias"
CLASSIFIER_KERNEL, CLASSIFIER_BIAS = "output_weights", "output_bias"
SPAN_KERNEL, SPAN_BIAS = "cls/squad/output_weights", "cls/squad/output_bias"
TAGGER_KERNEL, TAGGER_BIAS = "cls/tagging/output_weights", "cls/tagging/output_bias"
_REST = (
    ("encoder/embeddings/word", WORD),
    ("encoder/embeddings/position", "bert/embeddings/position_embeddings"),
    ("encoder/embeddings/token_type", "bert/embeddings/token_type_embeddings"),
    ("encoder/embeddings/projection/kernel", PROJECTION_BRIGHTMART),
    ("encoder/embeddings/norm", "bert/embeddings/LayerNorm"),
    ("encoder/projection", PROJECTION_GOOGLE),
    ("encoder/pooler", "bert/pooler/dense"),
    ("masked_lm/transform", "cls/predictions/transform/dense"),
    ("masked_lm/norm", "cls/predictions/transform/LayerNorm"),
    ("masked_lm/output_bias", "cls/predictions/output_bias"),
    ("sentence_order/kernel", SOP_KERNEL),
    ("sentence_order/bias", SOP_BIAS),
    ("classifier/kernel", CLASSIFIER_KERNEL),
    ("classifier/bias", CLASSIFIER_BIAS),
    ("span/kernel", SPAN_KERNEL),
    ("span/bias", SPAN_BIAS),
    ("tagger/kernel", TAGGER_KERNEL),
    ("tagger/bias", TAGGER_BIAS),
    ("chain", "cls/tagging/crf"),
)
#: What can be left out of a checkpoint as a whole: its name for people, and how its arrays' names begin.
HEADS = {
    "pooler": ("bert/pooler/",),
    "masked-LM head": ("cls/predictions/",),
    "sentence-order head": ("cls/seq_relationship/",),
    "classifier": (CLASSIFIER_KERNEL, CLASSIFIER_BIAS),
    "span head": ("cls/squad/",),
    "tagging head": ("cls/tagging/",),
}
#: Stored as [classes, H]; Keras keeps kernels as [H, classes].
TRANSPOSED = frozenset({SOP_KERNEL, CLASSIFIER_KERNEL, SPAN_KERNEL, TAGGER_KERNEL})


# ---------------------------------------------------------------------------------------------------------------------
# Names


def block_scope(family: str, group: int, inner: int) -> str:
    """What the names of a block's arrays begin with."""
    if family == "brightmart":
        return "bert/encoder/layer_shared"
    return f"bert/encoder/transformer/group_{group}/inner_group_{inner}"


def variable_names(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's trainable variables under the names of the published TF1 checkpoints."""
    config = model.config
    pairs = list(_REST)
    for group in range(config.num_hidden_groups):
        for inner in range(config.inner_group_num):
            scope = block_scope(config.family, group, inner)
            for layer, brightmart, google in BLOCK:
                theirs = brightmart if config.family == "brightmart" else google
                pairs.append((f"encoder/group_{group}_inner_{inner}/{layer}", f"{scope}/{theirs}"))
    table = dict(pairs)
    names = {}
    for variable in model.trainable_variables:
        path = variable.path.split("/", 1)[1]  # without the model's name
        layer, _, part = path.rpartition("/")
        names[table[path] if path in table else f"{table[layer]}/{part}"] = variable
    return names


def to_tf1(name: str, array: np.ndarray) -> np.ndarray:
    """An array of the Keras model as the checkpoint stores it."""
    return array.T if name in TRANSPOSED else array


from_tf1 = to_tf1  # transposing is its own inverse


def arrays_of(model: keras.Model, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The model's arrays as a TF1 checkpoint stores them; only those of ``names`` if given."""
    return {
        name: to_tf1(name, keras.ops.convert_to_numpy(variable))
        for name, variable in variable_names(model).items()
        if names is None or name in names
    }


def heads_in(names: Iterable[str]) -> dict[str, list[str]]:
    """Which of ``HEADS`` a checkpoint's names hold, with those names; a head of which a part is there is held."""
    listed = list(names)
    found = {head: [name for name in listed if name.startswith(begin)] for head, begin in HEADS.items()}
    return {head: held for head, held in found.items() if held}


# ---------------------------------------------------------------------------------------------------------------------
# What lies in a file


@dataclass(frozen=True)
class Stored:
    """Weights as they lie in a file of some layout.

    Attributes:
        layout: of the file, a name of ``layouts.LAYOUTS``.
        where: what to call it in messages: the checkpoint's prefix or the file.
        identity: the file whose bytes tell these weights from others.
        shapes: TF1 name to shape, as a TF1 checkpoint stores it.
        read: arrays of some of these names.
        slots: number of optimizer slots and counters passed over.
        foreign: names in the file that belong to no part of an ALBERT.
        config: the config, where the layout itself holds it.
        known: config fields the file tells although no shape above does, with where they are told.
    """

    layout: str
    where: str
    identity: Path
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[Iterable[str]], dict[str, np.ndarray]]
    slots: int = 0
    foreign: tuple[str, ...] = ()
    config: AlbertConfig | None = None
    known: Mapping[str, tuple[Any, str]] = field(default_factory=dict)


def family_of(listed: Collection[str], where: str) -> str:
    """Which family a checkpoint's TF1 names belong to.

    Raises:
        InputError: neither family's names are there.
    """
    if PROJECTION_BRIGHTMART in listed:
        return "brightmart"
    if f"{PROJECTION_GOOGLE}/kernel" in listed:
        return "google"
    if "bert/encoder/layer_0/attention/self/query/kernel" in listed:
        raise InputError(f"{where}: this is a BERT checkpoint (layer_0, layer_1 …), not an ALBERT.")
    some = ", ".join(sorted(listed)[:3])
    raise InputError(
        f"{where}: no ALBERT of either family; it holds {f'{some} …' if some else 'no weights'}. "
        "Give a brightmart or google checkpoint."
    )
