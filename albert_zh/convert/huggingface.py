"""Hugging Face's layout of an ALBERT: ``model.safetensors`` or ``pytorch_model.bin``, and ``config.json``.

Its network is google's (the names below are those of its ``AlbertModel``); kernels lie transposed. The names of the
heads are those of ``AlbertForPreTraining`` and ``AlbertForSequenceClassification``.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import safetensors
import safetensors.numpy

from albert_zh.config import AlbertConfig
from albert_zh.convert.torch_file import read_arrays
from albert_zh.convert.weights import (
    CLASSIFIER_KERNEL,
    SPAN_BIAS,
    SPAN_KERNEL,
    TAGGER_BIAS,
    TAGGER_KERNEL,
    Stored,
    arrays_of,
    block_scope,
    heads_in,
)
from albert_zh.files import InputError, read_json, umask, write_json

#: Weights files, the one preferred first.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_ACTIVATIONS = {"gelu": "gelu_new", "gelu_exact": "gelu"}  # its plain "gelu" is the error-function form
_REST = (
    ("albert.embeddings.word_embeddings.weight", "bert/embeddings/word_embeddings"),
    ("albert.embeddings.position_embeddings.weight", "bert/embeddings/position_embeddings"),
    ("albert.embeddings.token_type_embeddings.weight", "bert/embeddings/token_type_embeddings"),
    ("albert.embeddings.LayerNorm", "bert/embeddings/LayerNorm"),
    ("albert.encoder.embedding_hidden_mapping_in", "bert/encoder/embedding_hidden_mapping_in"),
    ("albert.pooler", "bert/pooler/dense"),
    ("predictions.dense", "cls/predictions/transform/dense"),
    ("predictions.LayerNorm", "cls/predictions/transform/LayerNorm"),
    ("predictions.bias", "cls/predictions/output_bias"),
    ("sop_classifier.classifier.weight", "cls/seq_relationship/output_weights"),
    ("sop_classifier.classifier.bias", "cls/seq_relationship/output_bias"),
    ("classifier.weight", "output_weights"),
    ("classifier.bias", "output_bias"),
    ("qa_outputs.weight", SPAN_KERNEL),
    ("qa_outputs.bias", SPAN_BIAS),
)
#: The head of a model for tokens has the names of one for sequences; config.json tells them apart.
_OF_TOKENS = {"classifier.weight": TAGGER_KERNEL, "classifier.bias": TAGGER_BIAS}
_TOKEN_CLASSIFIER = "AlbertForTokenClassification"
_BLOCK = (
    ("attention.query", "attention_1/self/query"),
    ("attention.key", "attention_1/self/key"),
    ("attention.value", "attention_1/self/value"),
    ("attention.dense", "attention_1/output/dense"),
    ("attention.LayerNorm", "LayerNorm"),
    ("ffn", "ffn_1/intermediate/dense"),
    ("ffn_output", "ffn_1/intermediate/output/dense"),
    ("full_layer_layer_norm", "LayerNorm_1"),
)
#: Second copies of the word embedding and of the masked-LM bias, and a table of numbers: nothing to load.
_COPIES = {
    "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
    "predictions.decoder.bias": "predictions.bias",
}
_TABLES = ("albert.embeddings.position_ids", "albert.embeddings.token_type_ids")
_IN_BLOCK = re.compile(r"albert\.encoder\.albert_layer_groups\.([0-9]{1,4})\.albert_layers\.([0-9]{1,4})\.")
_IN_BERT = re.compile(r"(.+\.)?encoder\.layer\.[0-9]+\.")
#: What safetensors calls the numbers that a weight can be; others are quantised, and of no use without their scales.
_FLOATS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


def _parts(theirs: str, ours: str) -> list[tuple[str, str]]:
    """(their name, TF1 name) of each array of a layer; of a name of one array itself."""
    if theirs.endswith((".weight", ".bias")):
        return [(theirs, ours)]
    parts = ("gamma", "beta") if "LayerNorm" in ours else ("kernel", "bias")
    return [(f"{theirs}.weight", f"{ours}/{parts[0]}"), (f"{theirs}.bias", f"{ours}/{parts[1]}")]


def _table(blocks: Iterable[tuple[int, int]], tokens: bool) -> dict[str, str]:
    """Their name to TF1 name, for a network of these (group, block in it); ``tokens``: its classifier tags tokens."""
    pairs = [(theirs, _OF_TOKENS.get(theirs, ours) if tokens else ours) for theirs, ours in _REST]
    for group, block in blocks:
        scope = block_scope("google", group, block)
        begin = f"albert.encoder.albert_layer_groups.{group}.albert_layers.{block}"
        pairs += [(f"{begin}.{theirs}", f"{scope}/{ours}") for theirs, ours in _BLOCK]
    return dict(part for pair in pairs for part in _parts(*pair))


# ---------------------------------------------------------------------------------------------------------------------
# Read


def open_stored(file: str | os.PathLike[str]) -> Stored:
    """The weights of a ``.safetensors`` file, of which only the header is read, or of a ``.bin``, read whole.

    Raises:
        InputError: the file is missing, damaged, of another network than ALBERT's, quantised, or would have to run
            something to be read.
    """
    file = Path(file)
    if file.suffix == ".safetensors":
        shapes, kinds = _listed(file)

        def load(names: Iterable[str]) -> dict[str, np.ndarray]:
            with _opened(file) as opened:
                return {name: opened.get_tensor(name) for name in names}

    else:
        arrays = read_arrays(file)
        shapes = {name: array.shape for name, array in arrays.items()}
        kinds = {name: array.dtype.name for name, array in arrays.items()}

        def load(names: Iterable[str]) -> dict[str, np.ndarray]:
            return {name: arrays[name] for name in names}

    standard = _by_standard_name(shapes, file)
    blocks = {(int(found[1]), int(found[2])) for name in standard if (found := _IN_BLOCK.match(name))}
    table = _table(sorted(blocks), _tags_tokens(file.with_name("config.json")))
    held = {ours: theirs for theirs, ours in table.items() if theirs in standard}
    copies = [name for name in _COPIES if name in standard and _COPIES[name] in standard]
    used = {*held.values(), *copies, *_TABLES}
    if not blocks:
        raise _not_an_albert(shapes, file)
    for name in (*held.values(), *copies):
        _check(standard[name], shapes[standard[name]], kinds[standard[name]], file)

    def read(wanted: Iterable[str]) -> dict[str, np.ndarray]:
        wanted = list(wanted)
        names = {name: standard[held[name]] for name in wanted}
        found = load({*names.values(), *(standard[n] for copy in copies for n in (copy, _COPIES[copy]))})
        for copy in copies:
            if not np.array_equal(found[standard[copy]], found[standard[_COPIES[copy]]], equal_nan=True):
                raise InputError(
                    f"{file}: {standard[copy]} is not the same as {standard[_COPIES[copy]]}: its masked-LM head is "
                    "not tied to the word embedding, which an ALBERT's is."
                )
        return {
            name: np.ascontiguousarray(
                (found[names[name]].T if name.endswith("/kernel") else found[names[name]]).astype(np.float32)
            )
            for name in wanted
        }

    return Stored(
        layout="huggingface",
        where=str(file),
        identity=file,
        shapes={
            name: tuple(reversed(shapes[standard[theirs]])) if name.endswith("/kernel") else shapes[standard[theirs]]
            for name, theirs in held.items()
        },
        read=read,
        foreign=tuple(sorted(standard[name] for name in standard if name not in used)),
    )


def _tags_tokens(config: Path) -> bool:
    """Whether the config beside the weights says that the classifier is one of tokens."""
    with contextlib.suppress(InputError):  # what is wrong with it is said where it is read for good
        values = read_json(config) if config.is_file() else {}
        return isinstance(values, dict) and values.get("architectures") == [_TOKEN_CLASSIFIER]
    return False


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        with safetensors.safe_open(file, framework="np") as opened:
            yield opened
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file.") from error
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(
            f"{file}: not a safetensors file, cut off or damaged ({error}). Download or copy it again."
        ) from error


def _listed(file: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Shapes, and kinds of number, by name."""
    with _opened(file) as opened:
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
        return (
            {name: tuple(held.get_shape()) for name, held in slices.items()},
            {name: _FLOATS.get(held.get_dtype(), held.get_dtype()) for name, held in slices.items()},
        )


def _by_standard_name(names: Iterable[str], file: Path) -> dict[str, str]:
    """The name ``AlbertForPreTraining`` has for an array, to the name in the file."""
    standard: dict[str, str] = {}
    for name in names:
        other = standard.setdefault(_standard(name), name)
        if other != name:
            raise InputError(f"{file}: holds {other} and {name}, which are two names of one array. Take one out.")
    return standard


def _not_an_albert(names: Collection[str], file: Path) -> InputError:
    bert = min((name for name in names if _IN_BERT.match(name)), default="")
    if bert:
        return InputError(f"{file}: this is a BERT or one of its kin ({bert}), not an ALBERT. Give an ALBERT.")
    some = ", ".join(sorted(names)[:3])
    return InputError(f"{file}: no ALBERT; it holds {f'{some} …' if some else 'no weights'}. Give an ALBERT.")


def _check(name: str, shape: Sequence[int], kind: str, file: Path) -> None:
    """Raises InputError for what cannot be weights, whatever the network's size."""
    if kind not in _FLOATS.values():
        raise InputError(
            f"{file}: {name} is {kind}, not floating-point numbers: a quantised model. Give the one it was made from."
        )
    dimensions = 1 if name.endswith(("bias", "beta", "gamma", "LayerNorm.weight", "layer_norm.weight")) else 2
    if len(shape) != dimensions:
        raise InputError(f"{file}: {name} is {list(shape)}, not of {dimensions} dimensions. The file is damaged.")


def _standard(name: str) -> str:
    """The name ``AlbertForPreTraining`` has for an array.

    An encoder saved alone has no ``albert.`` in front; one saved out of ``DataParallel`` has ``module.``.
    """
    name = name.removeprefix("module.")
    name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    return f"albert.{name}" if name.startswith(("embeddings.", "encoder.", "pooler.")) else name


# ---------------------------------------------------------------------------------------------------------------------
# Write


def refusal(config: AlbertConfig) -> str | None:
    """Why Hugging Face's network cannot be this one; None when it can."""
    if config.family != "google":
        return "its network is google's"
    layers, groups = config.num_hidden_layers, config.num_hidden_groups
    if any(config.group_of(layer) != int(layer / (layers / groups)) for layer in range(layers)):
        return (
            f"with {groups} groups of {layers} layers it rounds the number of a layer's group another way than the "
            "published code"
        )
    return None


def write(
    model: keras.Model, folder: Path, names: Collection[str] | None = None, *, label_names: Sequence[str] = ()
) -> tuple[str, ...]:
    """Writes ``model.safetensors`` and ``config.json`` into ``folder``.

    Args:
        model: of google's family.
        folder: exists.
        names: the arrays to write, by TF1 name; left out, all.
        label_names: of a classifier's classes, in their order; left out, "LABEL_0" and so on.

    Returns:
        The names of the files.

    Raises:
        InputError: Hugging Face's network cannot be this one, or the names are not as many as the classes.
    """
    config = model.config
    if reason := refusal(config):
        raise InputError(f"the Hugging Face layout cannot hold this model: {reason}.")
    arrays = arrays_of(model, names)
    blocks = [(group, block) for group in range(config.num_hidden_groups) for block in range(config.inner_group_num)]
    table = {ours: theirs for theirs, ours in _table(blocks, TAGGER_KERNEL in arrays).items()}
    tensors = {
        table[name]: np.ascontiguousarray(array.T if name.endswith("/kernel") else array)
        for name, array in arrays.items()
    }
    description = config_json(config, {name: array.shape for name, array in arrays.items()}, label_names)
    try:
        safetensors.numpy.save_file(tensors, folder / WEIGHTS[0], metadata={"format": "pt"})
        os.chmod(folder / WEIGHTS[0], 0o666 & ~umask())  # it writes 0600, which nobody else could read
    except safetensors.SafetensorError as error:
        raise InputError(
            f"{folder}: the model cannot be written ({error}). Check the free space; nothing half-written was left."
        ) from error
    write_json(folder / "config.json", description)
    return WEIGHTS[0], "config.json"


def config_json(
    config: AlbertConfig, shapes: Mapping[str, Sequence[int]], label_names: Sequence[str] = ()
) -> dict[str, Any]:
    """The content of ``config.json`` for a model with arrays of these shapes (TF1 names).

    Raises:
        InputError: there are other than as many label names as classes, or one is there twice.
    """
    heads = heads_in(shapes)
    labels: dict[str, Any] = {}
    if heads.keys() & {"classifier", "tagging head"}:
        tags = "tagging head" in heads
        architecture = _TOKEN_CLASSIFIER if tags else "AlbertForSequenceClassification"
        classes = shapes[TAGGER_KERNEL if tags else CLASSIFIER_KERNEL][0]
        # Never left out: of a config without them transformers makes a classifier of two classes.
        label_names = list(label_names) or [f"LABEL_{number}" for number in range(classes)]
        if len(set(label_names)) != classes or len(label_names) != classes:
            raise InputError(
                f"label names {', '.join(map(repr, label_names))} for a classifier of {classes} classes. "
                "Give each class one name of its own."
            )
        labels = {
            "id2label": {str(number): name for number, name in enumerate(label_names)},
            "label2id": {name: number for number, name in enumerate(label_names)},
        }
    elif "span head" in heads:
        architecture = "AlbertForQuestionAnswering"
    elif "masked-LM head" in heads:
        architecture = "AlbertForPreTraining" if "sentence-order head" in heads else "AlbertForMaskedLM"
    else:
        architecture = "AlbertModel"
    values = {key: value for key, value in config.to_dict().items() if key not in ("family", "ln_type")}
    values["hidden_act"] = _ACTIVATIONS.get(config.hidden_act, config.hidden_act)
    return {
        "architectures": [architecture],
        "model_type": "albert",
        **values,
        "classifier_dropout_prob": 0.1,
        "pad_token_id": 0,
        "tie_word_embeddings": True,
        "dtype": "float32",
        **labels,
    }
