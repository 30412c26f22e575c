"""A model with all that using it takes: the network, the tokenizer and, fine-tuned, the task it answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from albert_zh import pretrained
from albert_zh.files import InputError, read_json
from albert_zh.models.heads import AlbertForCloze
from albert_zh.tasks import Prompt, task_of
from albert_zh.tasks.task import Task
from albert_zh.text.tokenizer import Tokenizer

_TASK_KEYS = ("task", "labels", "label_names", "max_seq_length", "lower_case", "tokenizer")
#: Length of a pretrained model's sequences where nothing else says it.
LENGTH = 128


@dataclass(frozen=True)
class OpenModel:
    """A model, fine-tuned or pretrained, ready to answer.

    Attributes:
        source: where it lies; its config and vocabulary.
        model: the network. Fine-tuned, ``model(inputs, heads_only=True)["logits"]`` is what ``task.decode`` reads.
        tokenizer: of its vocabulary.
        task: what it was fine-tuned for, with the settings it was finished with; None: a pretrained model.
        label_names: what the task's labels are called, in their order.
        max_seq_length: tokens of a sequence, special tokens included.
        about: what its ``task.json`` says; empty for a pretrained model.
    """

    source: pretrained.Source
    model: keras.Model
    tokenizer: Tokenizer
    task: Task | None
    label_names: tuple[str, ...]
    max_seq_length: int
    about: Mapping[str, Any]

    @property
    def where(self) -> str:
        """What to call it in messages."""
        return self.source.where

    @property
    def fills_blanks(self) -> bool:
        """Whether it is a pretrained model with its masked-LM head."""
        return self.task is None and self.source.has_masked_lm


def open_model(path: str | os.PathLike[str]) -> OpenModel:
    """A finished fine-tuned folder, or a pretrained model as ``load_pretrained`` takes it.

    Raises:
        InputError: no model, none with a vocabulary, or a ``task.json`` that is not whole.
    """
    if (Path(path) / pretrained.TASK_FILE).is_file():
        return open_finetuned(path)
    source = pretrained.find(path)
    tokenizer = pretrained.tokenizer_of(source)
    model, _ = pretrained.load(source, bare=True)
    return OpenModel(source, model, tokenizer, None, (), min(LENGTH, source.config.max_position_embeddings), {})


def open_finetuned(folder: str | os.PathLike[str]) -> OpenModel:
    """A folder as ``finetune`` leaves it: weights, ``albert_config.json``, vocabulary, ``task.json``.

    Raises:
        InputError: it is not a finished fine-tuned folder.
    """
    folder = Path(folder)
    if not (folder / pretrained.TASK_FILE).is_file():
        raise InputError(
            f"{folder}: no task.json, so no finished fine-tuned folder. "
            "Give the --output_dir of a finetune run that has ended."
        )
    about = read_json(folder / pretrained.TASK_FILE)
    missing = [key for key in _TASK_KEYS if key not in about]
    if missing:
        raise InputError(f"{folder}/task.json: no key {missing[0]!r}. Fine-tune again, or copy the folder whole.")
    task = task_of(about).with_settings(about.get("settings", {}))
    if tuple(about["labels"]) != task.labels:
        raise InputError(f"{folder}/task.json: its labels are not those of the task {task.name!r}.")
    source = pretrained.find(folder)
    tokenizer = pretrained.tokenizer_of(source, lower_case=about["lower_case"])
    if prompt := about.get("prompt"):
        task = task.asked_as_cloze(tokenizer, Prompt(**prompt))
        model = AlbertForCloze(source.config, task.head.words, task.head.mask_id)
        pretrained.fill(model, source)
    else:
        model, _ = pretrained.load(source)
    return OpenModel(source, model, tokenizer, task, tuple(about["label_names"]), about["max_seq_length"], about)
