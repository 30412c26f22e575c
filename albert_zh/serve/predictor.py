"""The command ``predict``: rows and a fine-tuned folder to a table of answers, whatever the task asks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from albert_zh.files import InputError, atomic_writer, read_tsv
from albert_zh.opened import OpenModel, open_finetuned
from albert_zh.serve.classifier import Classifier
from albert_zh.serve.options import PredictOptions
from albert_zh.serve.question_answerer import QuestionAnswerer
from albert_zh.serve.tagger import Tagger
from albert_zh.tasks.span import SpanTask
from albert_zh.tasks.tagging import TaggingTask

Texts = list[tuple[str, ...]]
#: What a command answers with: the answers, one a row, and the lines of their table, each cell a text.
Answers = tuple[list[Any], list[list[str]]]


def run(options: PredictOptions) -> list[Any]:
    """Answers the texts of the options and writes a table; white space inside a text is shown as one space.

    A label is told with its name, probability and text, a number with its text; an answer to a question with its place,
    probability, passage and question; an entity with its type, place and text, a text without any in a row of its own.

    Raises:
        InputError: nothing to answer, a row with the wrong number of columns, or an unusable folder.
    """
    if bool(options.text) == bool(options.input_file):
        raise InputError("give --text (one text, or two for pairs) or --input_file, and not both.")
    opened = open_finetuned(options.folder)
    answer = _questions if isinstance(opened.task, SpanTask) else _entities
    if not isinstance(opened.task, SpanTask | TaggingTask):
        answer = _sentences
    answers, lines = answer(opened, options)
    with _output(options.output_file) as stream:
        stream.writelines("\t".join(" ".join(cell.split()) for cell in line) + "\n" for line in lines)
    if options.output_file:
        print(f"{len(answers)} answers: {options.output_file}")
    return answers


def _sentences(opened: OpenModel, options: PredictOptions) -> Answers:
    classifier = Classifier(opened)
    task, places = classifier.task, None
    if options.input_file:
        places, rows = zip(*task.read_texts(options.input_file), strict=True)
    else:
        rows = _given(options.text, len(task.text_names), f"the task {task.name!r}")
    texts = [columns if task.kind == "pair" else columns[0] for columns in rows]
    answers = classifier.predict(texts, options.batch_size, places)
    if task.head.kind == "regression":
        return answers, [["value", "text"], *([each.label, *row] for each, row in zip(answers, rows, strict=True))]
    lines = [["label", "name", "probability", "text"]]
    for each, row in zip(answers, rows, strict=True):
        lines.append([each.label, classifier.name_of(each.label), f"{each.confidence:.4f}", *row])
    return answers, lines


def _questions(opened: OpenModel, options: PredictOptions) -> Answers:
    answerer = QuestionAnswerer(opened)
    places, rows = _rows(options, 2, opened.task.name, "passage<TAB>question")
    answers = answerer.answer(rows, options.batch_size, places)
    lines = [["answer", "start", "end", "probability", "null_odds", "passage", "question"]]
    for each, row in zip(answers, rows, strict=True):
        numbers = [str(each.start), str(each.end), f"{each.probability:.4f}", f"{each.null_odds:.4f}"]
        lines.append([each.text, *numbers, *row])
    return answers, lines


def _entities(opened: OpenModel, options: PredictOptions) -> Answers:
    tagger = Tagger(opened)
    places, rows = _rows(options, 1, opened.task.name, "the text")
    answers = tagger.tag([text for (text,) in rows], options.batch_size, places)
    lines = [["type", "text", "start", "end", "source"]]
    for found, (text,) in zip(answers, rows, strict=True):
        lines += [[each.type, each.text, str(each.start), str(each.end), text] for each in found]
        lines += [["", "", "", "", text]] * (not found)
    return answers, lines


def _rows(options: PredictOptions, columns: int, name: str, wanted: str) -> tuple[list[str] | None, Texts]:
    """(``file:line`` of every row, or None for texts of the command line; the texts of every row)."""
    if not options.input_file:
        return None, _given(options.text, columns, f"the task {name!r}")
    places, rows = [], []
    for number, row in read_tsv(options.input_file):
        where = f"{options.input_file}:{number}"
        if len(row) != columns:
            raise InputError(
                f"{where}: {len(row)} column{'s'[: len(row) > 1]}; the task {name!r} takes {columns}, {wanted}. "
                "Leave labels, numbers and a header out."
            )
        places.append(where)
        rows.append(tuple(row))
    if not rows:
        raise InputError(f"{options.input_file}: no rows. Write {wanted}, one row a line.")
    return places, rows


def _given(texts: Sequence[str], columns: int, who: str) -> Texts:
    if columns == 2 and len(texts) != 2:
        raise InputError(f"--text: {who} takes two texts, got {len(texts)}.")
    return [tuple(texts)] if columns == 2 else [(text,) for text in texts]


@contextmanager
def _output(path: str) -> Iterator:
    if not path:
        yield sys.stdout
        return
    with atomic_writer(path) as stream:
        yield stream
