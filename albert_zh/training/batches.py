"""Batches as a function of (seed, step): the same rows whatever the number of replicas, resumed runs included.

Shapes: B rows, L length, P predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from albert_zh.files import InputError


class Records(Protocol):
    """What this room needs of ``pretrain.records.RecordIndex``."""

    def __len__(self) -> int: ...

    def read_many(self, indices: Sequence[int]) -> list[bytes]: ...

    def describe(self, index: int) -> str: ...


class ShuffledOrder:
    """An endless stream of row numbers: every epoch is a permutation of its own, made from (seed, epoch)."""

    def __init__(self, size: int, seed: int):
        self.size, self.seed = size, seed
        self._epochs: dict[int, np.ndarray] = {}

    def _epoch(self, epoch: int) -> np.ndarray:
        if epoch not in self._epochs:
            generator = np.random.Generator(np.random.PCG64([self.seed, epoch]))
            kept = {number: rows for number, rows in self._epochs.items() if number == epoch - 1}
            self._epochs = kept | {epoch: generator.permutation(self.size)}
        return self._epochs[epoch]

    def rows(self, start: int, count: int) -> np.ndarray:
        """The row numbers at positions ``start`` to ``start + count`` of the stream, int (count,)."""
        parts = []
        while count > 0:
            epoch, offset = divmod(start, self.size)
            part = self._epoch(epoch)[offset : offset + count]
            parts.append(part)
            start, count = start + len(part), count - len(part)
        return np.concatenate(parts)


_INTEGERS = "input_ids input_mask segment_ids masked_lm_positions masked_lm_ids next_sentence_labels".split()
_SPECIFICATION = {name: tf.io.RaggedFeature(tf.int64) for name in _INTEGERS} | {
    "masked_lm_weights": tf.io.RaggedFeature(tf.float32)
}


class PretrainingBatches:
    """Batches from pretraining records, padded or not.

    Args:
        records: the record files.
        max_seq_length: L; longer records are refused.
        max_predictions: P; records with more are refused.
        vocab_size: V of the model; larger ids are refused.
    """

    def __init__(self, records: Records, max_seq_length: int, max_predictions: int, vocab_size: int):
        self.records, self.vocab_size = records, vocab_size
        self.max_seq_length, self.max_predictions = max_seq_length, max_predictions

    def read(self, rows: Sequence[int], size: int | None = None) -> dict[str, np.ndarray]:
        """The records of these numbers as one batch, filled up to ``size`` rows that count for nothing.

        Returns:
            ``input_ids input_mask segment_ids`` int32 (B, L), ``masked_lm_positions masked_lm_ids`` int32 (B, P),
            ``masked_lm_weights`` float32 (B, P), ``next_sentence_labels`` int32 (B,), ``row_weights`` float32 (B,).

        Raises:
            InputError: a record does not fit L, P or V, or is no pretraining record.
        """
        size = len(rows) if size is None else size
        try:
            parsed = tf.io.parse_example(self.records.read_many(rows), _SPECIFICATION)
        except tf.errors.InvalidArgumentError as error:
            raise InputError(
                f"{self.records.describe(rows[0])}: not a pretraining record ({str(error).splitlines()[0]}). "
                "Make the file with create-data."
            ) from error
        batch = {}
        for name, ragged in parsed.items():
            if name == "next_sentence_labels":
                width = 1
            else:
                width = self.max_predictions if name.startswith("masked_lm") else self.max_seq_length
            lengths = ragged.row_lengths().numpy()
            self._check_lengths(name, lengths, width, rows)
            array = ragged.to_tensor(shape=[len(rows), width]).numpy()
            filled = np.zeros((size, width), np.float32 if array.dtype == np.float32 else np.int32)
            filled[: len(rows)] = array
            batch[name] = filled
        self._check_ids(batch, rows)
        batch["next_sentence_labels"] = batch["next_sentence_labels"][:, 0]
        batch["row_weights"] = (np.arange(size) < len(rows)).astype(np.float32)
        return batch

    def _check_lengths(self, name: str, lengths: np.ndarray, width: int, rows: Sequence[int]) -> None:
        flag = "--max_predictions_per_seq" if name.startswith("masked_lm") else "--max_seq_length"
        worst = int(lengths.argmax())
        if lengths[worst] > width:
            raise InputError(
                f"{self.records.describe(rows[worst])}: {name} holds {lengths[worst]} values, more than "
                f"{flag}={width}. Give {flag}={lengths[worst]} (the value the records were made with) or more."
            )
        if not name.startswith("masked_lm") and lengths.min() == 0:
            bad = rows[int(lengths.argmin())]
            raise InputError(f"{self.records.describe(bad)}: no {name}: not a pretraining record. Use create-data.")

    def _check_ids(self, batch: dict[str, np.ndarray], rows: Sequence[int]) -> None:
        for name in ("input_ids", "masked_lm_ids"):
            highest = batch[name].max(axis=1, initial=0)
            if highest.max(initial=0) >= self.vocab_size:
                bad = int(highest.argmax())
                raise InputError(
                    f"{self.records.describe(rows[bad])}: {name} holds id {highest[bad]}, but the model's vocabulary "
                    f"has {self.vocab_size} entries. The records were made with another vocabulary."
                )


def prefetched(make: Callable[[int], Any], start: int, stop: int) -> Iterator[tuple[int, Any]]:
    """Yields (i, make(i)) from start to stop; the next one is made on a thread while the caller uses this one."""
    if start >= stop:
        return
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(make, start)
        for i in range(start, stop):
            current = following.result()
            if i + 1 < stop:
                following = pool.submit(make, i + 1)
            yield i, current
