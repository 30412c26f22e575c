"""The pickle inside a PyTorch file, read by a machine that looks no name up and calls nothing.

Python's own machine finds whatever a pickle names, calls it, sets attributes of what it found and takes sizes at their
word: a dozen bytes can make it ask for gigabytes, or end the process. This one knows the opcodes that ``torch.save``
writes (https://docs.python.org/3/library/pickletools.html, protocols 2 to 5) and the names that tensors need, which
stand for nothing but themselves. No opcode costs more than the bytes it reads, so that a pickle takes time and memory
in proportion to its length.
"""

from __future__ import annotations

import enum
import math
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

#: Longest pickle read, bytes. A state dict of a thousand arrays takes 150 kB.
MAX_PICKLE = 1 << 22
_MAX_DIMENSIONS = 32


@dataclass
class Storage:
    """Numbers that tensors are views of; in the old form they come after the pickle that names them."""

    dtype: np.dtype
    size: int
    values: np.ndarray | None = None


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies in its storage; offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, most: int) -> np.ndarray:
        """A read-only view of the storage.

        Raises:
            ValueError: it lies outside the storage, or is longer than ``most`` bytes: repeating numbers of its storage
                (``expand``) it can be of any length.
        """
        values, size = self.storage.values, math.prod(self.shape)
        if min((self.offset, *self.shape, *self.strides)) < 0:
            raise ValueError("a tensor with a negative size, stride or offset")
        if values is None:
            raise ValueError("a tensor whose numbers are not in the file")
        if size * values.itemsize > most:
            raise ValueError(f"a tensor of shape {_shown(str(list(self.shape)))}, longer than the file")
        if not size:
            return np.zeros(self.shape, values.dtype)
        if self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)) >= len(values):
            raise ValueError("a tensor that lies outside its storage")
        steps = [s * values.itemsize if n > 1 else 0 for n, s in zip(self.shape, self.strides, strict=True)]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps, writeable=False)


class _Call(enum.Enum):
    MAPPING = enum.auto()
    TENSOR = enum.auto()
    PARAMETER = enum.auto()


_NAMES: dict[str, Any] = {
    "collections.OrderedDict": _Call.MAPPING,
    "torch._utils._rebuild_tensor": _Call.TENSOR,
    "torch._utils._rebuild_tensor_v2": _Call.TENSOR,
    "torch._utils._rebuild_parameter": _Call.PARAMETER,
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "torch.LongStorage": np.dtype("<i8"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.ShortStorage": np.dtype("<i2"),
    "torch.CharStorage": np.dtype("i1"),
    "torch.ByteStorage": np.dtype("u1"),
    "torch.BoolStorage": np.dtype("?"),
}


def load(data: bytes, load_storage: Callable[[np.dtype, str, int], Storage], place: int = 0) -> tuple[Any, int]:
    """The value of one pickle, and the place after it.

    Args:
        data: holds the pickle.
        load_storage: gives the storage that a pickle refers to by type, key and size.
        place: where it begins.

    Returns:
        Numbers, text, tuples, lists, dicts (for an OrderedDict too) and ``Tensor``.

    Raises:
        ValueError: it is damaged, or asks for more than the values above.
    """
    machine = _Machine(data, load_storage, place)
    try:
        return machine.run(), machine.place
    except (AttributeError, IndexError, KeyError, TypeError, struct.error) as error:
        raise ValueError(f"its pickle is damaged before byte {machine.place:,}") from error


class _Machine:
    def __init__(self, data: bytes, load_storage: Callable[[np.dtype, str, int], Storage], place: int):
        self.data, self.load_storage, self.place = data, load_storage, place
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}  # not a list: a pickle may give its only value the number 4,294,967,295
        self.copied = 0

    def run(self) -> Any:
        while (opcode := self.take(1)) != pickle.STOP:
            self.step(opcode)
        return self.stack.pop()

    def step(self, opcode: bytes) -> None:
        stack = self.stack
        match opcode:
            # Values
            case pickle.NONE:
                stack.append(None)
            case pickle.NEWTRUE:
                stack.append(True)
            case pickle.NEWFALSE:
                stack.append(False)
            case pickle.BININT:
                stack.append(self.number("<i"))
            case pickle.BININT1:
                stack.append(self.number("<B"))
            case pickle.BININT2:
                stack.append(self.number("<H"))
            case pickle.LONG1:
                stack.append(int.from_bytes(self.take(self.number("<B")), "little", signed=True))
            case pickle.BINFLOAT:
                stack.append(self.number(">d"))
            case pickle.BINUNICODE | pickle.BINSTRING:  # the latter: text of Python 2
                stack.append(self.take(self.number("<I")).decode("utf-8"))
            case pickle.SHORT_BINUNICODE | pickle.SHORT_BINSTRING:
                stack.append(self.take(self.number("<B")).decode("utf-8"))
            # Tuples, lists, dicts
            case pickle.MARK:
                self.marks.append(len(stack))
            case pickle.EMPTY_TUPLE:
                stack.append(())
            case pickle.TUPLE1 | pickle.TUPLE2 | pickle.TUPLE3:
                count = 1 + (pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3).index(opcode)
                stack.append(tuple(reversed([stack.pop() for _ in range(count)])))
            case pickle.TUPLE:
                stack.append(tuple(self.since_mark()))
            case pickle.EMPTY_LIST:
                stack.append([])
            case pickle.APPEND:
                item = stack.pop()
                self.last(list).append(item)
            case pickle.APPENDS:
                items = self.since_mark()
                self.last(list).extend(items)
            case pickle.EMPTY_DICT:
                stack.append({})
            case pickle.SETITEM:
                value, key = stack.pop(), stack.pop()
                self.last(dict)[_key(key)] = value
            case pickle.SETITEMS:
                items = self.since_mark()
                self.last(dict).update((_key(key), value) for key, value in zip(items[::2], items[1::2], strict=True))
            # What was there before
            case pickle.BINPUT:
                self.memo[self.number("<B")] = stack[-1]
            case pickle.LONG_BINPUT:
                self.memo[self.number("<I")] = stack[-1]
            case pickle.MEMOIZE:
                self.memo[len(self.memo)] = stack[-1]
            case pickle.BINGET:
                stack.append(self.memo[self.number("<B")])
            case pickle.LONG_BINGET:
                stack.append(self.memo[self.number("<I")])
            # Names and what is done with them
            case pickle.GLOBAL:
                stack.append(self.named(self.line(), self.line()))
            case pickle.STACK_GLOBAL:
                name, module = stack.pop(), stack.pop()
                stack.append(self.named(module, name))
            case pickle.INST:  # a name and a call in one: refused, with the name in the message if it is no tensor's
                raise ValueError(f"it calls {self.named(self.line(), self.line())} in a way torch.save does not")
            case pickle.REDUCE:
                arguments, called = stack.pop(), stack.pop()
                stack.append(self.call(called, arguments))
            case pickle.BUILD:  # a state dict's _metadata, an attribute of the dict: nothing to load
                stack.pop()
                self.last(dict)
            case pickle.BINPERSID:
                stack.append(self.storage(stack.pop()))
            # How it is written
            case pickle.PROTO:
                self.take(1)
            case pickle.FRAME:
                self.take(8)
            case _:
                raise ValueError(f"its pickle has the opcode {opcode!r}, which no weights need")

    def take(self, count: int) -> bytes:
        if self.place + count > len(self.data):
            if len(self.data) >= MAX_PICKLE:
                raise ValueError(f"its pickle is longer than {MAX_PICKLE:,} bytes")
            raise ValueError("it ends within its pickle")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.place)
        return self.take((end if end >= 0 else len(self.data)) + 1 - self.place)[:-1].decode("utf-8")

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def last(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise ValueError(f"it treats a {type(self.stack[-1]).__name__} as a {kind.__name__}")
        return self.stack[-1]

    def named(self, module: Any, name: Any) -> Any:
        full = f"{_text(module)}.{_text(name)}"
        if full not in _NAMES:
            raise ValueError(f"it asks for {_shown(full)}, which no weights need")
        return _NAMES[full]

    def call(self, called: Any, arguments: Any) -> Any:
        if type(arguments) is not tuple:
            raise ValueError("it calls something without arguments")
        if called is _Call.TENSOR:
            return _tensor(*arguments)
        if called is _Call.PARAMETER and isinstance(arguments[0], Tensor):
            return arguments[0]
        if called is _Call.MAPPING and not arguments:
            return {}
        if called is _Call.MAPPING:  # Python 2: from a list of [key, value]
            (pairs,) = arguments
            self.copied += len(pairs)
            if self.copied > len(self.data):  # a short pickle can copy its one long list again and again
                raise ValueError("its pickle unfolds to more than its length")
            return {_key(key): value for key, value in pairs}
        raise ValueError(f"it calls a {type(called).__name__}")

    def storage(self, reference: Any) -> Storage:
        if type(reference) is not tuple or not 5 <= len(reference) <= 6 or reference[0] != "storage":
            raise ValueError("it refers to something other than a storage")
        _, kind, key, _, size, *view = reference
        if not isinstance(kind, np.dtype) or view not in ([], [None]):
            raise ValueError("it refers to a storage in a way torch.save has long given up")
        storage = self.load_storage(kind, _text(key), _count(size))
        if (storage.dtype, storage.size) != (kind, size):
            raise ValueError(f"storage {_shown(key)} has two sizes or types")
        return storage


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any = False, hooks: Any = None, bits: Any = None
) -> Tensor:
    if not isinstance(storage, Storage) or type(shape) is not tuple or type(strides) is not tuple:
        raise ValueError("a tensor is not put together as torch does it")
    if len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError(f"a tensor of {len(shape)} dimensions with {len(strides)} strides")
    if bits:
        raise ValueError("a tensor whose numbers are stored negated or conjugated")
    return Tensor(storage, _count(offset), tuple(map(_count, shape)), tuple(map(_count, strides)))


def _count(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"a {type(value).__name__} where a size belongs")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"a {type(value).__name__} where a name belongs")
    return value


def _key(value: Any) -> str | int:
    """A dict's key: text, or an integer that no other hashes like; the hash of a tuple in a tuple in a … recurses."""
    if type(value) is str or (type(value) is int and abs(value) < 1 << 32):
        return value
    raise ValueError(f"a dict with a {type(value).__name__} for a key")


def _shown(text: str) -> str:
    """Some of a text that anybody may have written, fit for a message."""
    return "".join(character if character.isprintable() else "?" for character in text[:100])
