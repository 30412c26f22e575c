"""What a user names as a model (a path, an archive, a name of the catalogue, an address) as files on this disk."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from albert_zh.convert import huggingface, keras_file, savedmodel, tensorflow1, tensorflow2
from albert_zh.convert.weights import Stored
from albert_zh.files import InputError
from albert_zh.hub import catalog, local
from albert_zh.hub.archive import is_archive
from albert_zh.hub.download import default_home, fetch

#: What a finished model's TF1 checkpoint is called, as in the published archives.
CHECKPOINT = "albert_model.ckpt"
_CHECKPOINT_FILE = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
#: What a browser shows of a model of Hugging Face's, in the catalogue under the end of its address.
_SITES = "|".join(map(re.escape, (catalog.HUGGINGFACE, catalog.HUGGINGFACE_MIRROR)))
_PAGE = re.compile(rf"^(?:{_SITES})(.*?)/?$")
_ADVICE = "Give a folder, a checkpoint's prefix, a .zip or .tar.gz, or a name that albert-zh models lists."


@dataclass(frozen=True)
class Located:
    """Weights found.

    Attributes:
        stored: them.
        folder: what lies beside them lies here.
    """

    stored: Stored
    folder: Path


def locate(name: str | os.PathLike[str]) -> Located:
    """The weights that ``name`` stands for.

    Args:
        name: a folder (with one model in it, or in one folder below it), a checkpoint's prefix, one of a model's
            files, a ``.zip`` or ``.tar.gz``, else a name of the catalogue or an http address of an archive. What lies
            on this disk wins over a name of the catalogue.

    Raises:
        InputError: nothing is there, several models are, or it cannot be fetched.
    """
    text = os.path.expanduser(os.fspath(name))  # a shell leaves the ~ of --flag=~/folder as it is
    if not text:
        raise InputError(f"no model was named. {_ADVICE}")
    listed = _PAGE.sub(r"\1", text)
    path = Path(text)
    if path.is_dir():
        return _in_folder(path)
    if os.path.isfile(f"{text}.index") or _CHECKPOINT_FILE.search(text):
        return _checkpoint(tensorflow1.find_prefix(text))
    if path.is_file():
        return _in_folder(local.unpacked(path)) if is_archive(path.name) else _file(path)
    if listed in catalog.MODELS:
        return _in_folder(fetch(catalog.MODELS[listed], default_home()))
    if re.match(r"https?://", text):
        return _in_folder(local.fetched(text))
    raise InputError(f"{text}: {_missing(text)} {_ADVICE}")


def _missing(name: str) -> str:
    """Why nothing is found under a name that is neither here nor in the catalogue."""
    if "://" in name:
        return "addresses other than http:// and https:// are not fetched."
    if name in catalog.DATASETS:
        return "a data set of the catalogue, where a model is needed."
    near = difflib.get_close_matches(name.lower(), catalog.MODELS, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"no checkpoint there: no such file or folder, no {name.rstrip('/')}.index, no name of the catalogue.{hint}"


def _checkpoint(prefix: str) -> Located:
    opened = tensorflow2 if tensorflow2.is_object_based(prefix) else tensorflow1
    return Located(opened.open_stored(prefix), Path(prefix).parent)


def _file(path: Path) -> Located:
    if path.suffix in (".safetensors", ".bin"):
        return Located(huggingface.open_stored(path), path.parent)
    if path.suffix == ".keras":
        return Located(keras_file.open_stored(path), path.parent)
    if path.name == "saved_model.pb":
        return _saved_model(path.parent)
    raise InputError(
        f"{path}: no model's file (.index, .data-00000-of-00001, .safetensors, .bin, .keras, saved_model.pb) and no "
        f"archive. {_ADVICE}"
    )


def _saved_model(folder: Path) -> Located:
    return Located(savedmodel.open_stored(folder), folder)


def _in_folder(folder: Path) -> Located:
    """The one model in a folder; where there is none, in the one folder below it that holds one."""
    here = _models_in(folder)
    if not here:
        below = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
        holding = [path for path in below if _models_in(path)]
        if len(holding) > 1:
            names = ", ".join(path.name for path in holding)
            raise InputError(f"{folder}: several models lie in folders below it ({names}). Name one.")
        if holding:
            return _in_folder(holding[0])
        if len(below) == 1:
            return _in_folder(below[0])
        raise InputError(
            f"{folder}: no checkpoint there: no .index, {', '.join(huggingface.WEIGHTS)}, .keras or saved_model.pb. "
            f"{_ADVICE}"
        )
    if len(here) > 1:
        raise InputError(f"{folder}: holds models of several layouts ({', '.join(here)}). Name the file of one.")
    (kind,) = here
    if kind == "saved_model.pb":
        return _saved_model(folder)
    if kind == ".index":
        return _checkpoint(_preferred(folder))
    return _file(here[kind])


def _models_in(folder: Path) -> dict[str, Path]:
    """What kinds of model files a folder holds: how they are called, and the file."""
    found = {}
    if (folder / "saved_model.pb").is_file():
        found["saved_model.pb"] = folder / "saved_model.pb"
    if any(folder.glob("*.index")):
        found[".index"] = folder
    preferred = [folder / name for name in huggingface.WEIGHTS if (folder / name).is_file()]
    for kind, files in (
        (".safetensors or .bin", preferred[:1] or sorted(folder.glob("*.safetensors"))),
        (".keras", sorted(folder.glob("*.keras"))),
    ):
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise InputError(f"{folder}: several files could be meant: {names}. Name one.")
        if files:
            found[kind] = files[0]
    return found


def _preferred(folder: Path) -> str:
    """Of several checkpoints in a folder, the finished model, the best one, or the last."""
    numbered = sorted(folder.glob("model.ckpt-*.index"), key=lambda file: (len(file.name), file.name))
    best = [file for file in (folder / f"{CHECKPOINT}.index", folder / "model.ckpt-best.index") if file.exists()]
    for file in [*best, *reversed(numbered)]:
        return str(file)[: -len(".index")]
    return tensorflow1.find_prefix(folder)
