"""Answers to questions on passages: a fine-tuned reading model as a function of (passage, question)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from albert_zh.files import InputError
from albert_zh.serve.given import Model, finetuned, listed, of_kind, positive
from albert_zh.serve.network import logits_network, logits_of
from albert_zh.tasks.span import SpanPrediction, SpanTask
from albert_zh.tasks.span_reader import SpanRow


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        text: a piece of the passage; empty: the passage does not answer it.
        start, end: its characters in the passage, ``passage[start:end] == text``; both 0 for no answer.
        probability: of this answer among the best pieces and, where a task allows it, no answer.
        null_odds: the score of "no answer" less that of the best piece; high: likely no answer.
    """

    text: str
    start: int
    end: int
    probability: float
    null_odds: float


class QuestionAnswerer:
    """Answers questions on passages of any length; several threads may ask one at the same time.

    Args:
        model: the fine-tuned folder of a reading task (CMRC 2018, DRCD, SQuAD …), or an open model.

    Raises:
        InputError: no finished fine-tuned folder, or one of another task.
    """

    def __init__(self, model: Model):
        opened = finetuned(model)
        self.task: SpanTask = of_kind(opened, SpanTask, "one of reading comprehension, such as CMRC 2018,")
        self.tokenizer, self.max_seq_length = opened.tokenizer, opened.max_seq_length
        self._network = logits_network(opened.model)

    def answer(
        self, pairs: Sequence[tuple[str, str]], batch_size: int = 32, places: Sequence[str] | None = None
    ) -> list[Answer]:
        """One answer a pair, in order. A passage longer than a sequence is read in overlapping windows.

        Args:
            pairs: (passage, question).
            batch_size: windows computed at once.
            places: what to call each pair in an error, such as ``file:line``; left out, "pair 1", "pair 2" …

        Raises:
            InputError: what is no pair of texts, or an empty text.
        """
        positive(batch_size, "batch_size")
        pairs = listed(pairs, "pairs")
        rows = []
        for number, pair in enumerate(pairs):
            where = places[number] if places else f"pair {number + 1}"
            parts = list(pair) if isinstance(pair, tuple | list) else []
            if len(parts) != 2 or not all(isinstance(part, str) and part.strip() for part in parts):
                raise InputError(f"{where}: {pair!r} where a passage and a question are needed, two texts.")
            rows.append(SpanRow(where, str(number), parts[1], parts[0], None))
        if not rows:
            return []
        features = self.task.featurize(rows, self.tokenizer, self.max_seq_length)
        logits = logits_of(self._network, features, batch_size, self.tokenizer.pad_id)
        return [_answer(prediction) for prediction in self.task.decode(logits, features)]


def _answer(prediction: SpanPrediction) -> Answer:
    if prediction.text:
        best = prediction.candidates[0]
        return Answer(best.text, best.start, best.end, best.probability, prediction.null_odds)
    rest = 1.0 - sum(candidate.probability for candidate in prediction.candidates)
    return Answer("", 0, 0, max(rest, 0.0), prediction.null_odds)
