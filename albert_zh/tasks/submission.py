"""Leaderboard files: exact names, one answer a row in the order of the test file, all checked before writing."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from albert_zh.files import InputError, atomic_writer, read_json, read_lines

FORMATS = ("json_lines", "index_tsv", "json_object")


@dataclass(frozen=True)
class Submission:
    """Where a task's answers go.

    Attributes:
        files: test split to the file name the leaderboard asks for.
        format: "json_lines", lines ``{"id": 0, "label": "108"}``, or "index_tsv", lines ``0<tab>1`` under the header
            ``index<tab>prediction``, or "json_object", one object of id to answer.
    """

    files: Mapping[str, str]
    format: str = "json_lines"

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f"submission format {self.format!r} is not one of {', '.join(FORMATS)}.")


def check_ids(name: str, places: Sequence[str], ids: Sequence[object]) -> None:
    """Raises InputError unless each id, of the row at the same number of ``places``, is text or a number, and new."""
    seen: set[object] = set()
    for place, row_id in zip(places, ids, strict=True):
        if isinstance(row_id, bool) or not isinstance(row_id, str | int):
            raise InputError(f"{place}: the id {row_id!r} is neither text nor a whole number. Fix the row.")
        if row_id in seen:
            raise InputError(f"{name}: id {row_id!r} comes twice, again at {place}. Give each test row its own id.")
        seen.add(row_id)


def write_label_submission(
    submission: Submission,
    folder: str | os.PathLike[str],
    split: str,
    places: Sequence[str],
    ids: Sequence[str | int],
    answers: Sequence[str],
    labels: Sequence[str],
) -> Path:
    """Writes the file of one test split and returns its path; ``answers`` holds the label of each row.

    Raises:
        InputError: what ``check_rows`` raises, or an answer is not one of ``labels``.
    """
    check_rows(submission, split, places, ids, answers)
    for place, answer in zip(places, answers, strict=True):
        if answer not in labels:
            raise InputError(
                f"{submission.files[split]}: the answer {answer!r} for {place} is not a label of the task."
            )
    return write_answers(submission, folder, split, ids, answers)


def check_rows(
    submission: Submission, split: str, places: Sequence[str], ids: Sequence[str | int], answers: Sequence[Any]
) -> None:
    """Whether these are all rows of one test split, each with an answer.

    Args:
        places: ``file:line`` of each row, which must rise within one file: the order of the test file.
        ids: the id of each row, each once.
        answers: one of each row.

    Raises:
        InputError: no file is asked for that split, there are no rows, the counts differ, the rows are not one
            file's in order, or an id comes twice.
    """
    if split not in submission.files:
        raise InputError(
            f"no submission file is known for split {split!r}. Those known: {', '.join(submission.files) or 'none'}."
        )
    name = submission.files[split]
    if not places:
        raise InputError(f"{name}: there are no rows to answer. Predict the {split} split first.")
    if not len(places) == len(ids) == len(answers):
        raise InputError(f"{name}: {len(answers)} answers for {len(places)} rows. Predict every row of the test file.")
    spots = [(place.rpartition(":")[0], int(place.rpartition(":")[2])) for place in places]
    for before, after in itertools.pairwise(spots):
        if before[0] != after[0] or before[1] >= after[1]:
            raise InputError(
                f"{name}: row {after[0]}:{after[1]} comes after {before[0]}:{before[1]}. "
                "A submission answers one test file, in its order."
            )
    check_ids(name, places, ids)


def write_answers(
    submission: Submission,
    folder: str | os.PathLike[str],
    split: str,
    ids: Sequence[str | int],
    answers: Sequence[Any],
) -> Path:
    """Writes checked answers, one for each id, in the format of the submission; returns the path."""
    path = Path(folder, submission.files[split])
    pairs = list(zip(ids, answers, strict=True))
    with atomic_writer(path) as stream:
        if submission.format == "index_tsv":
            stream.write("index\tprediction\n")
            stream.writelines(f"{row_id}\t{answer}\n" for row_id, answer in pairs)
        elif submission.format == "json_object":
            json.dump(dict(pairs), stream, ensure_ascii=False, indent=1)
            stream.write("\n")
        else:
            stream.writelines(
                json.dumps({"id": row_id, "label": answer}, ensure_ascii=False) + "\n" for row_id, answer in pairs
            )
    return path


def check_submission(
    path: str | os.PathLike[str], submission: Submission, ids: Sequence[object], labels: Sequence[str]
) -> None:
    """Holds a written file of labels against the rows of its test file; see ``check_answers``.

    Raises:
        InputError: also when an answer is not one of ``labels``.
    """
    for where, answer in check_answers(path, submission, ids):
        if answer not in labels:
            raise InputError(f"{where}: {answer!r} is not a label of the task. {_AGAIN}")


_AGAIN = "Predict the test file again."


def check_answers(path: str | os.PathLike[str], submission: Submission, ids: Sequence[object]) -> list[tuple[str, Any]]:
    """(``file:line``, answer) of every row of a written file, once it was held against the ids of the test rows.

    Args:
        path: the file.
        submission: its format.
        ids: of the test rows, in their order.

    Raises:
        InputError: it is missing, or has not one answer a row in the order of the rows.
    """
    answers = list(_answers_in(path, submission.format))
    if submission.format != "json_lines":  # whose keys are text
        ids = [str(row_id) for row_id in ids]
    if len(answers) != len(ids):
        raise InputError(f"{path}: {len(answers):,} answers for {len(ids):,} test rows. {_AGAIN}")
    for (where, row_id, _), expected in zip(answers, ids, strict=True):
        if row_id != expected:
            raise InputError(f"{where}: the answer of row {row_id!r} stands where row {expected!r} is due. {_AGAIN}")
    return [(where, answer) for where, _, answer in answers]


def _answers_in(path: str | os.PathLike[str], kind: str) -> Iterator[tuple[str, Any, Any]]:
    """(``file:line``, id, answer) of every answer in a file."""
    if kind == "json_object":
        values = read_json(path)
        yield from ((str(path), row_id, answer) for row_id, answer in values.items())
        return
    lines = [(number, line) for number, line in read_lines(path) if line]
    if kind == "index_tsv":
        if not lines or lines[0][1] != "index\tprediction":
            raise InputError(f"{path}:1: no header index<tab>prediction. {_AGAIN}")
        for number, line in lines[1:]:
            row_id, _, answer = line.partition("\t")
            yield f"{path}:{number}", row_id, answer
        return
    for number, line in lines:
        try:
            row = json.loads(line)
            yield f"{path}:{number}", row["id"], row["label"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f'{path}:{number}: no {{"id": …, "label": …}}. {_AGAIN}') from error
