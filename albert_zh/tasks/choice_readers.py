"""Files of multiple choice: C3's passages, ChID's blanks, RACE's folders of passages, COPA's premises."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from albert_zh.files import InputError, read_json, read_json_lines

logger = logging.getLogger(__name__)

#: A blank of ChID, where an idiom was taken out.
BLANK = re.compile(r"#idiom\d+#")


@dataclass(frozen=True)
class ChoiceRow:
    """One question and the texts one of which answers it.

    Attributes:
        where: file and question.
        id: of the question: the file's, else its number in the split, from 0.
        context: what the question is about.
        question: the question; of ChID the blank, of COPA "cause" or "effect".
        choices: two or more.
        label: the place of the right one, from 0; None: unknown.
        group: the same for rows that belong together, such as the blanks of one row of ChID.
        part: of the split that scores are also given for by itself; empty: it has no parts.
    """

    where: str
    id: str | int
    context: str
    question: str
    choices: tuple[str, ...]
    label: int | None
    group: str
    part: str = ""


# ------------------------------------------------------------------------------------------------------------------- C3


def read_passages(paths: Sequence[Path], split: str) -> list[ChoiceRow]:
    """Rows of C3: JSON lists of ``[[line, …], [{"question", "choice": […], "answer"}, …], id]``.

    The lines, turns of a dialogue or one text, stay lines of the context. Questions without an id are numbered through
    all files.

    Raises:
        InputError: a file has another format, an answer is none of its choices, or one is missing outside test.
    """
    rows: list[ChoiceRow] = []
    for path in paths:
        passages = read_json(path)
        if not isinstance(passages, list):
            raise InputError(f"{path}: not C3's format, a list of [lines, questions, id]. Give the published file.")
        for number, passage in enumerate(passages):
            if not isinstance(passage, list) or len(passage) < 2 or not isinstance(passage[1], list):
                raise InputError(f"{path}: passage {number} is not [lines, questions, id]. Fix the file.")
            group = f"{path}: passage {passage[2] if len(passage) > 2 else number}"
            lines = passage[0] if isinstance(passage[0], list) else [passage[0]]
            context = "\n".join(_text(line, group, "a line") for line in lines)
            for place, question in enumerate(passage[1], start=1):
                where = f"{group}, question {place}"
                _object(question, where)
                choices = _choices(question.get("choice"), where)
                label = _place_of(question.get("answer"), choices, where, split)
                row_id = question.get("id")
                rows.append(
                    ChoiceRow(
                        where=where,
                        id=len(rows) if row_id is None or row_id == "" else row_id,
                        context=context,
                        question=_text(question.get("question"), where, "the question"),
                        choices=choices,
                        label=label,
                        group=group,
                        part=path.name if len(paths) > 1 else "",
                    )
                )
    return rows


def _place_of(answer: Any, choices: Sequence[str], where: str, split: str) -> int | None:
    if answer is None or answer == "":
        return _unanswered(where, split)
    texts = [choice.strip() for choice in choices]
    if not isinstance(answer, str) or answer.strip() not in texts:
        raise InputError(f"{where}: the answer {_shown(answer)} is none of the choices {_shown(texts)}. Fix the row.")
    return texts.index(answer.strip())


# ----------------------------------------------------------------------------------------------------------------- ChID


def read_blanks(paths: Sequence[Path], split: str) -> list[ChoiceRow]:
    """Rows of ChID, one for each blank: JSON lines ``{"candidates": [idiom, …], "content": [passage, …]}``.

    The candidates are shared by the blanks of a line. The second path, which test splits lack, is an object of blank
    to the place of its candidate, ``{"#idiom000001#": 3}``.

    Raises:
        InputError: a line is malformed, a blank comes twice, an answer is missing outside test or out of range.
    """
    path, answers = paths[0], None
    if len(paths) > 1:
        answers = read_json(paths[1])
        _object(answers, str(paths[1]))
    elif not split.startswith("test"):
        raise InputError(f"{path}: no answers. Put them beside it, as {answer_file(path).name}.")
    rows: list[ChoiceRow] = []
    seen: set[str] = set()
    for number, line in read_json_lines(path):
        group = f"{path}:{number}"
        choices = _choices(line.get("candidates"), group, "candidate")
        content = line.get("content")
        passages = [_text(text, group, "a text") for text in (content if isinstance(content, list) else [content])]
        blanks = [(blank, passage) for passage in passages for blank in BLANK.findall(passage)]
        if len(set(choices)) < len(choices):
            raise InputError(f"{group}: the candidates {_shown(choices)} are not all different. Fix the row.")
        if not 0 < len(blanks) <= len(choices):
            raise InputError(
                f"{group}: {len(blanks)} blanks for {len(choices)} candidates; at least one, and an idiom for each. "
                "Fix the row."
            )
        for blank, passage in blanks:
            where = f"{group}: {blank}"
            if blank in seen:
                raise InputError(f"{where}: the blank comes twice. Give each its own number.")
            seen.add(blank)
            label = None
            if answers is not None:
                label = _answer_number(answers.get(blank), len(choices), where, split)
            rows.append(ChoiceRow(where, blank, passage, blank, choices, label, group))
    if answers is not None and (unused := answers.keys() - seen):
        logger.warning("%s: %d answers to blanks that %s does not hold", paths[1], len(unused), path.name)
    return rows


def answer_file(path: Path) -> Path:
    """Where the answers to a file of blanks lie: ``train_answer.json`` beside ``train.json``."""
    return path.with_name(f"{path.stem}_answer{path.suffix}")


def _answer_number(answer: Any, count: int, where: str, split: str) -> int | None:
    if answer is None:
        return _unanswered(where, split)
    if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < count:
        raise InputError(f"{where}: the answer is {_shown(answer)}, not a number from 0 to {count - 1}. Fix it.")
    return answer


# ----------------------------------------------------------------------------------------------------------------- RACE


def read_race(paths: Sequence[Path], split: str) -> list[ChoiceRow]:
    """Rows of RACE: folders of ``.txt`` files, each one object with ``article`` and the lists ``questions``,
    ``options`` and ``answers`` ("A" to "D"). The folder of a file, middle or high school, is its part.

    Raises:
        InputError: a file is malformed, or an answer is missing outside test or none of the options.
    """
    rows: list[ChoiceRow] = []
    # An archive made on a Mac has a hidden twin, "._1.txt", of each file.
    files = [file for path in paths for file in (sorted(path.rglob("*.txt")) if path.is_dir() else [path])]
    for file in (file for file in files if not file.name.startswith(".")):
        held = read_json(file)
        _object(held, str(file))
        article = _text(held.get("article"), str(file), "the article")
        questions, options = (_listed(held.get(name), f"{file}: {name!r}") for name in ("questions", "options"))
        answers = _listed(held.get("answers", [None] * len(questions)), f"{file}: 'answers'")
        if not len(questions) == len(options) == len(answers):
            raise InputError(
                f"{file}: {len(questions)} questions, {len(options)} lists of options and {len(answers)} answers; "
                "there must be as many of each. Fix the file."
            )
        for number, (question, texts, answer) in enumerate(zip(questions, options, answers, strict=True), start=1):
            where = f"{file}: question {number}"
            choices = _choices(texts, where, "option")
            rows.append(
                ChoiceRow(
                    where=where,
                    id=f"{Path(str(held.get('id') or file.name)).stem}-{number}",
                    context=article,
                    question=_text(question, where, "the question"),
                    choices=choices,
                    label=_letter(answer, len(choices), where, split),
                    group=str(file),
                    part=file.parent.name,
                )
            )
    return rows


def _letter(answer: Any, count: int, where: str, split: str) -> int | None:
    if answer is None or answer == "":
        return _unanswered(where, split)
    known = "ABCDEFGHIJ"[:count]
    if not isinstance(answer, str) or len(answer.strip()) != 1 or answer.strip() not in known:
        raise InputError(f"{where}: the answer is {_shown(answer)}, not one of {', '.join(known)}. Fix it.")
    return known.index(answer.strip())


# ----------------------------------------------------------------------------------------------------------------- COPA


def read_premises(paths: Sequence[Path], split: str) -> list[ChoiceRow]:
    """Rows of COPA as SuperGLUE has them: JSON lines with ``premise``, ``choice1``, ``choice2``, ``question``
    ("cause" or "effect"), ``idx`` and ``label`` (0 or 1).

    Raises:
        InputError: a line is malformed, or its label is missing outside test or another.
    """
    rows: list[ChoiceRow] = []
    for number, line in read_json_lines(paths[0]):
        where = f"{paths[0]}:{number}"
        if line.get("question") not in ("cause", "effect"):
            raise InputError(f'{where}: the question is {_shown(line.get("question"))}, not "cause" or "effect".')
        rows.append(
            ChoiceRow(
                where=where,
                id=line.get("idx", len(rows)),
                context=_text(line.get("premise"), where, "the premise"),
                question=line["question"],
                choices=_choices([line.get("choice1"), line.get("choice2")], where),
                label=_answer_number(line.get("label"), 2, where, split),
                group=where,
            )
        )
    return rows


# --------------------------------------------------------------------------------------------------------------- checks


def _unanswered(where: str, split: str) -> None:
    if not split.startswith("test"):
        raise InputError(f"{where}: no answer in a {split} row. Say which of its choices is right.")


def _choices(value: Any, where: str, called: str = "choice") -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) < 2:
        raise InputError(f"{where}: a question needs a list of two {called}s or more, not {_shown(value)}. Fix it.")
    return tuple(_text(text, where, f"a {called}") for text in value)


def _text(value: Any, where: str, called: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}: {called} is {_shown(value)}, not a text. Fill it in or remove the row.")
    return value


def _object(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise InputError(f"{where}: {_shown(value)} is no JSON object. Fix it.")


def _listed(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{where} is {_shown(value)}, not a list. Fix the file.")
    return value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
