"""Real sentences for a model that is exported: the rows of its task, else text of this project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from albert_zh.export.options import ExportOptions
from albert_zh.export.vectors import TEXTS
from albert_zh.files import InputError, read_lines
from albert_zh.opened import OpenModel
from albert_zh.tasks import Features
from albert_zh.text.packing import pack_pair

#: The samples of the checkout this code lies in.
_DATA = Path(__file__).parents[2] / "data"


@dataclass(frozen=True)
class Sequences:
    """Sequences to be answered.

    Attributes:
        input_ids, segment_ids: n arrays of int32, unpadded.
        of: what they are, such as "dev rows of lcqmc".
        features: the same as features of the model's task; None: no rows of its task.
    """

    input_ids: Sequence[np.ndarray]
    segment_ids: Sequence[np.ndarray]
    of: str
    features: Features | None = None


def sequences(opened: OpenModel, options: ExportOptions, count: int) -> Sequences:
    """Up to ``count`` sequences: dev rows of ``--data_dir``, else of the shipped sample, else lines of text.

    Of a task whose rows are several sequences each, whole rows; the last may go beyond ``count``.

    Raises:
        InputError: ``--data_dir`` lacks the rows, or the model has no task that could have any.
    """
    length = min(options.length or opened.max_seq_length, opened.max_seq_length)
    task, folder = opened.task, options.data_dir
    if task is None and folder:
        raise InputError(f"--data_dir={folder}: {opened.where} was not fine-tuned, so it has no task with rows.")
    if task is None or not (folder or task.has("dev", _DATA / task.name)):
        return _of_text(opened, length, count)
    rows = task.read("dev", folder or _DATA / task.name)
    features = task.featurize(rows[:count], opened.tokenizer, length)
    if len(features) > count:
        features = task.featurize(rows[: _enough(features, count)], opened.tokenizer, length)
    of = f"{'dev rows' if folder else 'sample rows'} of {task.name}"
    return Sequences(features.input_ids, features.segment_ids, of, features)


def _enough(features: Features, count: int) -> int:
    """How many of the rows have ``count`` sequences, the last of them in part."""
    return int(features.row_numbers[(count - 1) // features.choices]) + 1


def _of_text(opened: OpenModel, length: int, count: int) -> Sequences:
    files = sorted(_DATA.glob("*.txt"))
    lines = [line for file in files for _, line in read_lines(file) if line.strip()] or list(TEXTS)
    lines = lines[:: max(len(lines) // count, 1)][:count]
    tokenizer, pairs = opened.tokenizer, opened.task is not None and opened.task.kind == "pair"
    encoded = [tokenizer.encode(line).ids for line in lines]
    packed = [
        pack_pair(ids, encoded[(number + 1) % len(encoded)] if pairs else None, tokenizer, length)
        for number, ids in enumerate(encoded)
    ]
    ids, segments = ([np.array(row[part], np.int32) for row in packed] for part in (0, 1))
    return Sequences(ids, segments, "lines of text")
