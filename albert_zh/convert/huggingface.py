"""Hugging Face's layout of an ALBERT: ``model.safetensors`` or ``pytorch_model.bin``, and ``config.json``.

Its network is google's (the names below are those of its ``AlbertModel``); kernels lie transposed. The names of the
heads are those of ``AlbertForPreTraining`` and ``AlbertForSequenceClassification``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
import safetensors
import safetensors.numpy

from albert_zh.config import AlbertConfig
from albert_zh.convert.torch_file import read_arrays
from albert_zh.convert.weights import Stored, arrays_of, block_scope, heads_in
from albert_zh.files import InputError, write_json

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
)
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


def _parts(theirs: str, ours: str) -> list[tuple[str, str]]:
    """(their name, TF1 name) of each array of a layer; of a name of one array itself."""
    if theirs.endswith((".weight", ".bias")):
        return [(theirs, ours)]
    parts = ("gamma", "beta") if "LayerNorm" in ours else ("kernel", "bias")
    return [(f"{theirs}.weight", f"{ours}/{parts[0]}"), (f"{theirs}.bias", f"{ours}/{parts[1]}")]


def _table(groups: int, inner: int) -> dict[str, str]:
    """Their name to TF1 name."""
    pairs = list(_REST)
    for group in range(groups):
        for block in range(inner):
            scope = block_scope("google", group, block)
            begin = f"albert.encoder.albert_layer_groups.{group}.albert_layers.{block}"
            pairs += [(f"{begin}.{theirs}", f"{scope}/{ours}") for theirs, ours in _BLOCK]
    return dict(part for pair in pairs for part in _parts(*pair))


# ---------------------------------------------------------------------------------------------------------------------
# Read


def open_stored(file: str | os.PathLike[str]) -> Stored:
    """The weights of a ``.safetensors`` file, of which only the header is read, or of a ``.bin``, read whole.

    Raises:
        InputError: the file is missing, damaged, or would have to run something to be read.
    """
    file = Path(file)
    if file.suffix == ".safetensors":
        shapes, load = _open_safetensors(file)
    else:
        arrays = read_arrays(file)
        shapes = {name: array.shape for name, array in arrays.items()}

        def load(names: Iterable[str]) -> dict[str, np.ndarray]:
            return {name: arrays[name] for name in names}

    standard = {_standard(name): name for name in shapes}
    groups, inner = (
        1 + max((int(name.split(".")[at]) for name in standard if f"{what}." in name), default=0)
        for what, at in (("albert_layer_groups", 3), ("albert_layers", 5))
    )
    held = {ours: theirs for theirs, ours in _table(groups, inner).items() if theirs in standard}
    copies = [name for name in _COPIES if name in standard and _COPIES[name] in standard]
    used = {*held.values(), *copies, *_TABLES}

    def read(wanted: Iterable[str]) -> dict[str, np.ndarray]:
        wanted = list(wanted)
        names = {name: standard[held[name]] for name in wanted}
        found = load([*names.values(), *(standard[n] for copy in copies for n in (copy, _COPIES[copy]))])
        for copy in copies:
            if not np.array_equal(found[standard[copy]], found[standard[_COPIES[copy]]]):
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


def _open_safetensors(file: Path):
    """(name to shape, function that reads arrays by name)."""
    advice = "Download or copy it again."
    try:
        with safetensors.safe_open(file, framework="np") as opened:
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file.") from error
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(f"{file}: not a safetensors file, cut off or damaged ({error}). {advice}") from error

    def load(names: Iterable[str]) -> dict[str, np.ndarray]:
        with safetensors.safe_open(file, framework="np") as opened:
            return {name: opened.get_tensor(name) for name in names}

    return shapes, load


def _standard(name: str) -> str:
    """The name ``AlbertForPreTraining`` has for an array: an encoder saved alone has no ``albert.`` in front."""
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
        label_names: of a classifier's classes, in their order.

    Returns:
        The names of the files.

    Raises:
        InputError: Hugging Face's network cannot be this one.
    """
    config = model.config
    if reason := refusal(config):
        raise InputError(f"the Hugging Face layout cannot hold this model: {reason}.")
    arrays = arrays_of(model, names)
    table = {ours: theirs for theirs, ours in _table(config.num_hidden_groups, config.inner_group_num).items()}
    tensors = {
        table[name]: np.ascontiguousarray(array.T if name.endswith("/kernel") else array)
        for name, array in arrays.items()
    }
    safetensors.numpy.save_file(tensors, folder / WEIGHTS[0], metadata={"format": "pt"})
    write_json(folder / "config.json", config_json(config, arrays, label_names))
    return WEIGHTS[0], "config.json"


def config_json(config: AlbertConfig, names: Collection[str], label_names: Sequence[str] = ()) -> dict:
    """The content of ``config.json`` for a model with these arrays (TF1 names)."""
    heads = heads_in(names)
    if "classifier" in heads:
        architecture = "AlbertForSequenceClassification"
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
        **(
            {
                "id2label": {str(number): name for number, name in enumerate(label_names)},
                "label2id": {name: number for number, name in enumerate(label_names)},
            }
            if label_names
            else {}
        ),
    }
