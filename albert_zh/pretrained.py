"""Finds, loads and saves a model in any layout; says what matched."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from albert_zh.config import AlbertConfig
from albert_zh.convert import huggingface, keras_file, savedmodel, tensorflow1, tensorflow2
from albert_zh.convert.families import as_family
from albert_zh.convert.weights import (
    CLASSIFIER_KERNEL,
    LoadReport,
    Stored,
    adapt_config,
    assign,
    family_of,
    heads_in,
    warm_start,
)
from albert_zh.files import InputError, atomic_folder, atomic_writer, read_json, sha256
from albert_zh.locate import CHECKPOINT, locate
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining, AlbertModel
from albert_zh.text.huggingface import write_tokenizer_files

_CONFIG_PATTERNS = ("albert_config.json", "albert_config*.json", "bert_config.json", "config.json")
#: The shipped configs, in the checkout this code lies in.
_CONFIGS = Path(__file__).parents[1] / "albert_config"
#: SHA-256 of albert_config/vocab.txt, which no model published elsewhere was trained with.
PROJECT_VOCABULARY = "36f6ad3f961da42b2de81fc463de4fdd5c7dc434dcc6873d59b19489085cddfd"
_VOCABULARY_PATTERNS = ("vocab.txt", "vocab_chinese.txt", "vocab*.txt", "*.model")


@dataclass(frozen=True)
class Source:
    """A model found on this disk.

    Attributes:
        stored: its weights.
        folder: what lies beside them lies here.
        config: its shape; the family is the checkpoint's own.
        vocabularies: the vocabulary beside the weights; none or several leave the choice to ``vocabulary_of``.
    """

    stored: Stored
    folder: Path
    config: AlbertConfig
    vocabularies: tuple[Path, ...]

    @property
    def where(self) -> str:
        """What to call it in messages."""
        return self.stored.where

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """TF1 name to shape."""
        return self.stored.shapes

    @property
    def classes(self) -> int | None:
        """Classes of its classifier; None for a model without one."""
        return self.shapes[CLASSIFIER_KERNEL][0] if CLASSIFIER_KERNEL in self.shapes else None

    def fingerprint(self) -> str:
        """What tells these weights from others."""
        return sha256(self.stored.identity)


def find(path: str | os.PathLike[str], config_file: str | os.PathLike[str] | None = None) -> Source:
    """The model that ``path`` stands for; see ``locate.locate`` for what that may be.

    Args:
        path: a folder, a checkpoint's prefix, a file, an archive, a name of the catalogue or an address.
        config_file: the config; left out, the one in the file or beside it.

    Raises:
        InputError: no model, no or several configs, or a config that belongs to another model.
    """
    located = locate(path)
    stored, folders = located.stored, [located.folder, located.folder / "assets"]
    beside = [found for folder in folders if (found := _candidates(folder, _CONFIG_PATTERNS))]
    configs = [Path(config_file)] if config_file else beside[0] if beside else []
    if len(configs) > 1:
        raise _several(configs)
    if stored.config is not None and not config_file:
        config = stored.config
    elif configs:
        values = read_json(configs[0])
        config = AlbertConfig.from_dict(values, where=str(configs[0]))
        stated, family = AlbertConfig.stated_family(values), family_of(stored.shapes, stored.where)
        if stated not in (None, family):
            raise InputError(
                f"{configs[0]}: a config of the {stated} family, but {stored.where} holds weights of the {family} "
                "family, which is another network. Use the JSON that came with the checkpoint."
            )
    elif stored.layout == "savedmodel":
        config = savedmodel.infer_config(located.folder, stored)
    else:
        raise InputError(
            f"{located.folder}: no config beside the checkpoint (looked for {', '.join(_CONFIG_PATTERNS)}). "
            f"Give it with --bert_config_file{_fitting(stored)}."
        )
    vocabularies = [found for folder in folders if (found := _candidates(folder, _VOCABULARY_PATTERNS))]
    refused = REFUSALS.get(stored.layout)
    if refused and (reason := refused(config.replace(family="google", ln_type="postln"))):
        raise InputError(f"{stored.where}: the config is of a network that this layout cannot hold: {reason}.")
    return Source(stored, located.folder, adapt_config(config, stored), tuple(vocabularies[0]) if vocabularies else ())


def _fitting(stored: Stored) -> str:
    """Which shipped configs have the sizes of these weights, to be named in an error."""
    fitting = []
    for file in sorted(_CONFIGS.glob("albert_config_*.json")):
        with contextlib.suppress(InputError):
            config = AlbertConfig.from_json(file)
            if adapt_config(config, stored).family == config.family:
                fitting.append(str(file))
    return f"; of this size are {', '.join(fitting)}" if fitting else ""


def _candidates(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """The files of the first pattern that fits any."""
    return next((found for pattern in patterns if (found := sorted(folder.glob(pattern)))), [])


def _several(files: Sequence[Path]) -> InputError:
    names = ", ".join(file.name for file in files)
    return InputError(f"{files[0].parent}: several files could be meant: {names}. Name one with its flag.")


def vocabulary_of(source: Source | None, given: str | os.PathLike[str] | None, flag: str = "--vocab_file") -> Path:
    """The vocabulary to use: the checkpoint's own; what the user gave must be the same or the only one.

    Of several beside the checkpoint it is the one that equals what the user gave.

    Raises:
        InputError: none anywhere, several and none given, two that differ (the hashes are named), or this project's
            vocabulary for a checkpoint without one: published models have another of the same size, and nothing else
            would tell.
    """
    own = source.vocabularies if source else ()
    if given and not os.path.isfile(given):
        raise InputError(f"{flag}={given}: no such file. Give the vocabulary the checkpoint was trained with.")
    if len(own) > 1 and not given:
        raise _several(own)
    same = [path for path in own if not given or sha256(path) == sha256(given)]
    if own and not same:
        named = " or ".join(f"{path} (sha256 {sha256(path)[:12]})" for path in own)
        advice = f"leave {flag} out" if len(own) == 1 else "name one of these"
        raise InputError(
            f"{flag}={given} (sha256 {sha256(given)[:12]}) is not the vocabulary of the checkpoint, {named}. "
            f"Ids would mean other characters: {advice}."
        )
    if source and not own and given and sha256(given) == PROJECT_VOCABULARY:
        raise InputError(
            f"{source.folder}: no vocabulary beside the checkpoint, and {flag}={given} is this project's own, which no "
            "model published elsewhere was trained with. Put the vocabulary that belongs to the model into "
            f"{source.folder} as vocab.txt (if it was trained here with this one, copy this one there)."
        )
    if not own and not given:
        raise InputError(f"no vocabulary: none lies beside the checkpoint and {flag} is not given.")
    return same[0] if same else Path(given)


def load_pretrained(
    path: str | os.PathLike[str],
    config_file: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> keras.Model:
    """A published or own model as a Keras model, with the heads it was saved with.

    Args:
        path: a folder, a checkpoint's prefix, a file of a model, a ``.zip`` or ``.tar.gz``, a name of the catalogue, or
            an http address of an archive; any layout of ``LAYOUTS``.
        config_file: the config; left out, the one in the file or beside it.
        seed: of weights that the checkpoint lacks.
        say: gets the report of what matched.

    Returns:
        ``AlbertForClassification`` for a fine-tuned checkpoint, else ``AlbertForPretraining``.

    Raises:
        InputError: missing, damaged or mismatched files; the message names file, family, variable and shapes.
    """
    model, report = load(find(path, config_file), seed=seed)
    say(str(report))
    return model


def load(source: Source, *, seed: int = 0, bare: bool = False) -> tuple[keras.Model, LoadReport]:
    """The model of a source, and what matched.

    Args:
        source: as ``find`` returns it.
        seed: of weights that it lacks.
        bare: a source without any head gives ``AlbertModel``, not ``AlbertForPretraining`` with fresh heads.
    """
    if source.classes:
        model = AlbertForClassification(source.config, source.classes, seed=seed)
    elif bare and not heads_in(source.shapes).keys() & {"masked-LM head", "sentence-order head"}:
        model = AlbertModel(source.config, seed=seed)
    else:
        model = AlbertForPretraining(source.config, seed=seed)
    return model, assign(model, source.stored)


def fill(model: keras.Model, source: Source, *, warm: bool = False) -> LoadReport:
    """Gives a model the weights of a source; ``warm``: only those that fit, see ``convert.weights.warm_start``.

    Raises:
        InputError: they do not fit the model (``warm``: none of them does), or cannot be read.
    """
    return warm_start(model, source.config, source.stored) if warm else assign(model, source.stored)


# ---------------------------------------------------------------------------------------------------------------------
# Save


@dataclass(frozen=True)
class Companions:
    """What goes with the weights into a model's folder.

    Attributes:
        vocabulary: copied beside the weights, under the name the layout has for it.
        lower_case: whether its tokenizer lower-cases.
        label_names: of a classifier's classes, in their order.
        root: of a ``tf2`` checkpoint's keys, "encoder" or "model".
        checkpoint: name of a ``tf2`` checkpoint, to which "-1" is added.
    """

    vocabulary: str | os.PathLike[str] | None = None
    lower_case: bool = True
    label_names: tuple[str, ...] = ()
    root: str = "encoder"
    checkpoint: str = tensorflow2.CHECKPOINT


def save_pretrained(
    model: keras.Model,
    folder: str | os.PathLike[str],
    *,
    vocabulary: str | os.PathLike[str] | None = None,
    layout: str = "tf1",
    lower_case: bool = True,
    label_names: Sequence[str] = (),
) -> None:
    """Writes a model's folder, complete or not at all: weights, config, vocabulary.

    Args:
        model: of this package; a brightmart model goes into ``tf2`` and ``huggingface`` as the google model that
            computes the same (``convert.families``).
        folder: new, empty, or holding a model and nothing else, which is replaced.
        vocabulary: copied beside the weights, under the name that ``find`` knows.
        layout: a name of ``LAYOUTS``.
        lower_case: whether the vocabulary is of lower-cased text; told to Hugging Face's tokenizer.
        label_names: of a classifier's classes; told to Hugging Face's config.

    Raises:
        InputError: an unknown layout, one that cannot hold the model (the reason is given), a folder that holds other
            files, or one that cannot be written.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout {layout!r}: not one of {', '.join(LAYOUTS)}.")
    check_replaceable(folder)
    model = as_family(model, FAMILIES_HELD.get(layout, model.config.family))
    with atomic_folder(folder) as temporary:
        companions = Companions(vocabulary, lower_case=lower_case, label_names=tuple(label_names))
        write_model(model, temporary, companions, layout=layout)


def check_replaceable(folder: str | os.PathLike[str]) -> None:
    """Raises InputError when ``save_pretrained`` would take other files away with the folder it replaces."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file, where a folder is to be written. Name another folder.")
    others = sorted(str(file.relative_to(folder)) for file in _not_of_a_model(folder))
    if others:
        raise InputError(
            f"{folder}: would be replaced by the model, but holds other files ({', '.join(others[:3])}"
            f"{' …' if len(others) > 3 else ''}). Name a new folder."
        )


def write_model(
    model: keras.Model,
    folder: str | os.PathLike[str],
    companions: Companions = Companions(),
    *,
    layout: str = "tf1",
    names: Collection[str] | None = None,
) -> None:
    """Adds a model's files to a folder that is being filled.

    Args:
        model: of a family that the layout holds.
        folder: exists.
        companions: what goes with the weights.
        layout: a name of ``LAYOUTS``.
        names: the arrays to write, by TF1 name; left out, all.
    """
    LAYOUTS[layout](model, Path(folder), names, companions)


def write_description(
    config: AlbertConfig, folder: str | os.PathLike[str], *, vocabulary: str | os.PathLike[str] | None = None
) -> None:
    """Writes what a checkpoint is of no use without: ``albert_config.json`` and the vocabulary."""
    config.to_json(Path(folder) / "albert_config.json")
    if vocabulary is not None:
        name = "spm.model" if Path(vocabulary).suffix == ".model" else "vocab.txt"
        with open(vocabulary, "rb") as source, atomic_writer(Path(folder) / name, "wb") as target:
            shutil.copyfileobj(source, target)


Names = Collection[str] | None


def _write_tf1(model: keras.Model, folder: Path, names: Names, companions: Companions) -> None:
    tensorflow1.save_weights(model, folder / CHECKPOINT, names)
    write_description(model.config, folder, vocabulary=companions.vocabulary)


def _write_tf2(model: keras.Model, folder: Path, names: Names, companions: Companions) -> None:
    tensorflow2.write(model, folder, names, root=companions.root, name=companions.checkpoint)
    write_description(model.config, folder, vocabulary=companions.vocabulary)


def _write_huggingface(model: keras.Model, folder: Path, names: Names, companions: Companions) -> None:
    huggingface.write(model, folder, names, label_names=companions.label_names)
    if companions.vocabulary is not None:
        write_tokenizer_files(
            folder,
            Path(companions.vocabulary),
            lower_case=companions.lower_case,
            max_length=model.config.max_position_embeddings,
        )


def _write_keras(model: keras.Model, folder: Path, names: Names, companions: Companions) -> None:
    keras_file.write(model, folder)
    write_description(model.config, folder, vocabulary=companions.vocabulary)


def _write_savedmodel(model: keras.Model, folder: Path, names: Names, companions: Companions) -> None:
    write_description(model.config, folder, vocabulary=companions.vocabulary)
    savedmodel.write(model, folder, names, vocabulary=companions.vocabulary, lower_case=companions.lower_case)


#: How a model can be written: name to a function of model, folder, TF1 names of the arrays and companions.
LAYOUTS = {
    "tf1": _write_tf1,
    "tf2": _write_tf2,
    "huggingface": _write_huggingface,
    "keras": _write_keras,
    "savedmodel": _write_savedmodel,
}
#: Layouts that hold one family only.
FAMILIES_HELD = {"tf2": "google", "huggingface": "google"}
#: What says of a config of that family why a layout cannot hold its model.
REFUSALS = {"tf2": tensorflow2.refusal, "huggingface": huggingface.refusal}


def _not_of_a_model(folder: Path) -> Iterator[Path]:
    """Files and folders in a folder that no layout writes."""
    saved_model = (folder / "saved_model.pb").is_file()
    for path in folder.glob("*"):
        if path.is_dir() and saved_model and path.name in _OWN_FOLDERS:
            yield from (file for file in path.rglob("*") if not _OWN_FOLDERS[path.name].match(file.name))
        elif path.is_dir() or not _OWN_FILE.match(path.name):
            yield path


#: The folders of a SavedModel, and the files that lie in them.
_OWN_FOLDERS = {
    "variables": re.compile(r"variables\.(index|data-\d{5}-of-\d{5})$"),
    "assets": re.compile(r"vocab\w*\.txt$|[\w.-]+\.model$|albert_config\.json$"),
}
#: What the layouts write, and what belongs to a fine-tuned model.
_OWN_FILE = re.compile(
    r".*\.ckpt(-\d+)?\.(index|meta|data-\d{5}-of-\d{5})$|(albert_config|config|tokenizer|tokenizer_config|"
    r"special_tokens_map|task)\.json$|vocab\.txt$|(spm|spiece)\.model$|model\.(safetensors|keras)$|"
    r"(saved_model|fingerprint)\.pb$"
)
