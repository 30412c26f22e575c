"""The layouts a model can be written in, and what goes into its folder with the weights."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras

from albert_zh.config import AlbertConfig
from albert_zh.convert import huggingface, keras_file, savedmodel, tensorflow1, tensorflow2
from albert_zh.convert.families import as_family
from albert_zh.convert.weights import variable_names
from albert_zh.files import InputError, atomic_folder, atomic_writer
from albert_zh.locate import CHECKPOINT
from albert_zh.text.huggingface import write_tokenizer_files


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
    model = as_family(model, LAYOUTS[layout].family or model.config.family)
    with atomic_folder(folder) as temporary:
        companions = Companions(vocabulary, lower_case=lower_case, label_names=tuple(label_names))
        write_model(model, temporary, companions, layout=layout)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file, where a folder is to be written. Name another folder.")


def check_place(folder: str | os.PathLike[str], source: str | os.PathLike[str]) -> None:
    """Raises InputError when a model cannot be written to ``folder`` without taking away the folder ``source`` it is
    made from, the working folder, or what a link points to."""
    folder = Path(folder)
    real = folder.resolve()
    if Path(source).resolve().is_relative_to(real):
        raise InputError(f"{folder}: is, or holds, the folder of the source. Name another folder.")
    if Path.cwd().is_relative_to(real):
        raise InputError(f"{folder}: is, or holds, the working folder. Name a new folder in it, such as converted.")
    if folder.is_symlink():
        raise InputError(f"{folder}: is a link, to {real}. Name a folder.")
    _check_folder(folder)


def check_replaceable(folder: str | os.PathLike[str]) -> None:
    """Raises InputError when ``save_pretrained`` would take other files away with the folder it replaces."""
    folder = Path(folder)
    _check_folder(folder)
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
    LAYOUTS[layout].check_heads(layout, variable_names(model) if names is None else names)
    LAYOUTS[layout].write(model, Path(folder), names, companions)


def write_description(
    config: AlbertConfig, folder: str | os.PathLike[str], *, vocabulary: str | os.PathLike[str] | None = None
) -> None:
    """Writes what a checkpoint is of no use without: ``albert_config.json`` and the vocabulary."""
    config.to_json(Path(folder) / "albert_config.json")
    if vocabulary is not None:
        write_vocabulary(vocabulary, folder)


def write_vocabulary(vocabulary: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Copies a vocabulary into a model's folder, under the name by which it is found there."""
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


@dataclass(frozen=True)
class Layout:
    """How a model is written.

    Attributes:
        write: function of model, folder, TF1 names of the arrays (None: all) and companions.
        family: the only one it holds; empty: both.
        refusal: says of a config of that family why the layout cannot hold its model; "" where it can.
        lacks: beginnings of the TF1 names that have no place in it, and what they belong to.
    """

    write: Callable[[keras.Model, Path, Names, Companions], None]
    family: str = ""
    refusal: Callable[[AlbertConfig], str] = lambda _: ""
    lacks: Mapping[str, str] = field(default_factory=dict)

    def check_heads(self, name: str, names: Iterable[str]) -> None:
        """Raises InputError where one of the arrays has no place in the layout, called ``name``."""
        for begin, head in self.lacks.items():
            if any(each.startswith(begin) for each in names):
                raise InputError(
                    f"the layout {name} cannot hold the {head} of this model. Use tf1 or keras, which hold everything."
                )


_TOKEN_HEADS = {"cls/squad/": "span head", "cls/tagging/": "tagging head"}


LAYOUTS = {
    "tf1": Layout(_write_tf1),
    "tf2": Layout(_write_tf2, "google", tensorflow2.refusal, _TOKEN_HEADS),
    "huggingface": Layout(_write_huggingface, "google", huggingface.refusal, {"cls/tagging/crf/": "CRF"}),
    "keras": Layout(_write_keras),
    "savedmodel": Layout(_write_savedmodel, lacks=_TOKEN_HEADS),
}


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
