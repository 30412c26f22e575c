"""A model in one ``.keras`` file, which ``keras.saving.load_model`` reads too once ``albert_zh.models`` is imported."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np

from albert_zh.convert.weights import Stored, to_tf1, variable_names
from albert_zh.files import InputError
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining, AlbertModel

FILE = "model.keras"
_CLASSES = {f"albert_zh>{kind.__name__}": kind for kind in (AlbertForPretraining, AlbertForClassification, AlbertModel)}
_LARGEST_CONFIG = 1 << 20


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
        kind = _CLASSES.get(about.get("registered_name"))
        if kind is None:
            raise InputError(
                f"{file}: holds a {about.get('registered_name') or about.get('class_name')!r}, not a model of "
                "albert_zh. Give a file written by albert-zh convert --to keras."
            )
        allowed = ("config", "seed", "num_classes")
        model = kind(**{key: value for key, value in about["config"].items() if key in allowed})
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file.") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: not a .keras file, cut off or damaged ({error}). Copy it again.") from error
    variables = variable_names(model)

    def read(wanted: Iterable[str]) -> dict[str, np.ndarray]:
        try:
            model.load_weights(file)
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{file}: its weights cannot be read ({str(error).splitlines()[0]}). Copy it again."
            ) from error
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


def write(model: keras.Model, folder: Path) -> str:
    """Writes ``folder/model.keras`` and returns its name."""
    model.save(folder / FILE)
    return FILE
