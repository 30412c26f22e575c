"""Arrays of a ``pytorch_model.bin``, read without torch and without running what a pickle may hold.

A pickle names functions to call. Here only those that put tensors together can be named, and they are this file's
own; any other name ends the reading. Both forms of ``torch.save`` are read: the zip of today and, as in folders
published before mid-2020, the row of pickles with the raw storages behind them
(https://pytorch.org/docs/stable/notes/serialization.html).
"""

from __future__ import annotations

import collections
import io
import math
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import ml_dtypes
import numpy as np

from albert_zh.files import InputError

_LEGACY_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_STORAGE_TYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
_ADVICE = "Ask for model.safetensors, or write the file again with torch.save(model.state_dict(), ...)."


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype


@dataclass
class _Storage:
    """Numbers that tensors are views of; in the old form they come after the pickle that names them."""

    dtype: np.dtype
    size: int
    values: np.ndarray | None = None


@dataclass(frozen=True)
class _View:
    """A tensor: where it lies in its storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        values = self.storage.values
        size = math.prod(self.shape)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)) if size else 0
        if (
            values is None
            or min((self.offset, *self.shape, *self.strides), default=0) < 0
            or last >= max(len(values), 1)
        ):
            raise pickle.UnpicklingError("a tensor lies outside its storage")
        item = values.itemsize
        view = np.lib.stride_tricks.as_strided(
            values[self.offset :], self.shape, [stride * item for stride in self.strides]
        )
        return np.array(view)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _View:
    if not isinstance(storage, _Storage) or not all(isinstance(n, int) for n in (offset, *shape, *strides)):
        raise pickle.UnpicklingError("a tensor is not put together as torch does it")
    if len(shape) != len(strides):
        raise pickle.UnpicklingError("a tensor has not as many strides as dimensions")
    return _View(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGE_TYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Knows the names of ``_ALLOWED`` and no others."""

    def __init__(self, stream: IO[bytes], load_storage: Callable[[tuple], Any]):
        super().__init__(stream, encoding="utf-8")
        self._load_storage = load_storage

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no weights need") from None

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or not pid or pid[0] != "storage" or not isinstance(pid[1], _StorageType):
            raise pickle.UnpicklingError("it refers to something other than a storage")
        return self._load_storage(pid)


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a state dict by their names; half precision as it is stored.

    Raises:
        InputError: the file is missing, cut off, holds something other than a state dict of tensors, or names
            something that would have to be run.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as stream:
            state = _read_zip(stream) if zipfile.is_zipfile(stream) else _read_legacy(stream)
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise pickle.UnpicklingError(f"it holds a {type(state).__name__}, not a state dict")
        if "state_dict" in state and isinstance(state["state_dict"], dict):
            state = state["state_dict"]
        return {name: view.array() for name, view in state.items() if isinstance(view, _View)}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        EOFError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        MemoryError,
        NotImplementedError,
        RuntimeError,
        OverflowError,
    ) as error:  # whatever a damaged or hostile pickle makes of the machine that reads it
        raise InputError(
            f"{path}: not the weights of a PyTorch model, or damaged ({error}). Nothing of it was run. {_ADVICE}"
        ) from error


def _read_zip(stream: IO[bytes]) -> Any:
    with zipfile.ZipFile(stream) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise pickle.UnpicklingError("there is no data.pkl in it")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
            raise pickle.UnpicklingError("it was written on a big-endian machine")
        storages: dict[str, _Storage] = {}

        def load_storage(pid: tuple) -> _Storage:
            _, kind, key, _, size = pid
            if key not in storages:
                info = archive.getinfo(f"{root}data/{key}")
                if info.file_size != size * kind.dtype.itemsize or info.compress_type != zipfile.ZIP_STORED:
                    raise pickle.UnpicklingError(f"storage {key} has not the size it should have")
                values = np.frombuffer(archive.read(info), kind.dtype)
                storages[key] = _Storage(kind.dtype, size, values)
            return storages[key]

        return _Unpickler(io.BytesIO(archive.read(pickles[0])), load_storage).load()


def _read_legacy(stream: IO[bytes]) -> Any:
    def nothing(_: tuple) -> Any:
        raise pickle.UnpicklingError("a storage where none belongs")

    stream.seek(0)
    if _Unpickler(stream, nothing).load() != _LEGACY_MAGIC or _Unpickler(stream, nothing).load() != _LEGACY_VERSION:
        raise pickle.UnpicklingError("it is not of torch.save")
    system = _Unpickler(stream, nothing).load()
    if not system.get("little_endian", True):
        raise pickle.UnpicklingError("it was written on a big-endian machine")
    storages: dict[str, _Storage] = {}

    def load_storage(pid: tuple) -> _Storage:
        _, kind, key, _, size, view = (*pid, None)[:6]
        if view is not None:
            raise pickle.UnpicklingError("a storage is a view of another one")
        return storages.setdefault(key, _Storage(kind.dtype, size))

    state = _Unpickler(stream, load_storage).load()
    for key in _Unpickler(stream, nothing).load():
        storage = storages[key]
        size = int.from_bytes(stream.read(8), "little")
        raw = stream.read(size * storage.dtype.itemsize)
        if size != storage.size or len(raw) != size * storage.dtype.itemsize:
            raise pickle.UnpicklingError("the file ends within the weights")
        storage.values = np.frombuffer(raw, storage.dtype)
    return state
