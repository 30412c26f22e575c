"""A label, or a number, for a text or a pair of texts: a fine-tuned model as a function of texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from albert_zh.files import InputError
from albert_zh.serve.given import Model, finetuned, listed, positive
from albert_zh.serve.network import logits_network, logits_of
from albert_zh.tasks.regression import NumberPrediction
from albert_zh.tasks.sentences import SentenceTask
from albert_zh.tasks.task import Prediction, Row

Text = str | tuple[str, str]


class Classifier:
    """Answers texts or pairs of texts with a fine-tuned model; several threads may ask one at the same time.

    Args:
        model: a folder as ``finetune`` leaves it (weights, ``albert_config.json``, vocabulary, ``task.json``), or an
            open model.

    Attributes:
        task, tokenizer: of the model.
        labels, label_names: in the order of the probabilities; empty for a regression.
        max_seq_length: tokens of a sequence; a longer text is cut.

    Raises:
        InputError: the folder is not a finished fine-tuned one, or of a task that asks more than a text or a pair.
    """

    def __init__(self, model: Model):
        opened = finetuned(model)
        self.task, self.tokenizer = opened.task, opened.tokenizer
        if not isinstance(self.task, SentenceTask):
            folder = opened.source.folder
            raise InputError(
                f"{folder}: a model of {self.task.name}, a task of kind {self.task.kind!r}, which a text alone does "
                "not ask. Write the questions as the task's test file and answer it with finetune --do_predict=true "
                f"--task_name={self.task.name} --output_dir={folder} --data_dir=…"
            )
        self.labels, self.label_names = self.task.labels, opened.label_names
        self.max_seq_length = opened.max_seq_length
        self._network = logits_network(opened.model)

    def predict(
        self, texts: Iterable[Text], batch_size: int = 64, places: Sequence[str] | None = None
    ) -> list[Prediction] | list[NumberPrediction]:
        """One prediction a text (or pair, for a task on pairs), in order: a label, or of a regression a number.

        Args:
            texts: strings, or tuples of two.
            batch_size: rows computed at once.
            places: what to call each text in an error, such as ``file:line``; left out, "text 1", "text 2" …

        Raises:
            InputError: a single text where a pair is needed, or the other way round, or an empty text.
        """
        texts = listed(texts, "texts")
        positive(batch_size, "batch_size")
        places = places or [f"text {n}" for n in range(1, len(texts) + 1)]
        rows = [Row(place, *self._parts(text, place)) for place, text in zip(places, texts, strict=True)]
        if not rows:
            return []
        features = self.task.featurize(rows, self.tokenizer, self.max_seq_length)
        return self.task.decode(logits_of(self._network, features, batch_size, self.tokenizer.pad_id), features)

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
