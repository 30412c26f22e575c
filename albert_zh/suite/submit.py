"""``submit.zip``: the answers of every task, each file held against the test rows once more before it is packed."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from albert_zh.files import atomic_writer
from albert_zh.tasks import Task

#: Of every file in the archive: the same answers give the same bytes.
_WHEN = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Answers:
    """Where the answers of one test split are.

    Attributes:
        task: whose.
        split: of the task's submission.
        folder: finished, with the submission file.
        data_dir: with the test file.
    """

    task: Task
    split: str
    folder: Path
    data_dir: Path

    @property
    def file(self) -> Path:
        return self.folder / self.task.submission.files[self.split]


def write_submission_zip(path: Path, answers: Sequence[Answers]) -> tuple[str, ...]:
    """Writes the archive and returns the names in it; it is complete or not there.

    Raises:
        InputError: a file is missing, short, in another order than the test rows, or holds what is no label.
    """
    for part in answers:
        rows = part.task.read(part.split, part.data_dir)
        part.task.check_submission(part.folder, rows, part.split)
    with atomic_writer(path, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in answers:
            archive.writestr(
                zipfile.ZipInfo(part.file.name, _WHEN), part.file.read_bytes(), compress_type=zipfile.ZIP_DEFLATED
            )
    return tuple(part.file.name for part in answers)
