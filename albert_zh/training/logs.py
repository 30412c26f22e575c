"""The numbers of a run over its steps: a CSV file, TensorBoard events, and both right after a resume."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import tensorflow as tf
from tqdm import tqdm

from albert_zh.files import atomic_writer


class RunLog:
    """Rows (step, split, name, value) in ``log.csv`` and TensorBoard under ``tensorboard/``.

    Rows of steps after ``resumed_step`` are dropped first: the resumed run writes them again.
    """

    HEADER = ("step", "split", "name", "value")

    def __init__(self, folder: Path, resumed_step: int = 0, write: bool = True):
        self._write = write
        if not write:
            return
        self.path = Path(folder) / "log.csv"
        rows = [row for row in read_log(self.path) if int(row[0]) <= resumed_step] if resumed_step else []
        with atomic_writer(self.path) as stream:
            csv.writer(stream, lineterminator="\n").writerows([self.HEADER, *rows])
        self._stream = open(self.path, "a", encoding="utf-8", newline="")
        self._csv = csv.writer(self._stream, lineterminator="\n")
        self._events: dict[str, tf.summary.SummaryWriter] = {}
        self._folder = Path(folder)

    def add(self, step: int, split: str, values: dict[str, float]) -> None:
        """Appends values of one step; ``split`` is "train" or "dev"."""
        if not self._write:
            return
        if split not in self._events:
            self._events[split] = tf.summary.create_file_writer(str(self._folder / "tensorboard" / split))
        with self._events[split].as_default(step=step):
            for name, value in values.items():
                self._csv.writerow((step, split, name, repr(float(value))))
                tf.summary.scalar(name, value)
        self._events[split].flush()
        self._stream.flush()

    def sync(self) -> None:
        """Forces the CSV to disk; called before a checkpoint is written, so that no log lags behind one."""
        if self._write:
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        if self._write:
            self._stream.close()
            for writer in self._events.values():
                writer.close()


def read_log(path: str | os.PathLike[str]) -> list[tuple[str, str, str, str]]:
    """The rows of a ``log.csv`` without its header; a last line cut by a crash is left out."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", newline="") as stream:
        return [tuple(row) for row in csv.reader(stream) if len(row) == 4 and row[0].isdigit()]


def curve(path: str | os.PathLike[str], split: str, name: str) -> tuple[list[int], list[float]]:
    """Steps and values of one quantity of a ``log.csv``."""
    rows = [row for row in read_log(path) if row[1] == split and row[2] == name]
    return [int(row[0]) for row in rows], [float(row[3]) for row in rows]


def progress_bar(total: int, done: int, unit: str, quiet: bool = False) -> tqdm:
    """A bar on standard error; without a terminal (nohup) a line a minute instead of many a second."""
    return tqdm(
        total=total,
        initial=done,
        unit=unit,
        disable=quiet,
        dynamic_ncols=True,
        mininterval=0.3 if sys.stderr.isatty() else 60,
    )
