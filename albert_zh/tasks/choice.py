"""Multiple choice: a passage, a question and texts of which one is the answer, each scored in a sequence of its own.

    [CLS] passage [SEP] question choice [SEP]

for each of K choices; what a row lacks of K is a sequence of [CLS] alone, which is never the answer. The softmax of
the K scores is the answer's probability (Radford et al. 2018, section 3.3; Devlin et al. 2018, section 4.4).

Shapes: n rows, K choices.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_zh.files import InputError
from albert_zh.tasks import metrics
from albert_zh.tasks.baselines import TrivialBaseline
from albert_zh.tasks.choice_readers import ChoiceRow
from albert_zh.tasks.sampling import sampled
from albert_zh.tasks.submission import check_answers, check_ids, write_answers
from albert_zh.tasks.tables import read_table, write_table
from albert_zh.tasks.task import Features, HeadSpec, Task, Told, paired

if TYPE_CHECKING:
    from albert_zh.text.tokenizer import Tokenizer

#: Characters of a passage that a report shows.
_SHOWN = 240
#: Tokens below which a sequence has no room for two texts worth reading.
SHORTEST = 16


@dataclass(frozen=True)
class Choice:
    """The answer to one question: its place among the row's choices, and the probability of each (they sum to 1)."""

    number: int
    probabilities: tuple[float, ...]

    @property
    def confidence(self) -> float:
        """Probability of the answer."""
        return self.probabilities[self.number]


@dataclass(frozen=True)
class Sequenced:
    """One sequence: its ids, int32; how many of them are of segment 0; whether a text was cut to fit."""

    ids: np.ndarray
    first: int
    cut: bool


@dataclass(frozen=True, kw_only=True)
class ChoiceTask(Task):
    """Questions answered by one of several texts (``kind`` "choice").

    Attributes:
        choices: K, the most choices that a row may have.
        reader: files of a split and its name -> rows.
    """

    kind: str = "choice"
    main_metric: str = "accuracy"
    choices: int
    reader: Callable[[Sequence[Path], str], list[ChoiceRow]]

    @property
    def head(self) -> HeadSpec:
        return HeadSpec("choice", 1)

    # 1. Read

    def read(self, split: str, data_dir: str | os.PathLike[str]) -> list[ChoiceRow]:
        """All rows of a split, in file order; see ``choice_readers``. Only test splits may lack answers.

        Raises:
            InputError: a file is missing, malformed or holds no rows; a row has more than ``choices`` choices.
        """
        paths = self.find_all(split, data_dir)
        rows = self.reader(paths, split)
        for row in rows:
            if len(row.choices) > self.choices:
                raise InputError(
                    f"{row.where}: {len(row.choices)} choices; a row of {self.name} has at most {self.choices}. Fix it."
                )
        if not rows:
            raise InputError(f"{paths[0]}: no questions in it. Give the {split} files of {self.name}.")
        if self.submission and split in self.submission.files:  # not after hours of training
            check_ids(self.submission.files[split], [row.where for row in rows], [row.id for row in rows])
        return rows

    def sample(self, rows: Sequence[ChoiceRow], count: int, seed: int) -> list[ChoiceRow]:
        """``count`` questions in all; see ``sampling.sampled``."""
        return sampled(rows, count, seed)

    # 2. Featurize

    def featurize(self, rows: Sequence[ChoiceRow], tokenizer: Tokenizer, max_seq_length: int) -> Features:
        """K sequences of every row; each distinct text is tokenised once.

        Raises:
            InputError: ``max_seq_length`` leaves no room for the texts.
        """
        if max_seq_length < SHORTEST:
            raise InputError(f"max_seq_length is {max_seq_length}: too short for two texts. Use {SHORTEST} or more.")
        absent = Sequenced(np.array([tokenizer.cls_id], np.int32), 1, False)
        segments_of: dict[tuple[int, int], np.ndarray] = {}  # one array for all sequences of the same two lengths
        input_ids, segment_ids, truncated = [], [], 0
        for row, sequences in zip(rows, self.sequences(rows, tokenizer, max_seq_length), strict=True):
            for each in [*sequences, *[absent] * (self.choices - len(row.choices))]:
                key = each.first, len(each.ids)
                if key not in segments_of:
                    segments_of[key] = np.repeat(np.array([0, 1], np.int32), [key[0], key[1] - key[0]])
                input_ids.append(each.ids)
                segment_ids.append(segments_of[key])
                truncated += each.cut
        return Features(
            input_ids=input_ids,
            segment_ids=segment_ids,
            labels=np.array([-1 if row.label is None else row.label for row in rows], np.int32),
            rows=rows,
            row_numbers=np.arange(len(rows), dtype=np.int32),
            truncated=truncated,
            choices=self.choices,
        )

    def sequences(
        self, rows: Sequence[ChoiceRow], tokenizer: Tokenizer, max_seq_length: int
    ) -> Iterator[list[Sequenced]]:
        """Yields the sequences of each row, one a choice.

        Of two texts that are too long the first is cut at its end, but the second has no more than half of the room
        then, and is cut farthest from the choice.
        """
        ids_of: dict[str, np.ndarray] = {}
        head, tail = np.array([tokenizer.cls_id], np.int32), np.array([tokenizer.sep_id], np.int32)
        room = max_seq_length - 3
        for row in rows:
            sequences = []
            for choice in row.choices:
                texts = self.texts(row, choice)
                for text in texts:
                    if text not in ids_of:
                        ids_of[text] = np.array(tokenizer.encode(text).ids, np.int32)
                first, before, answer, after = (ids_of[text] for text in texts)
                whole = len(first) + len(before) + len(answer) + len(after)
                second = around(before, answer, after, max(room - len(first), room // 2))
                first = first[: room - len(second)]
                ids = np.concatenate([head, first, tail, second, tail])
                sequences.append(Sequenced(ids, len(first) + 2, whole > room))
            yield sequences

    def texts(self, row: ChoiceRow, choice: str) -> tuple[str, str, str, str]:
        """The first text of a sequence, and the second one in three: before, at and after the choice."""
        return row.context, row.question, choice, ""

    # 4. Decode

    def decode(self, logits: np.ndarray, features: Features, **weights: np.ndarray) -> list[Choice]:
        """The most probable choice of every row among its own; logits (n, K).

        Raises:
            ValueError: the logits are not (n, K), or one that counts is not finite.
        """
        rows, logits = features.rows, np.asarray(logits, np.float64)
        if logits.shape != (len(rows), self.choices):
            raise ValueError(f"{self.name}: logits {logits.shape} are not ({len(rows)}, {self.choices}).")
        counts = np.array([len(row.choices) for row in rows])
        own = np.arange(self.choices) < counts[:, None]
        if not np.isfinite(logits[own]).all():
            raise ValueError(f"{self.name}: a logit is not finite: the training of this model diverged.")
        scores = np.where(own, logits, -np.inf)
        scores -= scores.max(axis=1, keepdims=True)  # no overflow
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        shares = np.exp(scores)
        return [
            Choice(int(number), tuple(row[:count].tolist()))
            for number, row, count in zip(self.answers(scores, rows), shares, counts, strict=True)
        ]

    def answers(self, scores: np.ndarray, rows: Sequence[ChoiceRow]) -> np.ndarray:
        """The place of each row's answer, int (n,), by log-probabilities (n, K), -inf where there is no choice."""
        return scores.argmax(axis=1)

    # 5. Score

    def score(self, predictions: Sequence[Choice], rows: Sequence[ChoiceRow]) -> dict[str, float]:
        """``accuracy`` with its 95% bootstrap interval (``accuracy_low``, ``accuracy_high``) and the number of
        ``rows``; shares, not percent.

        Raises:
            InputError: a row has no gold answer.
        """
        right = self._right(predictions, rows)
        low, high = metrics.accuracy_interval(int(right.sum()), len(right))
        return {
            "accuracy": float(right.mean()),
            "accuracy_low": low,
            "accuracy_high": high,
            "rows": float(len(right)),
        }

    def _right(self, predictions: Sequence[Choice], rows: Sequence[ChoiceRow]) -> np.ndarray:
        """Whether each row is answered right, bool (n,)."""
        paired(rows, predictions)
        for row in rows:
            if row.label is None:
                raise InputError(f"{row.where}: no gold answer, so there is nothing to score. Score train or dev rows.")
        return np.array([each.number == row.label for row, each in zip(rows, predictions, strict=True)])

    def breakdown(self, predictions: Sequence[Choice], rows: Sequence[ChoiceRow]) -> tuple[tuple[str, ...], ...]:
        parts = dict.fromkeys(row.part for row in rows)
        if len(parts) < 2:
            return ()
        right = self._right(predictions, rows)
        places = {part: np.array([row.part == part for row in rows]) for part in parts}
        return (
            ("部分 part", "题数 questions", "准确率 accuracy"),
            *((part, f"{own.sum():,}", f"{right[own].mean():.2%}") for part, own in places.items()),
        )

    def trivial_baselines(self, train: Sequence[ChoiceRow], scored: Sequence[ChoiceRow]) -> tuple[TrivialBaseline, ...]:
        """The place that is most often right among the scored rows themselves, the strictest constant answer; and
        ``guess``."""
        gold = Counter(row.label for row in scored)
        constant = TrivialBaseline(
            "最常见位置 most frequent place",
            max(gold.values()) / len(scored),
            "always the place that is right most often in these rows",
        )
        name, rule, numbers = self.guess(train, scored)
        right = float(np.mean([number == row.label for number, row in zip(numbers, scored, strict=True)]))
        return constant, TrivialBaseline(name, right, rule)

    def guess(self, train: Sequence[ChoiceRow], scored: Sequence[ChoiceRow]) -> tuple[str, str, list[int]]:
        """Answers by a rule that reads no sentence: its name, the rule in words, the place it answers in every row."""
        numbers = [_most(shared_bigrams(choice, row.context) for choice in row.choices) for row in scored]
        return (
            "字符重合 character overlap",
            "the choice of which the largest share of pairs of neighbouring characters is in the passage; the first of "
            "equals",
            numbers,
        )

    def hardest(
        self, rows: Sequence[ChoiceRow], predictions: Sequence[Choice], count: int
    ) -> tuple[list[int], list[int]]:
        """The mistakes made with most confidence, and the answers with the smallest lead."""
        paired(rows, predictions)
        wrong = [n for n, row in enumerate(rows) if row.label is not None and predictions[n].number != row.label]
        mistakes = sorted(wrong, key=lambda n: -predictions[n].confidence)[:count]
        return mistakes, sorted(range(len(rows)), key=lambda n: _lead(predictions[n]))[:count]

    def told(self, row: ChoiceRow, prediction: Choice) -> Told:
        gold = None if row.label is None else row.choices[row.label]
        text = f"{self.asked(row)} ▸ {' / '.join(row.choices)}"
        return Told(text, None, gold, row.choices[prediction.number], prediction.confidence)

    def asked(self, row: ChoiceRow) -> str:
        """The passage, shortened, and the question, for people."""
        passage = " ".join(row.context.split())
        return f"{passage[:_SHOWN]}{'…' if len(passage) > _SHOWN else ''} ▸ {row.question}"

    # Writing

    def write_predictions(
        self, path: str | os.PathLike[str], rows: Sequence[ChoiceRow], predictions: Sequence[Choice]
    ) -> Path:
        paired(rows, predictions)
        cells = (
            (
                row.id,
                row.question,
                "" if row.label is None else row.choices[row.label],
                row.choices[each.number],
                each.number,
                json.dumps(each.probabilities, separators=(",", ":")),
            )
            for row, each in zip(rows, predictions, strict=True)
        )
        return write_table(path, ("id", "question", "gold", "answer", *_COLUMNS), cells)

    def read_predictions(self, path: str | os.PathLike[str]) -> list[Choice]:
        predictions = []
        for where, (number, probabilities) in read_table(path, _COLUMNS, self.name):
            try:
                held = tuple(map(float, json.loads(probabilities)))
                if not 0 <= int(number) < len(held):
                    raise ValueError(f"number {number} of {len(held)} choices")
            except (ValueError, TypeError) as error:
                raise InputError(f"{where}: not a row of predictions ({error}). Predict again.") from error
            predictions.append(Choice(int(number), held))
        return predictions

    def write_submission(
        self,
        folder: str | os.PathLike[str],
        rows: Sequence[ChoiceRow],
        predictions: Sequence[Choice],
        split: str = "test",
    ) -> Path:
        if self.submission is None or split not in self.submission.files:
            raise InputError(f"{self.name} has no leaderboard file for {split!r}. Use the predictions file.")
        paired(rows, predictions)
        name, ids = self.submission.files[split], [row.id for row in rows]
        if not rows:
            raise InputError(f"{name}: there are no rows to answer. Predict the {split} split first.")
        check_ids(name, [row.where for row in rows], ids)
        answers = [prediction.number for prediction in predictions]
        for row, answer in zip(rows, answers, strict=True):
            _check_number(answer, row, name)
        return write_answers(self.submission, folder, split, ids, answers)

    def check_submission(self, folder: str | os.PathLike[str], rows: Sequence[ChoiceRow], split: str) -> Path:
        path = Path(folder, self.submission.files[split])
        answers = check_answers(path, self.submission, [row.id for row in rows])
        for row, (where, answer) in zip(rows, answers, strict=True):
            _check_number(answer, row, where)
        return path


@dataclass(frozen=True, kw_only=True)
class ClozeChoiceTask(ChoiceTask):
    """Questions some of which have a blank, ``_``, that the choice is put into."""

    def texts(self, row: ChoiceRow, choice: str) -> tuple[str, str, str, str]:
        before, *after = re.split("_+", row.question, maxsplit=1)
        return row.context, before, choice, "".join(after)


@dataclass(frozen=True, kw_only=True)
class CausalChoiceTask(ChoiceTask):
    """What led to this, or what came of it? What happened first is the first text of the sequence."""

    def texts(self, row: ChoiceRow, choice: str) -> tuple[str, str, str, str]:
        if row.question == "cause":
            return choice, "", row.context, ""
        return row.context, "", choice, ""


#: Of an answer in a table of predictions.
_COLUMNS = ("number", "probabilities")


def around(before: np.ndarray, middle: np.ndarray, after: np.ndarray, room: int) -> np.ndarray:
    """The three in a row, at most ``room`` tokens: the end of ``after`` goes first, then the beginning of ``before``.

    >>> around(np.array([1, 2, 3]), np.array([4]), np.array([5, 6]), 3).tolist()
    [2, 3, 4]
    """
    middle = middle[:room]
    after = after[: max(room - len(before) - len(middle), 0)]
    before = before[max(len(before) + len(middle) + len(after) - room, 0) :]
    return np.concatenate([before, middle, after])


def shared_bigrams(choice: str, context: str) -> float:
    """Share of the choice's pairs of neighbouring characters that the context holds, white space and case left out.

    >>> shared_bigrams("喝热茶", "外婆喝茶，我喝热水")
    0.5
    """
    one, other = ("".join(text.lower().split()) for text in (choice, context))
    pairs = [one[place : place + 2] for place in range(max(len(one) - 1, 1))]  # a single character is its own pair
    return sum(pair in other for pair in pairs) / len(pairs)


def _most(values: Iterator[float]) -> int:
    """The place of the highest, the first of equals."""
    held = list(values)
    return held.index(max(held))


def _lead(prediction: Choice) -> float:
    rest = (share for place, share in enumerate(prediction.probabilities) if place != prediction.number)
    return prediction.confidence - max(rest)


def _check_number(answer: Any, row: ChoiceRow, where: str) -> None:
    if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < len(row.choices):
        raise InputError(
            f"{where}: the answer {answer!r} to {row.id} is no number from 0 to {len(row.choices) - 1}. Predict again."
        )
