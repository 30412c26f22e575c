"""What callers hand over, checked: a model by its path or open already, and lists of texts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from albert_zh.files import InputError
from albert_zh.opened import OpenModel, open_finetuned, open_model

#: What every constructor takes for its model.
Model = str | os.PathLike[str] | OpenModel
Value = TypeVar("Value")


def any_model(model: Model) -> OpenModel:
    """A model, fine-tuned or pretrained. Raises InputError as ``open_model``."""
    return model if isinstance(model, OpenModel) else open_model(model)


def finetuned(model: Model) -> OpenModel:
    """A fine-tuned model.

    Raises:
        InputError: as ``open_finetuned``, or an open model that is none.
    """
    opened = model if isinstance(model, OpenModel) else open_finetuned(model)
    if opened.task is None:
        raise InputError(f"{opened.where}: a pretrained model. Give the --output_dir of a finetune run that has ended.")
    return opened


def of_kind(opened: OpenModel, kind: type, what: str) -> Any:
    """The task of a fine-tuned model.

    Raises:
        InputError: it is not of the class ``kind``, called ``what`` in the message.
    """
    if not isinstance(opened.task, kind):
        raise InputError(
            f"{opened.where}: a model of {opened.task.name}, a task of kind {opened.task.kind!r}, where {what} is "
            "needed. Give the folder of such a run."
        )
    return opened.task


def listed(values: Iterable[Value], what: str) -> list[Value]:
    """A list of what was handed over. Raises InputError where that is one string, or nothing to list."""
    if isinstance(values, str):
        raise InputError(f"{what}: one text, {values!r}, where a list is needed. Write [{values!r}].")
    if not isinstance(values, Iterable):
        raise InputError(f"{what}: {values!r} where a list is needed.")
    return list(values)


def texts_of(values: Iterable[str], places: Sequence[str] | None = None) -> list[str]:
    """A list of texts with a character in each.

    Args:
        values: what was handed over.
        places: what to call each in an error, such as ``file:line``; left out, "text 1", "text 2" …

    Raises:
        InputError: one string, an empty text, or a value that is no text.
    """
    texts = listed(values, "texts")
    for number, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            where = places[number] if places else f"text {number + 1}"
            raise InputError(f"{where}: {text!r} where some text is needed.")
    return texts


def positive(value: int, name: str) -> int:
    """A whole number from 1 up. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} is {value!r}: it must be a whole number, 1 or more.")
    return value
