"""Arrays of a ``pytorch_model.bin``, read without torch and without running what a pickle may hold.

Both forms of ``torch.save`` are read: the zip of today and, as in folders published before mid-2020, the row of
pickles with the raw storages behind them (https://pytorch.org/docs/stable/notes/serialization.html). Nothing is taken
into memory that is longer than the file.
"""

from __future__ import annotations

import os
import zipfile
from typing import IO, Any

import numpy as np

from albert_zh.convert.torch_pickle import MAX_PICKLE, Storage, Tensor, load
from albert_zh.files import InputError

_LEGACY_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_ZIP_MAGIC = b"PK\x03\x04"
_ADVICE = "Ask for model.safetensors, or write the file again with torch.save(model.state_dict(), ...)."


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a state dict by their names, read-only; half precision as it is stored.

    Raises:
        InputError: the file is missing, cut off, holds something other than a state dict of tensors, or names
            something that would have to be run.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as stream:
            length = os.fstat(stream.fileno()).st_size
            zipped = stream.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
            state = (_read_zip if zipped else _read_legacy)(stream, length)
        return {name: tensor.array(length) for name, tensor in _tensors(state).items()}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error
    except (ValueError, zipfile.BadZipFile, EOFError, RuntimeError) as error:  # RuntimeError: an encrypted member
        raise InputError(
            f"{path}: not the weights of a PyTorch model, or damaged ({error}). Nothing of it was run. {_ADVICE}"
        ) from error


def _tensors(state: Any) -> dict[str, Tensor]:
    """The tensors of a state dict; of a training checkpoint, of the one in it."""
    if not isinstance(state, dict):
        raise ValueError(f"it holds a {type(state).__name__}, not a state dict")
    if isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    tensors = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise ValueError(f"it holds no tensors, but {ascii(list(state)[:5])[1:-1][:200] or 'nothing'}")
    if not all(isinstance(name, str) for name in tensors):
        raise ValueError("it numbers its tensors instead of naming them")
    return tensors


def _read_zip(stream: IO[bytes], length: int) -> Any:
    with zipfile.ZipFile(stream) as archive:
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"there are {len(pickles)} data.pkl in it" if pickles else "there is no data.pkl in it")
        root = pickles[0].removesuffix("data.pkl")
        left = length

        def content(name: str, most: int) -> bytes:
            """A member's bytes. All together are no more than the file's, even where members overlap."""
            nonlocal left
            info = members.get(f"{root}{name}")
            if info is None:
                raise ValueError(f"there is no {name[:100]!a} in it")
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
                raise ValueError(f"{name[:100]!a} is compressed or encrypted, as torch.save does not do")
            left -= info.file_size
            if info.file_size > most or left < 0 or info.header_offset < 0:
                raise ValueError(f"{name[:100]!a} is longer than it can be")
            return archive.read(info)

        if f"{root}byteorder" in members and content("byteorder", 16) != b"little":
            raise ValueError("it was written on a big-endian machine")
        storages: dict[str, Storage] = {}

        def load_storage(dtype: np.dtype, key: str, size: int) -> Storage:
            if key not in storages:
                values = np.frombuffer(content(f"data/{key}", length), dtype)
                storages[key] = Storage(dtype, len(values), values)
            return storages[key]

        return load(content("data.pkl", MAX_PICKLE), load_storage)[0]


def _read_legacy(stream: IO[bytes], length: int) -> Any:
    storages: dict[str, Storage] = {}

    def load_storage(dtype: np.dtype, key: str, size: int) -> Storage:
        return storages.setdefault(key, Storage(dtype, size))

    stream.seek(0)
    pickles = stream.read(MAX_PICKLE)
    magic, place = load(pickles, load_storage)
    version, place = load(pickles, load_storage, place)
    if (magic, version) != (_LEGACY_MAGIC, _LEGACY_VERSION):
        raise ValueError("it is not of torch.save")
    system, place = load(pickles, load_storage, place)
    if not isinstance(system, dict) or system.get("little_endian", True) is not True:
        raise ValueError("it was written on a big-endian machine")
    state, place = load(pickles, load_storage, place)
    keys, place = load(pickles, load_storage, place)
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in storages for key in keys):
        raise ValueError("it lists other storages than its tensors use")
    stream.seek(place)
    for key in keys:
        storage = storages[key]
        size = int.from_bytes(stream.read(8), "little")
        wanted = size * storage.dtype.itemsize
        if size != storage.size or wanted > length - stream.tell():
            raise ValueError("the file ends within the weights, or they have other sizes than it says")
        storage.values = np.frombuffer(stream.read(wanted), storage.dtype)
    return state
