"""TFRecord files of pretraining examples: written one by one, read in any order; without TensorFlow.

Framing: length (uint64), masked CRC32C of it, payload, masked CRC32C of the payload.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import google_crc32c
import numpy as np

from albert_zh.files import InputError, expand_paths
from albert_zh.pretrain.example import MaskedInstance, Padding, encode_instance, parse_instance

_HEADER_BYTES = 12  # uint64 length, uint32 masked CRC of it
_FOOTER_BYTES = 4  # uint32 masked CRC of the payload
_KEPT_OPEN = 64  # files of an index: a process may have 1,024 open, 256 on macOS, and others need some too
_RECREATE = "The file is damaged or was not finished: create it again"


# ---------------------------------------------------------------------------------------------------------------- write


def masked_crc(content: bytes) -> int:
    """CRC32C, rotated and offset as TFRecord stores it."""
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class RecordWriter:
    """Writes instances as TFRecords to an open binary file and keeps their number, bytes and hash.

    Arguments:
        stream: a file open for writing bytes, such as that of ``files.atomic_writer(path, "wb")``.
        padding: lengths to fill the lists up to, or None for true lengths.
    """

    def __init__(self, stream: IO[bytes], padding: Padding | None = None) -> None:
        self._stream = stream
        self._padding = padding
        self._hash = hashlib.sha256()
        self._headers: dict[int, bytes] = {}
        self.instances = 0
        self.bytes = 0

    def write(self, instance: MaskedInstance) -> None:
        """Appends one instance."""
        self.write_payload(encode_instance(instance, self._padding))

    def write_payload(self, payload: bytes) -> None:
        """Appends one serialised ``tf.train.Example``."""
        header = self._headers.get(len(payload))
        if header is None:
            length = struct.pack("<Q", len(payload))
            header = self._headers[len(payload)] = length + struct.pack("<I", masked_crc(length))
        record = b"".join((header, payload, struct.pack("<I", masked_crc(payload))))
        self._stream.write(record)
        self._hash.update(record)
        self.instances += 1
        self.bytes += len(record)

    @property
    def sha256(self) -> str:
        """Hex hash of what was written so far."""
        return self._hash.hexdigest()


# ----------------------------------------------------------------------------------------------------------------- read


class RecordIndex:
    """Where each record of some TFRecord files lies, for reading in any order from any thread.

    Arguments:
        paths: one path or several; names with commas and patterns are expanded.

    Attributes:
        files: the files, in order.
        file_number: (N,) int32, which file a record lies in.
        offset: (N,) int64, byte where its frame begins.
        length: (N,) int64, bytes of its payload.

    Raises:
        InputError: a file is missing, empty, truncated, or no TFRecord file; the message names the file, the record
            (from 0) and the byte.
    """

    def __init__(self, paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> None:
        self.files: list[Path] = expand_paths([paths] if isinstance(paths, (str, os.PathLike)) else paths)
        numbers, offsets, lengths = [], [], []
        for number, path in enumerate(self.files):
            offset, length = _scan(path)
            numbers.append(np.full(len(offset), number, np.int32))
            offsets.append(offset)
            lengths.append(length)
        self.file_number = np.concatenate(numbers)
        self.offset = np.concatenate(offsets)
        self.length = np.concatenate(lengths)
        self._first = np.cumsum([0, *map(len, offsets)])
        self._handles: list[int] = []
        for path in self.files[:_KEPT_OPEN]:
            try:
                self._handles.append(os.open(path, os.O_RDONLY))
            except OSError as error:
                raise _unreadable(path, error) from error

    def __len__(self) -> int:
        return len(self.offset)

    def read(self, index: int) -> bytes:
        """The payload of a record, its checksum verified. Safe to call from several threads at once.

        Raises:
            InputError: the record is damaged (file, record number and byte offset are named), or its file is gone.
        """
        number, offset, length = int(self.file_number[index]), int(self.offset[index]), int(self.length[index])
        try:
            if number < len(self._handles):
                frame = os.pread(self._handles[number], length + _FOOTER_BYTES, offset + _HEADER_BYTES)
            else:  # one of many: opened for this record alone, so that no other thread can close it meanwhile
                with open(self.files[number], "rb", buffering=0) as stream:
                    frame = os.pread(stream.fileno(), length + _FOOTER_BYTES, offset + _HEADER_BYTES)
        except OSError as error:
            raise _unreadable(self.files[number], error) from error
        payload = frame[:length]
        if len(frame) != length + _FOOTER_BYTES or masked_crc(payload) != int.from_bytes(frame[length:], "little"):
            raise InputError(f"{self.describe(index)} at byte {offset:,}: its checksum is wrong. {_RECREATE}.")
        return payload

    @property
    def fingerprint(self) -> str:
        """Hash of the lengths of all records: other records almost surely have other ones, and none need be read."""
        return hashlib.sha256(self.length.tobytes()).hexdigest()

    def instance(self, index: int) -> MaskedInstance:
        """A record, parsed. Raises InputError as ``read`` does, and when it is no pretraining record."""
        payload = self.read(index)
        try:
            return parse_instance(payload)
        except InputError as error:
            raise InputError(f"{self.describe(index)}: {error}") from error

    def describe(self, index: int) -> str:
        """Where a record lies, for a message: file and record number from 0."""
        number = int(self.file_number[index])
        record = (index if index >= 0 else len(self) + index) - int(self._first[number])
        return f"{self.files[number]}: record {record}"

    def read_many(self, indices: Iterable[int]) -> list[bytes]:
        """The payloads of several records, in the given order."""
        return [self.read(index) for index in indices]

    def close(self) -> None:
        """Closes the files."""
        while self._handles:
            os.close(self._handles.pop())

    def __enter__(self) -> RecordIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handles", None):
            self.close()


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be read: {error.strerror}. Check the path and its rights.")


def _scan(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of the frames of a file and lengths of their payloads."""
    offsets, lengths = array("q"), array("q")
    known: dict[bytes, int] = {}  # lengths repeat, so most headers were verified before
    try:
        size = path.stat().st_size
        if not size:
            raise InputError(f"{path}: the file is empty, it holds no record. Create it again.")
        with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
            offset = 0
            while offset < size:
                header = view[offset : offset + _HEADER_BYTES]
                length = known.get(header)
                if length is None:
                    length = known[header] = _verified_length(header, path, len(offsets), offset)
                end = offset + _HEADER_BYTES + length + _FOOTER_BYTES
                if end > size:
                    raise InputError(
                        f"{path}: record {len(offsets)} at byte {offset:,} ends at byte {end:,}, but the file ends at "
                        f"{size:,}: it is truncated. {_RECREATE}."
                    )
                offsets.append(offset)
                lengths.append(length)
                offset = end
    except OSError as error:
        raise _unreadable(path, error) from error
    return np.frombuffer(offsets, np.int64), np.frombuffer(lengths, np.int64)


def _verified_length(header: bytes, path: Path, record: int, offset: int) -> int:
    if len(header) < _HEADER_BYTES:
        raise InputError(
            f"{path}: record {record} at byte {offset:,}: the file ends in its header: it is truncated. {_RECREATE}."
        )
    length, crc = struct.unpack("<QI", header)
    if masked_crc(header[:8]) != crc:
        what = "this is no TFRecord file" if record == 0 else "its header is damaged"
        raise InputError(f"{path}: record {record} at byte {offset:,}: {what} (checksum of the length). {_RECREATE}.")
    return length
