"""Finds and loads a model of any layout, with what lies beside its weights; says what matched."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from albert_zh.config import AlbertConfig
from albert_zh.convert import savedmodel
from albert_zh.convert.loading import LoadReport, adapt_config, assign, warm_start
from albert_zh.convert.weights import CLASSIFIER_KERNEL, TAGGER_KERNEL, Stored, family_of, heads_in
from albert_zh.files import InputError, read_json, sha256
from albert_zh.layouts import LAYOUTS
from albert_zh.locate import locate
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining, AlbertModel
from albert_zh.models.token_heads import AlbertForSpan, AlbertForTagging
from albert_zh.text.tokenizer import Tokenizer, load_tokenizer

#: What a fine-tuned folder says of its task; written last, it marks the folder as complete.
TASK_FILE = "task.json"
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

    @property
    def has_masked_lm(self) -> bool:
        """Whether the masked-LM head is there."""
        return "masked-LM head" in heads_in(self.shapes)

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
    if reason := LAYOUTS[stored.layout].refusal(config.replace(family="google", ln_type="postln")):
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


@dataclass(frozen=True)
class About:
    """What the files beside the weights say: whether the text is lower-cased, the names of a classifier's classes."""

    lower_case: bool = True
    label_names: tuple[str, ...] = ()


def about(source: Source) -> About:
    """As ``task.json`` says, else Hugging Face's files, else a SavedModel's variable.

    Raises:
        InputError: one of these files is not what it should be.
    """
    task, config, tokenizer = (source.folder / name for name in (TASK_FILE, "config.json", "tokenizer_config.json"))
    if task.is_file():
        said = _object(task)
        lower_case, names = said.get("lower_case", True), said.get("label_names", [])
    else:
        lower_case = _object(tokenizer).get("do_lower_case", True) if tokenizer.is_file() else True
        if source.stored.layout == "savedmodel":
            lower_case = savedmodel.lower_case(source.folder)
        by_number = _object(config).get("id2label", {}) if source.stored.layout == "huggingface" else {}
        names = [by_number.get(str(number)) for number in range(source.classes or 0)] if by_number else []
    if not isinstance(lower_case, bool) or not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise InputError(f"{source.folder}: its label names are no texts, or lower_case is neither true nor false.")
    return About(lower_case, tuple(names))


def _object(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: a JSON {type(values).__name__}, not an object.")
    return values


def tokenizer_of(
    source: Source | None,
    *,
    vocab_file: str = "",
    spm_model_file: str = "",
    lower_case: bool | None = None,
    config: AlbertConfig | None = None,
) -> Tokenizer:
    """The tokenizer that belongs to a model; its ``path`` is the vocabulary.

    Args:
        source: the model; None for random weights.
        vocab_file, spm_model_file: what the user gave; see ``vocabulary_of``.
        lower_case: what the user said; None: as the model's own files say, else True.
        config: of the model to be built, where it is not the source's.

    Raises:
        InputError: what ``vocabulary_of`` raises, a file that is no vocabulary, or one larger than the config's.
    """
    flag = "--spm_model_file" if spm_model_file else "--vocab_file"
    vocabulary = vocabulary_of(source, spm_model_file or vocab_file or None, flag)
    pieces = vocabulary.suffix == ".model"
    if lower_case is None:
        lower_case = about(source).lower_case if source else True
    tokenizer = load_tokenizer(None if pieces else vocabulary, vocabulary if pieces else None, lower_case)
    if (config := config or (source and source.config)) and tokenizer.vocab_size > config.vocab_size:
        raise InputError(
            f"{vocabulary}: {tokenizer.vocab_size:,} entries, but the config's vocab_size is {config.vocab_size:,}. "
            "Give the vocabulary that belongs to the model."
        )
    return tokenizer


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
        ``AlbertForClassification``, ``AlbertForSpan`` or ``AlbertForTagging`` for a fine-tuned checkpoint, else
        ``AlbertForPretraining``.

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
    heads = heads_in(source.shapes)
    if source.classes:
        model = AlbertForClassification(source.config, source.classes, seed=seed)
    elif "span head" in heads:
        model = AlbertForSpan(source.config, seed=seed)
    elif "tagging head" in heads:
        tags = source.shapes[TAGGER_KERNEL][0]
        model = AlbertForTagging(source.config, tags, any("/crf/" in name for name in heads["tagging head"]), seed=seed)
    elif bare and not heads.keys() & {"masked-LM head", "sentence-order head"}:
        model = AlbertModel(source.config, seed=seed)
    else:
        model = AlbertForPretraining(source.config, seed=seed)
    return model, assign(model, source.stored)


def fill(model: keras.Model, source: Source, *, warm: bool = False) -> LoadReport:
    """Gives a model the weights of a source; ``warm``: only those that fit, see ``convert.loading.warm_start``.

    Raises:
        InputError: they do not fit the model (``warm``: none of them does), or cannot be read.
    """
    return warm_start(model, source.config, source.stored) if warm else assign(model, source.stored)
