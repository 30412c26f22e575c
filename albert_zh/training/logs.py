"""The numbers of a run over its steps: a CSV file, right after a resume as well, and TensorBoard events."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from albert_zh.files import InputError, atomic_writer, explained, first_line

if TYPE_CHECKING:
    import tensorflow as tf

LOG_FILE = "log.csv"


class RunLog:
    """Rows (step, split, name, value) in ``log.csv`` and TensorBoard under ``tensorboard/``.

    Rows of steps after ``resumed_step`` are dropped first: the resumed run writes them again. TensorBoard's own files
    only grow, so that it shows the points of such steps twice.
    """

    HEADER = ("step", "split", "name", "value")

    def __init__(self, folder: Path, resumed_step: int = 0, write: bool = True):
        self._write = write
        if not write:
            return
        self.path = Path(folder) / LOG_FILE
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
        import tensorflow as tf  # here, so that reading a log (the report does) needs no TensorFlow

        if split not in self._events:
            self._events[split] = tf.summary.create_file_writer(str(self._folder / "tensorboard" / split))
        with explained(self.path):
            self._csv.writerows((step, split, name, repr(float(value))) for name, value in values.items())
            self._stream.flush()
        try:
            with self._events[split].as_default(step=step):
                for name, value in values.items():
                    tf.summary.scalar(name, value)
            self._events[split].flush()
        except tf.errors.OpError as error:
            raise InputError(
                f"{self._folder / 'tensorboard'}: cannot be written: {first_line(error)}. Free some space."
            ) from error

    def sync(self) -> None:
        """Forces the CSV to disk; called before a checkpoint is written, so that no log lags behind one."""
        if self._write:
            with explained(self.path):
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
        whole = (line for line in stream if line.endswith("\n"))
        return [tuple(row) for row in csv.reader(whole) if len(row) == 4 and row[0].isdigit()]


def curve(path: str | os.PathLike[str], split: str, name: str) -> tuple[list[int], list[float]]:
    """Steps and values of one quantity of a ``log.csv``."""
    rows = [row for row in read_log(path) if row[1] == split and row[2] == name]
    return [int(row[0]) for row in rows], [float(row[3]) for row in rows]


def logged(path: str | os.PathLike[str], split: str, step: int) -> dict[str, float]:
    """The values of one step of a ``log.csv`` by their names."""
    return {row[2]: float(row[3]) for row in read_log(path) if row[1] == split and int(row[0]) == step}


def progress_bar(total: int, done: int, unit: str, quiet: bool = False) -> tqdm:
    """A bar on standard error; without a terminal (nohup) a line a minute instead of many a second."""
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        unit=unit,
        disable=quiet,
        file=sys.stderr if terminal else _Lines(),
        dynamic_ncols=terminal,
        ncols=None if terminal else 100,
        mininterval=0.3 if terminal else 60,
        maxinterval=10 if terminal else 60,
    )


def say(bar: tqdm, text: str) -> None:
    """A line on standard output, above the bar where there is one on a terminal."""
    if bar.disable:
        return
    if isinstance(bar.fp, _Lines):
        print(text, flush=True)
    else:
        bar.write(text)
        sys.stdout.flush()


class _Lines:
    """Standard error as the bar's file when that is no terminal: each state is a line, where \\r would pile them up."""

    def write(self, text: str) -> None:
        if text.strip():
            sys.stderr.write(text.strip() + "\n")

    def flush(self) -> None:
        sys.stderr.flush()
