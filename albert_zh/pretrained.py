"""Finds a model's files by a path, loads it whatever its family, saves it; says what matched."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from albert_zh.config import AlbertConfig
from albert_zh.convert import tensorflow1
from albert_zh.files import InputError, atomic_folder, atomic_writer, sha256
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining

#: What a finished model's checkpoint is called, as in the published archives.
CHECKPOINT = "albert_model.ckpt"
_CONFIG_PATTERNS = ("albert_config.json", "albert_config*.json", "bert_config.json", "config.json")
#: SHA-256 of albert_config/vocab.txt, which no model published elsewhere was trained with.
PROJECT_VOCABULARY = "36f6ad3f961da42b2de81fc463de4fdd5c7dc434dcc6873d59b19489085cddfd"
_VOCABULARY_PATTERNS = ("vocab.txt", "vocab_chinese.txt", "vocab*.txt", "*.model")


@dataclass(frozen=True)
class Source:
    """Where a model's files are.

    Attributes:
        prefix: of the checkpoint (the path without ``.index``).
        config: its shape; the family is the checkpoint's own.
        vocabularies: the vocabulary beside the checkpoint; none or several leave the choice to ``vocabulary_of``.
        shapes: variable name to shape.
    """

    prefix: str
    config: AlbertConfig
    vocabularies: tuple[Path, ...]
    shapes: dict[str, tuple[int, ...]]


def find(path: str | os.PathLike[str], config_file: str | os.PathLike[str] | None = None) -> Source:
    """The files of the model at ``path``: a folder, a checkpoint prefix or one of its files.

    Args:
        path: a folder with one checkpoint (or with ``albert_model.ckpt``, ``model.ckpt-best`` or numbered ones, of
            which the first of these is taken), a prefix, or a checkpoint's file.
        config_file: the config; left out, the one beside the checkpoint.

    Raises:
        InputError: no checkpoint, no or several configs, or a config that belongs to another model.
    """
    prefix = _preferred(path)
    folder = Path(prefix).parent
    configs = [Path(config_file)] if config_file else _candidates(folder, _CONFIG_PATTERNS)
    if not configs:
        raise InputError(
            f"{folder}: no config beside the checkpoint (looked for {', '.join(_CONFIG_PATTERNS)}). "
            "Give it with --bert_config_file."
        )
    if len(configs) > 1:
        raise _several(configs)
    listed = tensorflow1.shapes(prefix)
    config = tensorflow1.adapt_config(AlbertConfig.from_json(configs[0]), listed, prefix)
    return Source(prefix, config, tuple(_candidates(folder, _VOCABULARY_PATTERNS)), listed)


def _preferred(path: str | os.PathLike[str]) -> str:
    folder = Path(path)
    if folder.is_dir():
        numbered = sorted(folder.glob("model.ckpt-*.index"), key=lambda file: (len(file.name), file.name))
        best = [file for file in (folder / f"{CHECKPOINT}.index", folder / "model.ckpt-best.index") if file.exists()]
        for file in [*best, *reversed(numbered)]:
            return str(file)[: -len(".index")]
    return tensorflow1.find_prefix(path)


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
        folder = Path(source.prefix).parent
        raise InputError(
            f"{folder}: no vocabulary beside the checkpoint, and {flag}={given} is this project's own, which no model "
            f"published elsewhere was trained with. Put the vocabulary that belongs to the model into {folder} as "
            "vocab.txt (if it was trained here with this one, copy this one there)."
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
    """A published or own checkpoint as a Keras model, with the heads it was saved with.

    Args:
        path: a folder, a checkpoint prefix, or one of a checkpoint's files.
        config_file: the config; left out, the one beside the checkpoint.
        seed: of weights that the checkpoint lacks.
        say: gets the report of what matched.

    Returns:
        ``AlbertForClassification`` for a fine-tuned checkpoint, else ``AlbertForPretraining``.

    Raises:
        InputError: missing, damaged or mismatched files; the message names file, family, variable and shapes.
    """
    source = find(path, config_file)
    if "output_weights" in source.shapes:
        model = AlbertForClassification(source.config, source.shapes["output_weights"][0], seed=seed)
    else:
        model = AlbertForPretraining(source.config, seed=seed)
    say(str(tensorflow1.load_weights(model, source.prefix)))
    return model


def save_pretrained(
    model: keras.Model,
    folder: str | os.PathLike[str],
    *,
    vocabulary: str | os.PathLike[str] | None = None,
    layout: str = "tf1",
) -> None:
    """Writes a model's folder, complete or not at all: checkpoint, ``albert_config.json``, vocabulary.

    Args:
        model: of this package.
        folder: new, empty, or holding a model and nothing else, which is replaced.
        vocabulary: copied beside the weights, under the name that ``find`` knows.
        layout: a name of ``LAYOUTS``.

    Raises:
        InputError: an unknown layout, a folder that holds other files, or one that cannot be written.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout {layout!r}: not one of {', '.join(LAYOUTS)}.")
    check_replaceable(folder)
    with atomic_folder(folder) as temporary:
        write_model(model, temporary, vocabulary=vocabulary, layout=layout)


def check_replaceable(folder: str | os.PathLike[str]) -> None:
    """Raises InputError when ``save_pretrained`` would take other files away with the folder it replaces."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file, where a folder is to be written. Name another folder.")
    own = re.compile(rf"{re.escape(CHECKPOINT)}\.|albert_config\.json$|vocab\.txt$|spm\.model$")
    others = sorted(file.name for file in folder.glob("*") if not own.match(file.name))
    if others:
        raise InputError(
            f"{folder}: would be replaced by the model, but holds other files ({', '.join(others[:3])}"
            f"{' …' if len(others) > 3 else ''}). Name a new folder."
        )


def write_model(
    model: keras.Model, folder: Path, *, vocabulary: str | os.PathLike[str] | None = None, layout: str = "tf1"
) -> None:
    """Adds a model's files to a folder that is being filled."""
    LAYOUTS[layout](model, Path(folder))
    write_description(model.config, folder, vocabulary=vocabulary)


def write_description(
    config: AlbertConfig, folder: str | os.PathLike[str], *, vocabulary: str | os.PathLike[str] | None = None
) -> None:
    """Writes what a checkpoint is of no use without: ``albert_config.json`` and the vocabulary."""
    config.to_json(Path(folder) / "albert_config.json")
    if vocabulary is not None:
        name = "spm.model" if Path(vocabulary).suffix == ".model" else "vocab.txt"
        with open(vocabulary, "rb") as source, atomic_writer(Path(folder) / name, "wb") as target:
            shutil.copyfileobj(source, target)


def _write_tf1(model: keras.Model, folder: Path) -> None:
    tensorflow1.save_weights(model, folder / CHECKPOINT)


#: How a model can be written.
LAYOUTS = {"tf1": _write_tf1}
