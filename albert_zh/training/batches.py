"""Batches as a function of (seed, step): the same rows whatever the number of replicas, resumed runs included.

Shapes: B rows, L length, P predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from albert_zh.files import InputError, first_line
from albert_zh.tasks.task import Features


class Records(Protocol):
    """What this room needs of ``pretrain.records.RecordIndex``."""

    def __len__(self) -> int: ...

    def read_many(self, indices: Sequence[int]) -> list[bytes]: ...

    def describe(self, index: int) -> str: ...

    @property
    def fingerprint(self) -> str: ...


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
        except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:  # the latter: it quotes raw bytes
            if len(rows) > 1:  # which of them?
                for row in rows:
                    self.read([row])
            reason = "no tf.train.Example" if isinstance(error, UnicodeDecodeError) else first_line(error)
            raise InputError(
                f"{self.records.describe(rows[0])}: not a pretraining record ({reason}). "
                "Make the file with create-data."
            ) from error
        batch = {}
        for name, ragged in parsed.items():
            if name == "next_sentence_labels":
                width = 1
            else:
                width = self.max_predictions if name.startswith("masked_lm") else self.max_seq_length
            lengths = np.diff(ragged.row_splits.numpy())
            self._check_lengths(name, lengths, width, rows)
            values = ragged.values.numpy()
            filled = np.zeros((size, width), np.float32 if values.dtype == np.float32 else np.int32)
            filled[: len(rows)][np.arange(width) < lengths[:, np.newaxis]] = values
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
        furthest = batch["masked_lm_positions"][: len(rows)].max(axis=1, initial=0)
        beyond = furthest >= batch["input_mask"][: len(rows)].sum(axis=1)
        if beyond.any():
            bad = int(beyond.argmax())
            raise InputError(
                f"{self.records.describe(rows[bad])}: masked_lm_positions holds {furthest[bad]}, but the row has only "
                f"{batch['input_mask'][bad].sum()} tokens. The file is damaged: make it with create-data."
            )


class FeatureBatches:
    """Batches of sequences in memory, each padded to one of a few widths near its longest sequence.

    An epoch is a permutation made from (seed, epoch), cut into stretches of ``STRETCH`` batches; within a stretch
    batches are of neighbours by length, and come in random order. So rows still meet at random, but little padding is
    computed on.

    Args:
        features: sequences and their targets; K sequences that are answered together are one row.
        size: rows a batch, B.
        pad_id: fills ``input_ids``.
        widths: at most so many different widths, chosen so that the least padding is left; 0: any multiple of 8.
        seed: of the order.
    """

    STRETCH = 32

    def __init__(
        self,
        features: Features,
        *,
        size: int,
        pad_id: int,
        widths: int = 0,
        seed: int = 0,
    ):
        self.features, self.size, self.pad_id, self.seed = features, size, pad_id, seed
        lengths = np.array([len(ids) for ids in features.input_ids]).reshape(-1, features.choices)  # (n, K)
        #: Of every row: its longest sequence, and its tokens in all.
        self.lengths, self.tokens = lengths.max(axis=1), lengths.sum(axis=1)
        self.widths = choose_widths(self.lengths, widths)
        self.per_epoch = -(-len(self.lengths) // size)
        self._epoch: tuple[int, list[np.ndarray]] = (-1, [])

    def rows(self, step: int) -> np.ndarray:
        """The row numbers of the batch of an update; the last of an epoch may hold fewer than B."""
        epoch, place = divmod(step, self.per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._order(epoch))
        return self._epoch[1][place]

    def _order(self, epoch: int) -> list[np.ndarray]:
        generator = np.random.Generator(np.random.PCG64([self.seed, epoch]))
        order, batches = generator.permutation(len(self.lengths)), []
        for start in range(0, len(order), self.size * self.STRETCH):
            stretch = order[start : start + self.size * self.STRETCH]
            stretch = stretch[np.argsort(self.lengths[stretch], kind="stable")]
            parts = [stretch[i : i + self.size] for i in range(0, len(stretch), self.size)]
            batches += [parts[i] for i in generator.permutation(len(parts))]
        return batches

    def by_length(self) -> list[np.ndarray]:
        """All rows once, shortest first, in batches of B: for evaluation."""
        order = np.argsort(self.lengths, kind="stable")
        return [order[i : i + self.size] for i in range(0, len(order), self.size)]

    def read(self, rows: Sequence[int], size: int, width: int = 0) -> dict[str, np.ndarray]:
        """Rows of these numbers, filled up to ``size`` rows that count for nothing.

        Args:
            rows: their numbers.
            size: rows of the batch.
            width: L; left out, the first of ``widths`` that holds the longest of ``rows``.

        Returns:
            ``input_ids input_mask segment_ids`` int32 (size, L), of K choices (size, K, L); ``labels`` (size, …), a
            label for each token (size, L) filled up with -1; ``row_weights`` float32 (size,).
        """
        width, choices, features = width or self.width(rows), self.features.choices, self.features
        shape = (size, width) if choices == 1 else (size, choices, width)
        flat = {name: np.zeros((size * choices, width), np.int32) for name in ("input_mask", "segment_ids")}
        flat["input_ids"] = np.full((size * choices, width), self.pad_id, np.int32)
        flat["input_mask"][:, 0] = 1  # a row of padding alone would be a softmax over nothing
        for place, row in enumerate(rows):
            for number in range(choices):
                ids, at = features.input_ids[row * choices + number], place * choices + number
                flat["input_ids"][at, : len(ids)] = ids
                flat["segment_ids"][at, : len(ids)] = features.segment_ids[row * choices + number]
                flat["input_mask"][at, : len(ids)] = 1
        batch = {name: array.reshape(shape) for name, array in flat.items()}
        if isinstance(features.labels, np.ndarray):
            batch["labels"] = np.zeros((size, *features.labels.shape[1:]), features.labels.dtype)
            batch["labels"][: len(rows)] = features.labels[np.asarray(rows)]
        else:
            batch["labels"] = np.full((size, width), -1, np.int32)
            for place, row in enumerate(rows):
                batch["labels"][place, : len(features.labels[row])] = features.labels[row]
        batch["row_weights"] = (np.arange(size) < len(rows)).astype(np.float32)
        return batch

    def width(self, rows: Sequence[int]) -> int:
        """The padded length of a batch of these rows."""
        return int(self.widths[np.searchsorted(self.widths, self.lengths[np.asarray(rows)].max())])


def choose_widths(lengths: np.ndarray, count: int) -> np.ndarray:
    """Widths, multiples of 8, of which the smallest that fits is used, so that the padded total is least.

    Args:
        lengths: of the sequences.
        count: how many widths at most; 0: every multiple of 8 up to the longest.

    >>> choose_widths(np.array([5, 6, 7, 30]), 2).tolist()
    [8, 32]
    """
    candidates = np.arange(8, -(-int(lengths.max()) // 8) * 8 + 1, 8)
    if count == 0 or count >= len(candidates):
        return candidates
    # cost[k][j]: least padded tokens of all sequences up to candidates[j] with k + 1 widths, the last of them j.
    below = np.searchsorted(np.sort(lengths), candidates, side="right")
    cost, choice = [below * candidates], []
    for _ in range(count - 1):
        # options[i, j]: the width before j is i.
        options = cost[-1][:, None] + (below[None, :] - below[:, None]) * candidates[None, :]
        options = np.where(np.arange(len(candidates))[:, None] < np.arange(len(candidates))[None, :], options, 1 << 60)
        choice.append(options.argmin(axis=0))
        cost.append(np.minimum(options.min(axis=0), 1 << 60))
    used = int(np.argmin([row[-1] for row in cost]))
    chosen, place = [len(candidates) - 1], len(candidates) - 1
    for previous in reversed(choice[:used]):
        place = int(previous[place])
        chosen.append(place)
    return candidates[sorted(chosen)]


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
