"""An exported file and the Keras model it was made from, asked the same: how far apart, and how many answers alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np

from albert_zh.convert.precision import full_float32
from albert_zh.export.network import network_of
from albert_zh.export.sentences import Sequences
from albert_zh.export.targets import Limit, Run
from albert_zh.files import InputError
from albert_zh.models.token_heads import gathered
from albert_zh.opened import OpenModel
from albert_zh.serve.batches import by_length
from albert_zh.serve.network import INPUTS
from albert_zh.tasks import Features

#: Sequences answered at once.
_BATCH = 16


@dataclass(frozen=True)
class Agreement:
    """How an exported file compared with the Keras model it was made from.

    Attributes:
        rows: sequences both answered.
        difference: largest absolute difference of their outputs.
        limit: the largest that was allowed.
        same: rows with the same answer; None where there is none to compare.
        of: what the rows were, such as "dev rows of lcqmc".
        notes: further sentences.
    """

    rows: int
    difference: float
    limit: float
    same: int | None = None
    of: str = "rows"
    notes: Sequence[str] = field(default=())


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
    logits: tuple[list, list] = ([], [])  # of both: the places of a batch, and its logits
    longest = max(map(len, asked.input_ids))  # a file may take no more
    for places, inputs in by_length(asked.input_ids, asked.segment_ids, _BATCH, opened.tokenizer.pad_id, longest):
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
        if asked.features:
            for batches, outputs in zip(logits, (expected, found), strict=True):
                batches.append((places, outputs["logits"]))
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


def _same_answers(opened: OpenModel, features: Features, logits: tuple[list, list]) -> int | None:
    """How many rows both answer alike; None for a task whose answers are numbers."""
    task = opened.task
    if task.head.kind == "regression":
        return None
    weights = opened.model.decoding_weights() if task.head.kind == "crf" else {}
    answers = []
    for batches in logits:
        found = gathered(batches, list(map(len, features.input_ids)))
        found = found.reshape(-1, features.choices) if features.choices > 1 else found  # (n, 1) -> (n / K, K)
        predictions = task.decode(found, features, **weights)
        answers.append([task.told(row, each).answer for row, each in zip(features.rows, predictions, strict=True)])
    return sum(ours == theirs for ours, theirs in zip(*answers, strict=True))
