"""Reading comprehension: the answer to a question is a piece of its passage, or where a task allows that there is none.

    [CLS] question [SEP] a window of the passage [SEP]

A passage longer than the window is read in several, each ``doc_stride`` tokens on; a token's score as the beginning of
an answer is taken from the window where it has most context (Devlin et al. 2018, section 4.2 and the code released
with it).

Shapes: n windows, L length of the longest, T tokens of all passages.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_zh.files import InputError
from albert_zh.tasks import metrics
from albert_zh.tasks.baselines import TrivialBaseline, character_overlap
from albert_zh.tasks.sampling import sampled
from albert_zh.tasks.span_metrics import best_of, best_threshold, compare_chinese, compare_english
from albert_zh.tasks.span_reader import SpanRow, read_questions
from albert_zh.tasks.span_windows import best_pairs, tokens_of
from albert_zh.tasks.submission import check_answers, check_ids, write_answers
from albert_zh.tasks.tables import json_cell, read_table, write_table
from albert_zh.tasks.task import Features, HeadSpec, Task, Told, paired

if TYPE_CHECKING:
    from albert_zh.text.tokenizer import Tokenizer

#: Characters of a passage that a report shows on each side of an answer.
_AROUND = 60


@dataclass(frozen=True)
class Candidate:
    """A piece of a passage that may be the answer: characters ``start`` to ``end``, its score and its probability."""

    text: str
    start: int
    end: int
    score: float
    probability: float


@dataclass(frozen=True)
class SpanPrediction:
    """The answer to one question.

    Attributes:
        text: the answer; empty for "no answer".
        candidates: the best pieces, best first, no two of the same text.
        null_odds: the score of "no answer" less that of the best piece.
    """

    text: str
    candidates: tuple[Candidate, ...]
    null_odds: float

    @property
    def confidence(self) -> float:
        """Probability of the best piece among the candidates."""
        return self.candidates[0].probability


@dataclass(frozen=True, kw_only=True)
class SpanTask(Task):
    """Questions whose answers are pieces of their passages (``kind`` "span").

    Attributes:
        chinese: scored as CMRC 2018, else as SQuAD.
        unanswerable: a question may have no answer, which is said from a lead of ``null_threshold`` on.
        max_query_length: tokens of a question.
        doc_stride: tokens from one window of a long passage to the next.
        max_answer_length: tokens of an answer.
        n_best_size: candidates kept.
        null_threshold: the one that was best on dev; see ``tuned``.
        null_score_diff_threshold: one that is used whatever dev says.
    """

    kind: str = "span"
    main_metric: str = "f1"
    more_metrics: tuple[str, ...] = ("exact",)
    chinese: bool = False
    unanswerable: bool = False
    max_query_length: int = 64
    doc_stride: int = 128
    max_answer_length: int = 30
    n_best_size: int = 20
    null_threshold: float = 0.0
    null_score_diff_threshold: float | None = None

    @property
    def head(self) -> HeadSpec:
        return HeadSpec("span", 2)

    @property
    def settings(self) -> dict[str, Any]:
        names = ["max_query_length", "doc_stride", "max_answer_length", "n_best_size"]
        return {name: getattr(self, name) for name in names + ["null_threshold"] * self.unanswerable}

    def with_settings(self, settings: Mapping[str, Any]) -> SpanTask:
        return dataclasses.replace(self, **settings)

    def has_gold(self, row: SpanRow) -> bool:
        return row.answers is not None

    # 1. Read

    def read(self, split: str, data_dir: str | os.PathLike[str]) -> list[SpanRow]:
        return read_questions(self.find(split, data_dir), split, may_lack_answer=self.unanswerable)

    def sample(self, rows: Sequence[SpanRow], count: int, seed: int) -> list[SpanRow]:
        """``count`` questions in all; see ``sampling.sampled``."""
        return sampled(rows, count, seed)

    # 2. Featurize

    def featurize(self, rows: Sequence[SpanRow], tokenizer: Tokenizer, max_seq_length: int) -> Features:
        """The windows of every question; each distinct passage and question is tokenised once.

        ``places`` holds of every window ``first`` (n,), the number of its first token in its passage, ``offset`` (n,),
        where that stands in the sequence, and ``count`` (n,), its tokens of the passage; of every row ``passage``; of
        every passage ``bounds`` (passages + 1,) in ``starts`` and ``ends`` (T,), the characters of its tokens.

        Raises:
            InputError: ``max_seq_length`` leaves no room for a passage.
        """
        if max_seq_length < 16:
            raise InputError(f"max_seq_length is {max_seq_length}: too short for a question and a passage. Use 16 up.")
        passages: dict[str, int] = {}
        encoded: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        questions: dict[str, np.ndarray] = {}
        longest_question = min(self.max_query_length, (max_seq_length - 3) // 2)
        head, tail = np.array([tokenizer.cls_id], np.int32), np.array([tokenizer.sep_id], np.int32)
        ids, segments, labels = [], [], []
        numbers, firsts, offsets, counts = [], [], [], []
        for number, row in enumerate(rows):
            if row.context not in passages:
                passages[row.context] = len(encoded)
                encoded.append(tuple(np.array(part, np.int32) for part in tokenizer.encode(row.context)))
                if not len(encoded[-1][0]):
                    raise InputError(f"{row.where}: the passage has no tokens. Remove it.")
            if row.question not in questions:
                asked = np.array(tokenizer.encode(row.question).ids[:longest_question], np.int32)
                questions[row.question] = np.concatenate([head, asked, tail])
            question, (tokens, starts, ends) = questions[row.question], encoded[passages[row.context]]
            room = max_seq_length - len(question) - 1
            answer = self._place(row, starts, ends)
            stride = min(self.doc_stride, max(room // 2, 1))  # or an answer between two short windows is in neither
            for first in range(0, len(tokens), stride):
                window = tokens[first : first + room]
                ids.append(np.concatenate([question, window, tail]))
                segments.append(np.repeat(np.array([0, 1], np.int32), [len(question), len(window) + 1]))
                labels.append(_label(answer, first, len(window), len(question)))
                numbers.append(number)
                firsts.append(first)
                offsets.append(len(question))
                counts.append(len(window))
                if first + room >= len(tokens):
                    break
        bounds = np.cumsum([0, *(len(tokens) for tokens, _, _ in encoded)])
        places = {
            "first": firsts,
            "offset": offsets,
            "count": counts,
            "passage": [passages[row.context] for row in rows],
            "bounds": bounds,
            "starts": np.concatenate([starts for _, starts, _ in encoded]),
            "ends": np.concatenate([ends for _, _, ends in encoded]),
        }
        return Features(
            input_ids=ids,
            segment_ids=segments,
            labels=np.array(labels, np.int32),
            rows=rows,
            row_numbers=np.array(numbers, np.int32),
            places={name: np.asarray(values, np.int32) for name, values in places.items()},
        )

    def _place(self, row: SpanRow, starts: np.ndarray, ends: np.ndarray) -> tuple[int, int] | None:
        """Numbers of the first and last token of the answer that is learned; (-1, -1): unknown; None: no answer."""
        if row.answers is None:
            return -1, -1
        there = [a for a in row.answers if row.context[a.start : a.start + len(a.text)] == a.text]
        if not row.answers:
            return None
        if not there:
            return -1, -1
        text = there[0].text
        begin = there[0].start + len(text) - len(text.lstrip())
        return tokens_of(begin, begin + len(text.strip()), starts, ends)

    # 4. Decode

    def decode(self, logits: np.ndarray, features: Features, **weights: np.ndarray) -> list[SpanPrediction]:
        """The best pieces of every row's passage, over all of its windows; logits (n, L, 2).

        Every pair of a first and a last token of one window, not too far apart, is compared.

        Raises:
            ValueError: the logits are not those of the features, or one is not finite.
        """
        logits = np.asarray(logits, np.float32)
        if logits.ndim != 3 or len(logits) != len(features) or logits.shape[2] != 2:
            raise ValueError(f"{self.name}: logits {logits.shape} are not ({len(features)}, length, 2).")
        if not np.isfinite(logits).all():
            raise ValueError(f"{self.name}: a logit is not finite: the training of this model diverged.")
        best = best_pairs(logits, features, self.n_best_size, self.max_answer_length)
        places = features.places
        null = logits[:, 0].sum(axis=1)
        windows: list[list[int]] = [[] for _ in features.rows]
        for window, row in enumerate(features.row_numbers):
            windows[row].append(window)
        predictions = []
        for number, row in enumerate(features.rows):
            passage = places["passage"][number]
            tokens = slice(*places["bounds"][passage : passage + 2])
            starts, ends = places["starts"][tokens], places["ends"][tokens]
            found = [
                (score, places["first"][window] + begin, places["first"][window] + end)
                for window in windows[number]
                for score, begin, end in zip(*(part[window] for part in best), strict=True)
                if score > -np.inf
            ]
            found.sort(key=lambda each: (-each[0], each[1], each[2]))
            pieces: dict[str, tuple[float, int, int]] = {}
            for score, first, last in found:
                begin, end = int(starts[first]), int(ends[last])
                pieces.setdefault(row.context[begin:end], (float(score), begin, end))
                if len(pieces) == self.n_best_size:
                    break
            predictions.append(self._prediction(pieces, float(null[windows[number]].min())))
        return list(self.retold(predictions))

    def _prediction(self, pieces: Mapping[str, tuple[float, int, int]], null: float) -> SpanPrediction:
        scores = np.array([score for score, _, _ in pieces.values()] + [null] * self.unanswerable)
        shares = np.exp(scores - scores.max())
        shares = (shares / shares.sum()).tolist()
        candidates = tuple(
            Candidate(text, begin, end, score, share)
            for (text, (score, begin, end)), share in zip(pieces.items(), shares, strict=False)
        )
        return SpanPrediction(candidates[0].text, candidates, null - candidates[0].score)

    # 5. Score

    def retold(self, predictions: Sequence[SpanPrediction]) -> list[SpanPrediction]:
        """The predictions by this task's threshold."""
        if not self.unanswerable:
            return list(predictions)
        given = self.null_score_diff_threshold
        threshold = self.null_threshold if given is None else given
        return [
            dataclasses.replace(each, text="" if each.null_odds > threshold else each.candidates[0].text)
            for each in predictions
        ]

    def tuned(self, predictions: Sequence[SpanPrediction], rows: Sequence[SpanRow]) -> SpanTask:
        """This task with the threshold of "no answer" by which these rows score best (SQuAD 2.0's search by F1)."""
        if not self.unanswerable or self.null_score_diff_threshold is not None:
            return self
        answering = [dataclasses.replace(each, text=each.candidates[0].text) for each in predictions]
        scores = [f1 for _, f1 in self._scores(answering, rows)]
        odds = [each.null_odds for each in predictions]
        return dataclasses.replace(self, null_threshold=best_threshold(odds, scores, [bool(r.answers) for r in rows]))

    def _scores(self, predictions: Sequence[SpanPrediction], rows: Sequence[SpanRow]) -> list[tuple[float, float]]:
        """(exact match, F1) of every row."""
        paired(rows, predictions)
        compare = compare_chinese if self.chinese else compare_english
        scores = []
        for row, prediction in zip(rows, predictions, strict=True):
            if row.answers is None:
                raise InputError(f"{row.where}: no gold answer, so there is nothing to score. Score train or dev rows.")
            gold = [answer.text for answer in row.answers] or [""]
            if not prediction.text or gold == [""]:
                scores.append((float(prediction.text in gold),) * 2)
            else:
                scores.append(best_of(compare, prediction.text, gold))
        return scores

    def score(self, predictions: Sequence[SpanPrediction], rows: Sequence[SpanRow]) -> dict[str, float]:
        """``f1`` with its 95% bootstrap interval, ``exact`` and the number of ``rows``; shares, not percent.

        Where there may be no answer also ``answerable_f1``, ``answerable_exact`` and ``unanswerable_accuracy``.

        Raises:
            InputError: a row has no gold answer.
        """
        scores = np.array(self._scores(predictions, rows))  # (rows, 2)
        low, high = metrics.mean_interval(scores[:, 1])
        result = {
            "f1": float(scores[:, 1].mean()),
            "f1_low": low,
            "f1_high": high,
            "exact": float(scores[:, 0].mean()),
            "rows": float(len(rows)),
        }
        answered = np.array([bool(row.answers) for row in rows])
        if self.unanswerable and answered.any() and not answered.all():
            result["answerable_f1"] = float(scores[answered, 1].mean())
            result["answerable_exact"] = float(scores[answered, 0].mean())
            result["unanswerable_accuracy"] = float(scores[~answered, 0].mean())
        return result

    def breakdown(self, predictions: Sequence[SpanPrediction], rows: Sequence[SpanRow]) -> tuple[tuple[str, ...], ...]:
        scores = self.score(predictions, rows)
        parts = [("全部 all", scores["exact"], scores["f1"])]
        if "answerable_f1" in scores:
            alone = scores["unanswerable_accuracy"]
            parts.append(("有答案 answerable", scores["answerable_exact"], scores["answerable_f1"]))
            parts.append(("无答案 unanswerable", alone, alone))
        return (("问题 questions", "EM", "F1"), *((name, f"{em:.2%}", f"{f1:.2%}") for name, em, f1 in parts))

    def trivial_baselines(self, train: Sequence[SpanRow], scored: Sequence[SpanRow]) -> tuple[TrivialBaseline, ...]:
        """The stretch between two punctuation marks that shares most characters with the question; and where there may
        be no answer, none at all."""
        answers = [SpanPrediction(_likest(row.context, row.question), (), 0.0) for row in scored]
        likest = float(np.mean([f1 for _, f1 in self._scores(answers, scored)]))
        rule = "the clause of the passage that shares most characters with the question"
        baselines = [TrivialBaseline("最像的分句 likest clause", likest, rule)]
        if self.unanswerable:
            none = float(np.mean([not row.answers for row in scored]))
            baselines.append(TrivialBaseline("一律不答 no answer", none, "never an answer"))
        return tuple(baselines)

    def hardest(
        self, rows: Sequence[SpanRow], predictions: Sequence[SpanPrediction], count: int
    ) -> tuple[list[int], list[int]]:
        """Answers without any right character, the surest first; and those of which another candidate is nearest."""
        known = all(map(self.has_gold, rows))
        wrong = [n for n, (_, f1) in enumerate(self._scores(predictions, rows)) if not f1] if known else []
        mistakes = sorted(wrong, key=lambda n: -predictions[n].confidence)[:count]
        return mistakes, sorted(range(len(rows)), key=lambda n: predictions[n].confidence)[:count]

    def told(self, row: SpanRow, prediction: SpanPrediction) -> Told:
        first = prediction.candidates[0]
        place = row.answers[0].start if row.answers else first.start
        begin = max(min(place, first.start) - _AROUND, 0)
        end = max(place + len(row.answers[0].text) if row.answers else 0, first.end) + _AROUND
        shown = row.context[begin : min(end, begin + 6 * _AROUND)]
        passage = f"{'…' if begin else ''}{shown}{'…' if begin + len(shown) < len(row.context) else ''}"
        nothing = "（无答案 no answer）"
        gold = None if row.answers is None else row.answers[0].text if row.answers else nothing
        return Told(f"{row.question} ▸ {passage}", None, gold, prediction.text or nothing, prediction.confidence)

    # Writing

    def write_predictions(
        self, path: str | os.PathLike[str], rows: Sequence[SpanRow], predictions: Sequence[SpanPrediction]
    ) -> Path:
        paired(rows, predictions)
        cells = (
            (
                row.id,
                row.question,
                json_cell(None if row.answers is None else [answer.text for answer in row.answers]),
                json_cell(prediction.text),
                f"{prediction.null_odds:.9g}",
                json_cell([dataclasses.astuple(candidate) for candidate in prediction.candidates]),
            )
            for row, prediction in zip(rows, predictions, strict=True)
        )
        return write_table(path, ("id", "question", "gold", *_COLUMNS), cells)

    def read_predictions(self, path: str | os.PathLike[str]) -> list[SpanPrediction]:
        predictions = []
        for where, (text, odds, candidates) in read_table(path, _COLUMNS, self.name):
            try:
                held = tuple(Candidate(*values) for values in json.loads(candidates))
                predictions.append(SpanPrediction(json.loads(text), held, float(odds)))
            except (ValueError, TypeError) as error:
                raise InputError(f"{where}: not a row of predictions ({error}). Predict again.") from error
        return predictions

    def write_submission(
        self,
        folder: str | os.PathLike[str],
        rows: Sequence[SpanRow],
        predictions: Sequence[SpanPrediction],
        split: str = "test",
    ) -> Path:
        if self.submission is None or split not in self.submission.files:
            raise InputError(f"{self.name} has no leaderboard file for {split!r}. Use the predictions file.")
        paired(rows, predictions)
        ids = [row.id for row in rows]
        check_ids(self.submission.files[split], [row.where for row in rows], ids)
        for row, prediction in zip(rows, predictions, strict=True):
            if prediction.text not in row.context:
                raise InputError(f"{row.where}: the answer {prediction.text!r} is no piece of its passage.")
        return write_answers(self.submission, folder, split, ids, [prediction.text for prediction in predictions])

    def check_submission(self, folder: str | os.PathLike[str], rows: Sequence[SpanRow], split: str) -> Path:
        path = Path(folder, self.submission.files[split])
        answers = check_answers(path, self.submission, [row.id for row in rows])
        for row, (where, answer) in zip(rows, answers, strict=True):
            if not isinstance(answer, str) or answer not in row.context:
                raise InputError(
                    f"{where}: the answer {answer!r} to {row.id} is no piece of its passage. Predict again."
                )
        return path


#: Of an answer in a table of predictions.
_COLUMNS = ("answer", "null_odds", "candidates")


def _label(answer: tuple[int, int] | None, first: int, count: int, offset: int) -> tuple[int, int]:
    """Where in a window the answer begins and ends; (0, 0), the place of [CLS], when it is not whole in it."""
    if answer is None:
        return 0, 0
    begin, end = answer
    if begin < 0:
        return -1, -1
    return (offset + begin - first, offset + end - first) if first <= begin and end < first + count else (0, 0)


def _likest(context: str, question: str) -> str:
    clauses, begin = [], 0
    for place, character in enumerate(context + "。"):
        if character in "。！？；，.!?;,\n" and place > begin:
            clauses.append(context[begin:place].strip())
            begin = place + 1
    return max((clause for clause in clauses if clause), key=lambda clause: character_overlap(clause, question))
