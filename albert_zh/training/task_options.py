"""The task that the options of a fine-tuning name: a row of the table or own files, asked as they say."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from albert_zh.files import InputError
from albert_zh.prepared import prepared_task
from albert_zh.tasks import Prompt, Row, Task, get_task, with_files
from albert_zh.tasks.classification import ClassificationTask
from albert_zh.tasks.custom import custom_from, custom_tagging, custom_task
from albert_zh.tasks.tagging import TaggingTask
from albert_zh.text.tokenizer import Tokenizer
from albert_zh.training.options import TASK_SETTINGS, FinetuneOptions


def task_from(options: FinetuneOptions, about: Mapping[str, Any] | None = None) -> Task:
    """The task of the options: a row of the table, or the user's own files.

    Args:
        about: of a finished model's ``task.json``: its labels and columns hold, and the training file is not needed.

    Raises:
        InputError: there is no such task, or the files, columns and labels are none that can be learned.
    """
    if not options.custom:
        return with_settings(_task_of_table(options), options)
    columns = {name: getattr(options, name) for name in ("text_column", "text_pair_column", "label_column")}
    if about is None and options.tagging:
        return with_settings(custom_tagging(options.own_files, options.data_dir), options)
    if about is None:
        own = custom_task(options.own_files, options.data_dir, **columns, regression=options.regression)
        return with_settings(own, options)
    if not about.get("custom"):
        raise InputError(
            f"--task_name=custom: the model is one of {about.get('task', 'an unknown task')}. Give its own --task_name."
        )
    if options.tagging and not about["custom"].get("tagging"):
        raise InputError("--tagging: the model answers with a label of the whole text. Leave --tagging out.")
    return custom_from(about["custom"], options.own_files, options.data_dir, **columns)


def _task_of_table(options: FinetuneOptions) -> Task:
    if options.input_meta_data_path:
        return prepared_task(options.input_meta_data_path, options.own_files, options.task_name)
    task = get_task(options.task_name)
    if options.data_dir:
        task = task.named(options.data_dir)
    return with_files(task, options.own_files, alone=not options.data_dir)


def with_settings(task: Task, options: FinetuneOptions) -> Task:
    """The task with those of its own settings that the options give.

    Raises:
        InputError: one is given that the task does not have.
    """
    given = {name: value for name in TASK_SETTINGS if (value := getattr(options, name)) is not None}
    for name in given:
        if not hasattr(task, name):
            raise InputError(f"--{name}: {task.name} has no such setting. Leave it out.")
    return dataclasses.replace(task, **given)


def asked_as_cloze(
    task: Task, options: FinetuneOptions, tokenizer: Tokenizer, about: Mapping[str, Any] | None = None
) -> Task:
    """The task as it is answered: by the masked-LM head in the blanks of a prompt, or as it is.

    The prompt is the finished model's, else that of the options, whose words of the labels default to the task's own
    and for a task without any to the labels themselves.

    Args:
        about: of a finished model's ``task.json``.

    Raises:
        InputError: the prompt does not fit the task, the vocabulary or the model.
    """
    held = about and about.get("prompt")
    if options.prompt and about and not held:
        raise InputError(f"--prompt: the model of {about['task']} ends in a classifier. Leave --prompt out.")
    if not (held or options.prompt):
        return task
    if not isinstance(task, ClassificationTask):
        raise InputError(f"--prompt: {task.name} asks for no label of a whole text, which a cloze answers with.")
    if held:
        return task.asked_as_cloze(tokenizer, Prompt(**held))
    own = task.prompt
    template = options.prompt_template or (own.template if own else "")
    if not template:
        raise InputError(f"--prompt: {task.name} has no template of its own. Give one with --prompt_template.")
    words = dict(own.words) if own else {label: label for label in task.labels}
    return task.asked_as_cloze(tokenizer, Prompt(template, words | _words(options.prompt_words)))


def _words(given: Sequence[str]) -> dict[str, str]:
    words = {}
    for pair in given:
        label, equals, word = pair.partition("=")
        if not (label and equals and word):
            raise InputError(f"--prompt_words={pair}: write LABEL=WORD, several with commas between.")
        words[label] = word
    return words


def columns_note(task: Task) -> str:
    """Which columns of the user's own files are taken for what, and the labels or types found."""
    if isinstance(task, TaggingTask):
        return f"texts with entities | types {_listed(task.types)}"
    called = {"text_a": "text", "text_b": "second text", "label": "label" if task.labels else "number"}
    columns = ", ".join(f"{called[name]} {column!r}" for name, column in task.reader.names.items())
    return f"columns: {columns}" + (f" | labels {_listed(task.labels)}" if task.labels else "")


def _listed(names: Sequence[str]) -> str:
    return f"{len(names)}: {', '.join(names[:12])}{' …' if len(names) > 12 else ''}"


def few_shot_note(task: Task, rows: Sequence[Row], few: Sequence[Row], count: int) -> str:
    """What was drawn, in words, and of which labels there were not enough rows."""
    drawn, labels = f"{len(few):,} of the {len(rows):,} training rows", task.sampled_by
    if not labels:
        return drawn
    held = Counter(label for row in rows for label in task.groups(row))
    short = [f"{label} ({held[label]})" for label in labels if held[label] < count]
    fewer = f"; {len(short)} have fewer: {', '.join(short[:12])}{' …' if len(short) > 12 else ''}" if short else ""
    return f"{drawn}, {count} of each of {len(labels)} {'labels' if labels == task.labels else 'types'}{fewer}"
