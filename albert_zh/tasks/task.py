"""The task contract: the five verbs every task answers, and the values that pass between them.

    rows        = task.read("dev", data_dir)                       # 1. what the files say
    features    = task.featurize(rows, tokenizer, max_seq_length)  # 2. what the network reads
    head        = task.head                                        # 3. what the network must end in, as data
    predictions = task.decode(logits, features)                    # 4. what its numbers mean
    scores      = task.score(predictions, rows)                    # 5. how good that is; scores[task.main_metric]

and, for a leaderboard, ``task.write_submission(folder, rows, predictions, split)``. A kind of task (classification,
regression, winograd, span, choice, tagging) is one file with one subclass; a data set of a known kind is one row of
``TASKS``. What a row holds is the kind's own: every row has ``where`` and ``id``.
"""

from __future__ import annotations

import abc
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_zh.files import InputError, sha256
from albert_zh.tasks.metrics import CORRELATIONS
from albert_zh.tasks.submission import Submission

if TYPE_CHECKING:
    from albert_zh.tasks.baselines import TrivialBaseline
    from albert_zh.text.tokenizer import Tokenizer

#: The ``--task_name`` of a user's own files; no row of ``TASKS``.
CUSTOM = "custom"


@dataclass(frozen=True)
class Row:
    """One row of a data file.

    Attributes:
        where: ``file:line`` the row was read from.
        text_a: the sentence, or the first of the pair.
        text_b: the second of the pair; None when there is one sentence.
        label: the gold label, or number, as text; None where the file holds none.
        id: the row's ``id`` in its file, else its number in the split, from 0.
    """

    where: str
    text_a: str
    text_b: str | None = None
    label: str | None = None
    id: str | int | None = None


@dataclass(frozen=True)
class Features:
    """What the network reads of a split; entry n of every list is sequence n, unpadded.

    Attributes:
        input_ids: n arrays of int32, each as long as its sequence, special tokens included.
        segment_ids: n arrays of int32 of the same lengths, 0 for the first text and 1 for the second.
        labels: targets in the form the head's loss takes; classification: int32 (n,), -1 where there is no gold;
            regression: float32 (n,), nan where there is none; choice: int32 (n / K,), -1 where there is no gold; span:
            int32 (n, 2), the places of the first and last token of the answer, both 0 for no answer in this window, -1
            where there is no gold; tagging: n arrays of int32, a tag for each token of the sequence, -1 for none.
        rows: the rows the sequences were made from.
        row_numbers: int32, the place in ``rows`` of each sequence, or of each K of them; a kind that cuts a long row
            into windows makes several sequences of one row.
        truncated: sequences that were cut to ``max_seq_length``.
        choices: K, sequences that make one example, one after the other; the head answers them together.
        places: what the kind needs to find its way back from tokens to characters, as arrays by name.
    """

    input_ids: Sequence[np.ndarray]
    segment_ids: Sequence[np.ndarray]
    labels: np.ndarray | Sequence[np.ndarray]
    rows: Sequence[Any]
    row_numbers: np.ndarray
    truncated: int = 0
    choices: int = 1
    places: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True)
class HeadSpec:
    """The head a task needs.

    Attributes:
        kind: "classification" (scores of labels), "regression" (numbers), one vector a sequence; "cloze" (scores
            of words in the blanks, by the masked-LM head); "choice" (a score for each of K sequences); "span" (a score
            of beginning and one of ending, for each token); "tagging" or "crf" (scores of tags for each token, and for
            the latter of tags that follow each other).
        outputs: its width.
        mean, spread: the outputs times ``spread`` plus ``mean`` are what the task decodes.
        words: of a cloze: the ids, K each, of the word of every output.
        mask_id: of a cloze: what stands in the K blanks of every sequence.
    """

    kind: str
    outputs: int
    mean: float = 0.0
    spread: float = 1.0
    words: tuple[tuple[int, ...], ...] = ()
    mask_id: int = 0


@dataclass(frozen=True)
class Told:
    """A row and its answer as people read them, for reports.

    Attributes:
        text_a, text_b: of the row.
        gold: the right answer; None: unknown.
        answer: the prediction.
        confidence: its probability; None where it has none.
    """

    text_a: str
    text_b: str | None
    gold: str | None
    answer: str
    confidence: float | None = None


@dataclass(frozen=True)
class Prediction:
    """The answer for one row: the label, and the probability of every label in the task's order (they sum to 1)."""

    label: str
    probabilities: tuple[float, ...]

    @property
    def confidence(self) -> float:
        """Probability of the answer."""
        return max(self.probabilities)


@dataclass(frozen=True)
class Recipe:
    """Fine-tuning settings known to work for ALBERT-tiny; larger sizes want a lower learning rate.

    Attributes:
        max_seq_length: tokens of a sequence, special tokens included.
        batch_size: rows a step.
        learning_rate: peak of the schedule.
        epochs: passes over the training rows.
        learning_rates: rates worth sweeping, where some were published.
    """

    max_seq_length: int
    batch_size: int
    learning_rate: float
    epochs: int
    learning_rates: tuple[float, ...] = ()


@dataclass(frozen=True)
class PublishedScore:
    """A published score of the main metric, as a share (0.854 is 85.4%); None where none was published."""

    model: str
    dev: float | None = None
    test: float | None = None


@dataclass(frozen=True, kw_only=True)
class Task(abc.ABC):
    """One data set and what is done with it.

    Attributes:
        name: the ``--task_name``.
        kind: the kind of task: "single" or "pair" (of sentences), "winograd" (a text with two marked spans), "span"
            (the answer is a piece of a passage), "choice" (one of several texts), "tagging" (pieces of a text, typed).
        files: split name to the file names it may have, tried in order; a tuple of names is files, or folders of
            files, that make up the split together. Splits: train, dev, by which the best model is kept, further ones
            with gold whose names begin with dev, and test and others whose names begin with it, which may lack gold.
        main_metric: key of ``score`` by which the best model is kept; higher is better.
        more_metrics: keys of ``score`` that are told beside it.
        recipe: fine-tuning settings.
        published: scores of published models.
        submission: leaderboard file of each test split, or None.
        about: what the data set is, one line.
        labels: the label set, in the order of the head's outputs; empty where the answers are no labels.
        label_names: what a label stands for, for people.
    """

    name: str
    kind: str
    files: Mapping[str, tuple[str | tuple[str, ...], ...]]
    main_metric: str
    recipe: Recipe
    more_metrics: tuple[str, ...] = ()
    published: tuple[PublishedScore, ...] = ()
    submission: Submission | None = None
    about: str = ""
    labels: tuple[str, ...] = ()
    label_names: Mapping[str, str] = field(default_factory=dict)

    @property
    @abc.abstractmethod
    def head(self) -> HeadSpec:
        """The head the network must end in."""

    @abc.abstractmethod
    def read(self, split: str, data_dir: str | os.PathLike[str]) -> list[Any]:
        """All rows of a split, in file order.

        Raises:
            InputError: the split's file is missing or empty, or a row is malformed; names file and line.
        """

    @abc.abstractmethod
    def featurize(self, rows: Sequence[Any], tokenizer: Tokenizer, max_seq_length: int) -> Features:
        """The sequences of ``rows``, each at most ``max_seq_length`` tokens."""

    @abc.abstractmethod
    def decode(self, logits: Any, features: Features, **weights: np.ndarray) -> list[Any]:
        """One prediction a row.

        Args:
            logits: the head's output, whose entry n belongs to sequence n of ``features``, or to its n-th group of K
                choices; of heads that answer for each token (n, L, C), L that of the longest sequence.
            features: the sequences.
            weights: what else of the model decides, such as the transitions of a CRF.
        """

    @abc.abstractmethod
    def score(self, predictions: Sequence[Any], rows: Sequence[Any]) -> dict[str, float]:
        """Metrics of predictions on rows with gold: ``main_metric``, the 95% interval of it (``…_low``, ``…_high``),
        ``rows``, and others."""

    @abc.abstractmethod
    def sample(self, rows: Sequence[Any], count: int, seed: int) -> list[Any]:
        """A few of the training rows, ``count`` of every label or where there are no labels in all; in file order,
        the same for the same seed."""

    @property
    def sampled_by(self) -> tuple[str, ...]:
        """The labels of which ``sample`` draws each; empty where it draws from all rows together."""
        return self.labels

    def groups(self, row: Any) -> tuple[str, ...]:
        """The labels of ``sampled_by`` that a row counts for."""
        return (row.label,)

    @abc.abstractmethod
    def trivial_baselines(self, train: Sequence[Any], scored: Sequence[Any]) -> tuple[TrivialBaseline, ...]:
        """What rules without a model score on ``scored``, by ``main_metric``."""

    @abc.abstractmethod
    def write_predictions(self, path: str | os.PathLike[str], rows: Sequence[Any], predictions: Sequence[Any]) -> Path:
        """Writes every row with its prediction, for people and for later analysis; atomic."""

    @abc.abstractmethod
    def read_predictions(self, path: str | os.PathLike[str]) -> list[Any]:
        """The predictions of a ``.tsv`` that ``write_predictions`` wrote. Raises InputError (file:line)."""

    @abc.abstractmethod
    def hardest(self, rows: Sequence[Any], predictions: Sequence[Any], count: int) -> tuple[list[int], list[int]]:
        """Places of the rows most worth reading: the gravest mistakes, and the least certain answers."""

    @abc.abstractmethod
    def told(self, row: Any, prediction: Any) -> Told:
        """A row and its answer as people read them."""

    @abc.abstractmethod
    def check_submission(self, folder: str | os.PathLike[str], rows: Sequence[Any], split: str) -> Path:
        """Holds the leaderboard's file in a folder against the rows of its test split, and returns its path.

        Raises:
            InputError: it is missing, short, in another order, or an answer is none that can be.
        """

    @abc.abstractmethod
    def write_submission(
        self,
        folder: str | os.PathLike[str],
        rows: Sequence[Any],
        predictions: Sequence[Any],
        split: str = "test",
    ) -> Path:
        """Writes the leaderboard's file for a whole test split; checks names, order and counts first; atomic."""

    def named(self, data_dir: str | os.PathLike[str]) -> Task:
        """This task with what a folder of its rows says of its labels; most folders say nothing."""
        return self

    def fitted(self, rows: Sequence[Any]) -> Task:
        """This task as it is learned from the training rows: their unit, for a task that has one."""
        return self

    def targeted(self, features: Features) -> Features:
        """Features with the targets of this task, once it was ``fitted``."""
        return features

    def tuned(self, predictions: Sequence[Any], rows: Sequence[Any]) -> Task:
        """This task with what is chosen on dev: a threshold, for a task that has one."""
        return self

    def retold(self, predictions: Sequence[Any]) -> Sequence[Any]:
        """Predictions as this task, once it was ``tuned``, gives them."""
        return predictions

    @property
    def settings(self) -> dict[str, Any]:
        """What a finished model must know of the task beside its name, for JSON."""
        return {}

    def with_settings(self, settings: Mapping[str, Any]) -> Task:
        """The task of which ``settings`` were kept."""
        return self

    def has_gold(self, row: Any) -> bool:
        """Whether the right answer of a row is known."""
        return row.label is not None

    def breakdown(self, predictions: Sequence[Any], rows: Sequence[Any]) -> tuple[tuple[str, ...], ...]:
        """The scores in parts, for reports: a head and its rows; empty where there is nothing more to say."""
        return ()

    def shown(self, score: float, metric: str = "") -> str:
        """A value of a metric, the main one if none is named, as people read it."""
        return f"{score:.4f}" if (metric or self.main_metric) in CORRELATIONS else f"{score:.2%}"

    def further_dev(self, data_dir: str | os.PathLike[str]) -> tuple[str, ...]:
        """The splits in the folder that are scored as dev is, and choose nothing."""
        return tuple(
            name for name in self.files if name.startswith("dev") and name != "dev" and self.has(name, data_dir)
        )

    def tests(self, data_dir: str | os.PathLike[str]) -> tuple[str, ...]:
        """The test splits in the folder."""
        return tuple(name for name in self.files if name.startswith("test") and self.has(name, data_dir))

    def has(self, split: str, data_dir: str | os.PathLike[str]) -> bool:
        """Whether the folder holds the files of the split."""
        return any(_all_there(Path(data_dir), group) for group in self.files.get(split, ()))

    def find(self, split: str, data_dir: str | os.PathLike[str]) -> Path:
        """The file of a split that is one file; see ``find_all``."""
        return self.find_all(split, data_dir)[0]

    def find_all(self, split: str, data_dir: str | os.PathLike[str]) -> tuple[Path, ...]:
        """The files, or folders of files, of a split. One split never stands in for another.

        Raises:
            InputError: the task has no such split, or the folder has none of its files; lists what was looked for.
        """
        if split not in self.files:
            raise InputError(f"{self.name} has no split {split!r}. Its splits are {', '.join(self.files)}.")
        folder = Path(data_dir)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder. Give the folder that holds the {self.name} files.")
        for group in self.files[split]:
            if _all_there(folder, group):
                return tuple(folder / name for name in _names(group))
        there = sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))[:12]
        looked_for = ", ".join(" with ".join(_names(group)) for group in self.files[split])
        raise InputError(
            f"{folder}: no {split} file of {self.name}. Looked for {looked_for}; "
            f"the folder holds {', '.join(there) or 'nothing'}. Rename the file or give another folder."
        )

    def fingerprint(self, split: str, data_dir: str | os.PathLike[str]) -> str:
        """SHA-256 (hex) of the split's file; of several files, of their names and hashes. Raises what ``find`` does."""
        found = self.find_all(split, data_dir)
        if len(found) == 1 and found[0].is_file():
            return sha256(found[0])
        files = [file for path in found for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
        listed = "".join(f"{file.relative_to(data_dir)} {sha256(file)}\n" for file in files if file.is_file())
        return hashlib.sha256(listed.encode()).hexdigest()


def _names(group: str | tuple[str, ...]) -> tuple[str, ...]:
    return (group,) if isinstance(group, str) else group


def _all_there(folder: Path, group: str | tuple[str, ...]) -> bool:
    return all((folder / name).exists() for name in _names(group))


def paired(rows: Sequence[Any], predictions: Sequence[Any]) -> None:
    """Raises ValueError unless there is exactly one prediction a row."""
    if len(rows) != len(predictions):
        raise ValueError(f"{len(predictions)} predictions for {len(rows)} rows: give one a row, in the same order.")
