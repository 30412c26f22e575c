"""Features kept on disk from run to run, and read from there without being loaded: arrays behind a memory map.

A set of features is found by what it was made from: the rows' hash, the tokenizer's, the task and its settings, the
length. A folder is complete or not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from albert_zh.files import InputError, atomic_folder, read_json, write_json
from albert_zh.tasks import Features

#: Part of every key: to be raised when ``featurize`` of a kind comes to make other sequences of the same rows.
VERSION = 1
#: Rows from which features are kept without being asked for; below, they are made in a second or two.
KEPT_FROM = 10_000


class Ragged(Sequence):
    """Rows of many lengths, one after the other in one array.

    Args:
        values: all of them, (T,).
        bounds: int64 (n + 1,); row i is ``values[bounds[i]:bounds[i + 1]]``.
    """

    def __init__(self, values: np.ndarray, bounds: np.ndarray):
        self.values, self.bounds = values, bounds

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        row %= len(self)
        return self.values[self.bounds[row] : self.bounds[row + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        bounds = self.bounds.tolist()
        return (self.values[start:end] for start, end in itertools.pairwise(bounds))


def cached(folder: Path, made_from: Mapping[str, Any], rows: Sequence[Any], make: Callable[[], Features]) -> Features:
    """The features kept under ``folder`` for ``made_from``, or those that ``make`` makes, which are then kept.

    Args:
        folder: of all kept features.
        made_from: everything the features depend on, for JSON.
        rows: the rows they were made from, which are not kept.
        make: makes them.
    """
    key = json.dumps({"version": VERSION, **made_from}, sort_keys=True, ensure_ascii=False, default=str)
    own = folder / hashlib.sha256(key.encode()).hexdigest()[:32]
    with contextlib.suppress(OSError, ValueError, KeyError, InputError):  # missing, or damaged: made again
        return _read(own, rows)
    features = make()
    with contextlib.suppress(OSError, InputError):  # a full disk costs time, not the run
        os.makedirs(folder, exist_ok=True)
        with atomic_folder(own) as temporary:
            _write(temporary, features, json.loads(key))
        return _read(own, rows)
    return features


def _write(folder: Path, features: Features, made_from: Mapping[str, Any]) -> None:
    def ragged(name: str, values: Sequence[np.ndarray], kind: type) -> None:
        np.save(folder / f"{name}.npy", np.concatenate(list(values)).astype(kind))

    ragged("input_ids", features.input_ids, np.int32)
    ragged("segment_ids", features.segment_ids, np.uint8)
    np.save(folder / "bounds.npy", np.cumsum([0, *map(len, features.input_ids)]))
    per_token = not isinstance(features.labels, np.ndarray)
    if per_token:
        ragged("labels", features.labels, np.int32)
    else:
        np.save(folder / "labels.npy", features.labels)
    np.save(folder / "row_numbers.npy", features.row_numbers)
    for name, values in features.places.items():
        np.save(folder / f"place_{name}.npy", np.asarray(values))
    write_json(
        folder / "about.json",
        {
            "made_from": made_from,
            "per_token": per_token,
            "truncated": features.truncated,
            "choices": features.choices,
            "places": list(features.places),
        },
    )


def _read(folder: Path, rows: Sequence[Any]) -> Features:
    about = read_json(folder / "about.json")

    def array(name: str) -> np.ndarray:
        return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    bounds = np.asarray(array("bounds"))
    return Features(
        input_ids=Ragged(array("input_ids"), bounds),
        segment_ids=Ragged(array("segment_ids"), bounds),
        labels=Ragged(array("labels"), bounds) if about["per_token"] else np.asarray(array("labels")),
        rows=rows,
        row_numbers=np.asarray(array("row_numbers")),
        truncated=about["truncated"],
        choices=about["choices"],
        places={name: array(f"place_{name}") for name in about["places"]},
    )
