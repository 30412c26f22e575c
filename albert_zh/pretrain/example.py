"""The record schema, once: a masked instance as a serialised ``tf.train.Example``, without TensorFlow.

An instance is stored as the seven features of BERT. By default the lists have their true length (n tokens, k
predictions), half the size of padded ones; ``Padding`` fills them up for older readers.

=====================  =======  ====================================================
feature                entries  value
=====================  =======  ====================================================
input_ids              n        token ids, masked words replaced
input_mask             n        1 (0 on padding)
segment_ids            n        0 for [CLS] A [SEP], 1 for B [SEP]
masked_lm_positions    k        indices into input_ids, ascending
masked_lm_ids          k        the original ids there
masked_lm_weights      k        1.0 (0.0 on padding)
next_sentence_labels   1        1 when the two segments were swapped, else 0
=====================  =======  ====================================================

Wire format: https://protobuf.dev/programming-guides/encoding (an Example is a map, here in sorted key order, so equal
instances are equal bytes).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from albert_zh.files import InputError

_INT64_LIST, _FLOAT_LIST = 3, 2  # field numbers in tf.train.Feature
_TABLE_SIZE = 1 << 16


@dataclass(frozen=True, slots=True)
class MaskedInstance:
    """One pretraining example.

    Attributes:
        input_ids: (n,) int32, ``[CLS] A [SEP] B [SEP]`` with masked words replaced, no padding.
        segment_ids: (n,) int32, 0 up to the first [SEP], 1 after it.
        positions: (k,) int32, ascending indices of the tokens to predict.
        labels: (k,) int32, the ids that stood there.
        swapped: True when A follows B in the text (sentence-order label 1).
    """

    input_ids: np.ndarray
    segment_ids: np.ndarray
    positions: np.ndarray
    labels: np.ndarray
    swapped: bool

    @property
    def original_ids(self) -> np.ndarray:
        """(n,) the ids before masking."""
        ids = np.array(self.input_ids)
        ids[self.positions] = self.labels
        return ids


@dataclass(frozen=True)
class Padding:
    """Lengths that lists are filled up to with zeros: tokens and predictions of an instance."""

    max_seq_length: int
    max_predictions: int


# ---------------------------------------------------------------------------------------------------------------- write


def encode_instance(instance: MaskedInstance, padding: Padding | None = None) -> bytes:
    """The instance as a serialised ``tf.train.Example``; equal instances give equal bytes."""
    tokens, predictions = len(instance.input_ids), len(instance.positions)
    more = padding.max_seq_length - tokens if padding else 0
    more_predictions = padding.max_predictions - predictions if padding else 0
    zeros = bytes(more)  # a zero is one zero byte as a varint
    body = b"".join(
        (
            _int64_feature(b"input_ids", encode_varints(instance.input_ids) + zeros),
            _ones_feature(b"input_mask", tokens, more),
            _int64_feature(b"masked_lm_ids", encode_varints(instance.labels) + bytes(more_predictions)),
            _int64_feature(b"masked_lm_positions", encode_varints(instance.positions) + bytes(more_predictions)),
            _weights_feature(predictions, more_predictions),
            _int64_feature(b"next_sentence_labels", b"\x01" if instance.swapped else b"\x00"),
            _int64_feature(b"segment_ids", instance.segment_ids.astype(np.uint8).tobytes() + zeros),
        )
    )
    return _head(1, len(body)) + body


def encode_features(features: Mapping[str, np.ndarray]) -> bytes:
    """Named rows of numbers as a serialised ``tf.train.Example``; the same features give the same bytes.

    Args:
        features: name to whole numbers from 0, or to floats, which are kept as float32.
    """
    parts = []
    for name, values in sorted(features.items()):
        values = np.asarray(values)
        if np.issubdtype(values.dtype, np.floating):
            content = values.astype("<f4").tobytes()
            parts.append(_feature_head(name.encode(), _FLOAT_LIST, len(content)) + content)
        else:
            parts.append(_int64_feature(name.encode(), encode_varints(values.astype(np.int64))))
    body = b"".join(parts)
    return _head(1, len(body)) + body


def encode_varints(values: np.ndarray) -> bytes:
    """Non-negative whole numbers as varints, seven bits a byte, the lowest first.

    >>> encode_varints(np.array([1, 127, 128, 21127])).hex(" ")
    '01 7f 80 01 87 a5 01'
    """
    if not len(values):
        return b""
    if values.max() < _TABLE_SIZE:
        rows, kept = _varint_table()
        return rows.take(values, axis=0)[kept.take(values, axis=0)].tobytes()
    rows, kept = _varint_rows(values)
    return rows[kept].tobytes()


@functools.cache
def _varint_table() -> tuple[np.ndarray, np.ndarray]:
    """The varints of every id a vocabulary may have: looking them up is three times as fast as making them."""
    return _varint_rows(np.arange(_TABLE_SIZE))


def _varint_rows(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of each value's varint, (n, longest), and which of them count."""
    width = max(1, -(-int(values.max()).bit_length() // 7))
    groups = values[:, None] >> np.arange(0, 7 * width, 7, dtype=values.dtype)
    kept = groups > 0
    kept[:, 0] = True
    rows = (groups & 0x7F).astype(np.uint8)
    rows[:, :-1] |= kept[:, 1:].view(np.uint8) << 7  # the top bit says that another byte follows
    return rows, kept


def _length_varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    return bytes((value & 0x7F | 0x80,)) + _length_varint(value >> 7)


def _head(number: int, length: int) -> bytes:
    """Tag and length that stand before ``length`` bytes of a length-delimited field."""
    return bytes((number << 3 | 2,)) + _length_varint(length)


@functools.lru_cache(maxsize=1 << 14)
def _feature_head(key: bytes, kind: int, length: int) -> bytes:
    """All that stands before the packed values of one entry of the map ``Features.feature``."""
    values = _head(1, length) if length else b""
    feature = _head(kind, len(values) + length) + values
    entry = _head(1, len(key)) + key + _head(2, len(feature) + length) + feature
    return _head(1, len(entry) + length) + entry


def _int64_feature(key: bytes, content: bytes) -> bytes:
    return _feature_head(key, _INT64_LIST, len(content)) + content


@functools.lru_cache(maxsize=1024)
def _ones_feature(key: bytes, ones: int, zeros: int) -> bytes:
    return _int64_feature(key, b"\x01" * ones + bytes(zeros))


@functools.lru_cache(maxsize=1024)
def _weights_feature(ones: int, zeros: int) -> bytes:
    content = struct.pack("<f", 1.0) * ones + bytes(4 * zeros)
    return _feature_head(b"masked_lm_weights", _FLOAT_LIST, len(content)) + content


# ----------------------------------------------------------------------------------------------------------------- read


def parse_instance(payload: bytes) -> MaskedInstance:
    """A record as a MaskedInstance, padding taken off; reads records of other BERT tools too.

    Raises:
        InputError: a feature is missing or the payload is no ``tf.train.Example``.
    """
    features = parse_example(payload)
    missing = [
        name
        for name in ("input_ids", "segment_ids", "masked_lm_positions", "masked_lm_ids", "next_sentence_labels")
        if name not in features
    ]
    if missing or not len(features["next_sentence_labels"]):
        raise InputError(
            f"a record without {', '.join(missing) or 'a sentence-order label'} (only {', '.join(sorted(features))}): "
            "not a pretraining record."
        )
    ids = features["input_ids"]
    tokens = int(features["input_mask"].sum()) if "input_mask" in features else len(ids)
    weights = features.get("masked_lm_weights")
    predictions = len(features["masked_lm_ids"]) if weights is None else int((weights > 0).sum())
    return MaskedInstance(
        input_ids=ids[:tokens].astype(np.int32),
        segment_ids=features["segment_ids"][:tokens].astype(np.int32),
        positions=features["masked_lm_positions"][:predictions].astype(np.int32),
        labels=features["masked_lm_ids"][:predictions].astype(np.int32),
        swapped=bool(features["next_sentence_labels"][0]),
    )


def parse_example(payload: bytes) -> dict[str, np.ndarray]:
    """The int64 and float lists of a serialised ``tf.train.Example`` by name. Raises InputError when it is none."""
    features: dict[str, np.ndarray] = {}
    try:
        for _, features_message in _fields(payload):
            for _, entry in _fields(features_message):
                parts = dict(_fields(entry))
                for kind, content in _fields(parts.get(2, b"")):
                    if kind in (_INT64_LIST, _FLOAT_LIST):
                        features[parts[1].decode()] = _numbers(content, np.int64 if kind == _INT64_LIST else np.float32)
    except (IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise InputError("a record that is no tf.train.Example. Was the file written by another tool?") from error
    return features


def _numbers(content: bytes, dtype: type) -> np.ndarray:
    """The values of an Int64List or a FloatList, packed (one field) or not (a field a value)."""
    parts = [part for _, part in _fields(content)]
    if all(isinstance(part, bytes) for part in parts):
        if dtype is np.float32:
            return np.frombuffer(b"".join(parts), "<f4")
        return decode_varints(b"".join(parts))
    if dtype is np.float32:
        return np.frombuffer(struct.pack(f"<{len(parts)}I", *parts), "<f4")
    return np.array(parts, np.int64)


def decode_varints(content: bytes) -> np.ndarray:
    """The (n,) int64 values of packed varints.

    >>> decode_varints(bytes.fromhex("01 7f 80 01 87 a5 01")).tolist()
    [1, 127, 128, 21127]
    """
    data = np.frombuffer(content, np.uint8)
    last = np.flatnonzero(data < 0x80)
    if not len(last):
        return np.zeros(0, np.int64)
    first = np.concatenate(([0], last[:-1] + 1))
    within = np.arange(last[-1] + 1) - np.repeat(first, last - first + 1)
    return np.add.reduceat((data[: last[-1] + 1] & 0x7F).astype(np.int64) << (7 * within), first)


def _fields(message: bytes) -> Iterable[tuple[int, bytes | int]]:
    """(number, value) of each field: bytes for length-delimited ones, int for numbers."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == 2:
            length, at = _read_varint(message, at)
            if at + length > len(message):
                raise IndexError(at)
            yield tag >> 3, message[at : at + length]
            at += length
        elif kind == 0:
            value, at = _read_varint(message, at)
            yield tag >> 3, value
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            if at + width > len(message):
                raise IndexError(at)
            yield tag >> 3, int.from_bytes(message[at : at + width], "little")
            at += width
        else:
            raise IndexError(at)


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
