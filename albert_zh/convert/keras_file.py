"""A model in one ``.keras`` file; ``keras.saving.load_model`` reads it too after ``import albert_zh.models.heads``."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np

from albert_zh.config import AlbertConfig
from albert_zh.convert.weights import Stored, to_tf1, variable_names
from albert_zh.files import InputError, first_line
from albert_zh.models import parameters
from albert_zh.models.heads import AlbertForChoice, AlbertForClassification, AlbertForPretraining, AlbertModel
from albert_zh.models.parameters import FLOAT32_BYTES
from albert_zh.models.token_heads import AlbertForSpan, AlbertForTagging

FILE = "model.keras"
_KINDS = (
    AlbertForPretraining,
    AlbertForClassification,
    AlbertForChoice,
    AlbertForSpan,
    AlbertForTagging,
    AlbertModel,
)
_CLASSES = {f"albert_zh>{kind.__name__}": kind for kind in _KINDS}
#: What the constructors take.
_GIVEN = ("config", "seed", "num_classes", "num_tags", "crf")
_WEIGHTS = "model.weights.h5"
_LARGEST_CONFIG = 1 << 20
#: How many times smaller a file can be packed by deflate at most.
_LARGEST_RATIO = 1032
#: What reading a damaged file has been seen to raise; InputError is a ValueError.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,  # encrypted; h5py; NotImplementedError, an unknown kind of packing
)


def open_stored(file: str | os.PathLike[str]) -> Stored:
    """The weights of a ``.keras`` file of one of this package's models.

    The classes a file names are not looked up: a model of this package is put together from its config, and only the
    numbers are taken from the file.

    Raises:
        InputError: the file is missing or damaged, or holds another model.
    """
    file = Path(file)
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
                raise ValueError("its config.json is too large")
            about = json.loads(archive.read("config.json"))
            claimed = archive.getinfo(_WEIGHTS).file_size
        kind = _CLASSES.get(about.get("registered_name"))
        if kind is None:
            raise InputError(
                f"{file}: holds a {about.get('registered_name') or about.get('class_name')!r}, not a model of "
                "albert_zh. Give a file written by albert-zh convert --to keras."
            )
        given = {key: value for key, value in about["config"].items() if key in _GIVEN}
        config = AlbertConfig.from_dict(given["config"], where=f"{file}: config.json")
        _check_size(file, config, given.get("num_classes") or given.get("num_tags", 0), claimed)
        model = kind(**{**given, "config": config})
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file.") from error
    except _DAMAGE as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{file}: not a .keras file, cut off or damaged ({first_line(error)}). Copy it again."
        ) from error
    variables = variable_names(model)

    def read(wanted: Iterable[str]) -> dict[str, np.ndarray]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # Keras leaves out what it does not find, and warns
                model.load_weights(file)
        except (*_DAMAGE, UserWarning) as error:
            raise InputError(f"{file}: its weights cannot be read ({first_line(error)}). Copy it again.") from error
        return {name: to_tf1(name, keras.ops.convert_to_numpy(variables[name])) for name in wanted}

    return Stored(
        layout="keras",
        where=str(file),
        identity=file,
        shapes={
            name: to_tf1(name, np.empty(tuple(variable.shape), np.bool_)).shape for name, variable in variables.items()
        },
        read=read,
        config=model.config,
    )


def _check_size(file: Path, config: AlbertConfig, classes: int, claimed: int) -> None:
    """Raises InputError for a network larger than the weights in the file: before memory is taken for it."""
    held = min(claimed, file.stat().st_size * _LARGEST_RATIO)
    needed = FLOAT32_BYTES * (parameters.encoder(config) + classes * (config.hidden_size + 1))
    if needed > held:
        raise InputError(
            f"{file}: its config is of a network of {needed:,} bytes, but it holds {held:,} of weights. Copy it again."
        )


def write(model: keras.Model, folder: Path) -> str:
    """Writes ``folder/model.keras`` and returns its name."""
    model.save(folder / FILE)
    return FILE
