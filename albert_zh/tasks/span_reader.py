"""Files of reading comprehension as SQuAD has them: passages, questions on each, answers by their first character."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from albert_zh.files import InputError, read_json

logger = logging.getLogger(__name__)

#: Skipped rows that are named in the log.
_NAMED = 5


@dataclass(frozen=True)
class Answer:
    """A piece of a passage: its text, and the place of its first character."""

    text: str
    start: int


@dataclass(frozen=True)
class SpanRow:
    """One question.

    Attributes:
        where: file and question.
        id: of the question.
        question, context: the question and its passage.
        answers: the gold answers, none of them for a question the passage does not answer; None: unknown.
    """

    where: str
    id: str
    question: str
    context: str
    answers: tuple[Answer, ...] | None


def read_questions(path: Path, split: str, *, may_lack_answer: bool) -> list[SpanRow]:
    """All questions of a file, in its order.

    In train a question that is empty, whose answer is not at its place, or whose id was there before, is left out,
    counted and named in the log. Elsewhere it counts: scores compare texts.

    Args:
        path: JSON with ``data``, lists of ``paragraphs`` with ``context`` and ``qas``.
        split: only test splits may be without answers.
        may_lack_answer: ``is_impossible`` marks questions that the passage does not answer.

    Raises:
        InputError: the file is no such JSON, a passage is empty, an id comes twice, an answer is missing.
    """
    train = split == "train"
    rows: list[SpanRow] = []
    seen: set[str] = set()
    skipped: list[str] = []
    for where, context, question in _questions(path):
        row = _row(where, context, question, split, may_lack_answer)
        again, empty = row.id in seen, not row.question.strip()
        if again and not train:
            raise InputError(f"{where}: the id comes twice. Give each question its own.")
        misplaced = [a for a in row.answers or () if context[a.start : a.start + len(a.text)] != a.text]
        if train and (again or empty or misplaced):
            reason = "id repeated" if again else "empty question" if empty else _misplaced(misplaced[0], context)
            skipped.append(f"{where} ({reason})")
            continue
        if empty:  # CMRC 2018's trial set has one, which counts like any other
            logger.warning("%s: the question is empty; it is answered all the same", where)
        seen.add(row.id)
        rows.append(row)
    if skipped:
        named = "; ".join(skipped[:_NAMED]) + (" …" if len(skipped) > _NAMED else "")
        logger.warning("%s: %d questions left out of training: %s", path, len(skipped), named)
    if not rows:
        raise InputError(f"{path}: the file holds no questions{' that can be learned' * bool(skipped)}.")
    return rows


def _misplaced(answer: Answer, context: str) -> str:
    there = context[answer.start : answer.start + len(answer.text)] if answer.start >= 0 else ""
    return f"at character {answer.start} stands {there[:20]!r}, not the answer {answer.text[:20]!r}"


def _questions(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    values = read_json(path)
    data = values.get("data") if isinstance(values, dict) else None
    if not isinstance(data, list):
        raise InputError(
            f"{path}: not the SQuAD format, an object with a list 'data' of passages. The first release of CMRC 2018 "
            "(context_text, query_text) has no places of the answers; take the one in SQuAD's format."
        )
    for number, article in enumerate(data):
        for place, passage in enumerate(_listed(article, "paragraphs", f"{path}: data[{number}]")):
            here = f"{path}: data[{number}].paragraphs[{place}]"
            questions = _listed(passage, "qas", here)
            context = passage.get("context")
            if not isinstance(context, str) or not context.strip():
                raise InputError(f"{here}: no text in 'context'. Fill it in or remove the passage.")
            for question in questions:
                if not isinstance(question, dict) or not str(question.get("id", "")).strip():
                    raise InputError(f"{here}: a question without an 'id'. Give each question its own.")
                yield f"{path}: question {question['id']}", context, question


def _listed(value: Any, key: str, where: str) -> list[Any]:
    listed = value.get(key) if isinstance(value, dict) else None
    if not isinstance(listed, list):
        raise InputError(f"{where}: no list {key!r} in it. Fix the file.")
    return listed


def _row(where: str, context: str, question: dict[str, Any], split: str, may_lack_answer: bool) -> SpanRow:
    asked = question.get("question")
    if not isinstance(asked, str):
        raise InputError(f"{where}: no text in 'question'. Fill it in or remove it.")
    row = SpanRow(where, str(question["id"]), asked, context, None)
    if may_lack_answer and question.get("is_impossible"):
        return SpanRow(row.where, row.id, asked, context, ())
    held = question.get("answers")
    answers = []
    for answer in held if isinstance(held, list) else []:
        text, start = (answer.get("text"), answer.get("answer_start")) if isinstance(answer, dict) else (None, None)
        if isinstance(start, str) and start.lstrip("-").isdigit():
            start = int(start)
        if not isinstance(text, str) or isinstance(start, bool) or not isinstance(start, int):
            raise InputError(f"{where}: an answer is {answer!r}; it needs 'text' and 'answer_start'. Fix it.")
        if text.strip() and start >= 0:  # CLUE's test files hold an empty text at -1
            answers.append(Answer(text, start))
    if not answers and not split.startswith("test"):
        raise InputError(
            f"{where}: no answer in a {split} row. "
            + (
                'Give one, or "is_impossible": true.'
                if may_lack_answer
                else "Give one; questions without an answer are a task of their own, squad2."
            )
        )
    return SpanRow(row.where, row.id, asked, context, tuple(answers) or None)
