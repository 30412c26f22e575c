"""An exported file and the Keras model it was made from, asked the same: how far apart, and how many answers alike."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from albert_zh.convert.precision import full_float32
from albert_zh.export.card import Agreement
from albert_zh.export.network import network_of
from albert_zh.export.sentences import Sequences
from albert_zh.export.targets import Limit, Run
from albert_zh.files import InputError
from albert_zh.models.token_heads import PADDING_SCORE
from albert_zh.opened import OpenModel
from albert_zh.serve.batches import by_length
from albert_zh.serve.network import INPUTS
from albert_zh.tasks import Features

#: Sequences answered at once.
_BATCH = 16


def compare(opened: OpenModel, run: Run, asked: Sequences, limit: Limit) -> Agreement:
    """Asks both the same.

    Args:
        opened: the Keras model.
        run: the exported one.
        asked: the sequences.
        limit: what is allowed.

    Raises:
        InputError: an output is missing, of another shape, not a number, or further away than ``limit`` allows.
    """
    network = network_of(opened)
    difference, largest, total, numbers = 0.0, 1.0, 0.0, 0
    logits: list[list[np.ndarray]] = [[np.empty(0)] * len(asked.input_ids) for _ in range(2)]
    for places, inputs in by_length(asked.input_ids, asked.segment_ids, _BATCH, opened.tokenizer.pad_id):
        given = {name: inputs[name] for name in INPUTS}
        with full_float32():
            expected = {name: keras.ops.convert_to_numpy(value) for name, value in network(given).items()}
        found = run(given)
        for name, value in expected.items():
            theirs = _checked(found, name, value.shape)
            counts = given["input_mask"].astype(bool) if value.ndim == 3 else slice(None)
            gaps = np.abs(np.float64(theirs[counts]) - value[counts])
            if not np.isfinite(gaps).all():
                raise InputError(f"not written: in {name} it gives {_strange(theirs)}. Export it another way.")
            difference, largest = max(difference, gaps.max()), max(largest, np.abs(value[counts]).max())
            total, numbers = total + gaps.sum(), numbers + gaps.size
        for place, ours, theirs in zip(places, *(_logits(found_by) for found_by in (expected, found)), strict=False):
            logits[0][place], logits[1][place] = ours, theirs
    same = _same_answers(opened, asked.features, logits) if asked.features else None
    rows = len(asked.input_ids)
    shown = f"{rows} sequences ({asked.of}): largest difference {difference:.1e}, mean {total / numbers:.1e}"
    allowed = limit.difference * float(largest)
    if difference > allowed:
        raise InputError(
            f"not written: it is not the model it was made from. {shown}; {allowed:.1e} is allowed. "
            "Export it with less quantization; without any, please report it."
        )
    if same is not None and not _enough(same, len(asked.features.rows), limit):
        raise InputError(
            f"not written: only {same} of {len(asked.features.rows)} answers are the model's; "
            f"{limit.same:.0%} are wanted. {shown}. Export it with less quantization."
        )
    return Agreement(
        rows=rows if same is None else len(asked.features.rows),
        difference=float(difference),
        limit=allowed,
        same=same,
        of=asked.of,
        notes=(f"Mean difference {total / numbers:.1e}.",),
    )


def _enough(same: int, rows: int, limit: Limit) -> bool:
    """Whether so many of the rows have the model's answer; a share of whole rows, whatever float makes of it."""
    return same >= min(rows - 1, round(limit.same * rows, 6))


def _checked(found: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in found or np.shape(found[name]) != shape:
        got = np.shape(found[name]) if name in found else f"none, only {', '.join(found)}"
        raise InputError(f"not written: its {name} should be {shape}, got {got}. Please report it.")
    return np.asarray(found[name])


def _strange(values: np.ndarray) -> str:
    return "NaN" if np.isnan(values).any() else "an infinite number"


def _logits(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    return outputs.get("logits", np.empty((0,)))


def _same_answers(opened: OpenModel, features: Features, logits: list[list[np.ndarray]]) -> int | None:
    """How many rows both answer alike; None for a task whose answers are numbers."""
    task = opened.task
    if task.head.kind == "regression":
        return None
    weights = opened.model.decoding_weights() if task.head.kind == "crf" else {}
    answers = []
    for found in logits:
        predictions = task.decode(_stacked(found, features), features, **weights)
        answers.append([task.told(row, each).answer for row, each in zip(features.rows, predictions, strict=True)])
    return sum(ours == theirs for ours, theirs in zip(*answers, strict=True))


def _stacked(found: list[np.ndarray], features: Features) -> np.ndarray:
    """The logits of all sequences as ``Task.decode`` reads them: (n, C), (n / K, K), or (n, L, C)."""
    if features.choices > 1:
        return np.stack(found).reshape(-1, features.choices)
    if found[0].ndim == 1:
        return np.stack(found)
    longest = max(map(len, features.input_ids))
    stacked = np.full((len(found), longest, found[0].shape[1]), PADDING_SCORE, np.float32)
    for place, (row, ids) in enumerate(zip(found, features.input_ids, strict=True)):
        stacked[place, : len(ids)] = row[: len(ids)]
    return stacked
