"""A fine-tuned folder as a function: load once, answer many."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from albert_zh.files import InputError, atomic_writer
from albert_zh.opened import open_finetuned
from albert_zh.serve.batches import by_length
from albert_zh.serve.options import PredictOptions
from albert_zh.tasks.regression import NumberPrediction
from albert_zh.tasks.sentences import SentenceTask
from albert_zh.tasks.task import Prediction, Row

Text = str | tuple[str, str]


class Classifier:
    """Answers texts or pairs of texts with a fine-tuned model.

    Args:
        folder: as ``finetune`` leaves it: weights, ``albert_config.json``, vocabulary, ``task.json``.

    Raises:
        InputError: the folder is not a finished fine-tuned one.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        opened = open_finetuned(folder)
        self.task, self.model, self.tokenizer = opened.task, opened.model, opened.tokenizer
        if not isinstance(self.task, SentenceTask):
            raise InputError(
                f"{folder}: a model of {self.task.name}, a task of kind {self.task.kind!r}, which a text alone does "
                "not ask. Write the questions as the task's test file and answer it with finetune --do_predict=true "
                f"--task_name={self.task.name} --output_dir={folder} --data_dir=…"
            )
        self.labels, self.label_names = self.task.labels, opened.label_names
        self.max_seq_length = opened.max_seq_length

    def predict(
        self, texts: Sequence[Text], batch_size: int = 64, places: Sequence[str] | None = None
    ) -> list[Prediction] | list[NumberPrediction]:
        """One prediction a text (or pair, for a task on pairs), in order: a label, or of a regression a number.

        Args:
            texts: strings, or tuples of two.
            batch_size: rows computed at once.
            places: what to call each text in an error, such as ``file:line``; left out, "text 1", "text 2" …

        Raises:
            InputError: a single text where a pair is needed, or the other way round, or an empty text.
        """
        if isinstance(texts, str):
            raise InputError(f"one text, {texts!r}, where a list is needed. Write predict([text]).")
        places = places or [f"text {n}" for n in range(1, len(texts) + 1)]
        rows = [Row(place, *self._parts(text, place)) for place, text in zip(places, texts, strict=True)]
        if not rows:
            return []
        features = self.task.featurize(rows, self.tokenizer, self.max_seq_length)
        logits = np.empty((len(features), self.task.head.outputs), np.float32)
        batches = by_length(features.input_ids, features.segment_ids, batch_size, self.tokenizer.pad_id)
        for part, inputs in batches:
            logits[part] = np.asarray(self.model(inputs, heads_only=True)["logits"])
        return self.task.decode(logits, features)

    def name_of(self, label: str) -> str:
        """A label's name for people."""
        return self.label_names[self.labels.index(label)]

    def _parts(self, text: Text, where: str) -> tuple[str, str | None]:
        parts = [text] if isinstance(text, str) else list(text) if isinstance(text, (tuple, list)) else []
        if len(parts) != 1 + (self.task.kind == "pair") or not all(isinstance(part, str) for part in parts):
            wanted = "a pair of texts" if self.task.kind == "pair" else "one text"
            raise InputError(f"{where}: the task {self.task.name!r} takes {wanted}, got {text!r}.")
        if not all(part.strip() for part in parts):
            raise InputError(f"{where}: empty. Give some text.")
        self.task.check_texts(parts, where)
        return parts[0], parts[1] if len(parts) == 2 else None


def run(options: PredictOptions) -> list[Prediction] | list[NumberPrediction]:
    """Answers the texts of the options: a table of answer, name, probability and text, of a regression value and text.

    Raises:
        InputError: nothing to answer, a row with the wrong number of columns, or an unusable folder.
    """
    if bool(options.text) == bool(options.input_file):
        raise InputError("give --text (one text, or two for pairs) or --input_file, and not both.")
    classifier = Classifier(options.folder)
    pair = classifier.task.kind == "pair"
    texts: list[Text] = []
    places = None
    if options.input_file:
        found = classifier.task.read_texts(options.input_file)
        places = [where for where, _ in found]
        texts = [columns if pair else columns[0] for _, columns in found]
    elif pair and len(options.text) != 2:
        raise InputError(f"--text: the task {classifier.task.name!r} takes two texts, got {len(options.text)}.")
    else:
        texts = [options.text] if pair else list(options.text)
    predictions = classifier.predict(texts, options.batch_size, places)
    with _output(options.output_file) as stream:
        numbers = classifier.task.head.kind == "regression"
        stream.write("value\ttext\n" if numbers else "label\tname\tprobability\ttext\n")
        for text, prediction in zip(texts, predictions, strict=True):
            shown = "\t".join(" ".join(part.split()) for part in ([text] if isinstance(text, str) else text))
            answer = [prediction.label]
            if not numbers:
                answer += [classifier.name_of(prediction.label), f"{prediction.confidence:.4f}"]
            stream.write("\t".join([*answer, shown]) + "\n")
    if options.output_file:
        print(f"{len(texts)} answers: {options.output_file}")
    return predictions


@contextmanager
def _output(path: str) -> Iterator:
    if not path:
        yield sys.stdout
        return
    with atomic_writer(path) as stream:
        yield stream
