"""The entities of texts: a fine-tuned tagging model as a function of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from albert_zh.serve.given import Model, finetuned, of_kind, positive, texts_of
from albert_zh.serve.network import logits_network, logits_of
from albert_zh.tasks.entity_reader import TaggedRow
from albert_zh.tasks.tagging import TaggingTask


@dataclass(frozen=True)
class Entity:
    """A piece of a text that has a type.

    Attributes:
        text: its characters.
        type: as in the data, such as "name".
        name: what the type is called for people; the type itself where the task has no names.
        start, end: ``source[start:end] == text``.
        probability: mean probability of its tokens' tags, each token scored alone.
    """

    text: str
    type: str
    name: str
    start: int
    end: int
    probability: float


class Tagger:
    """Finds the entities of texts of any length; several threads may ask one at the same time.

    Args:
        model: the fine-tuned folder of a tagging task (CLUENER …), or an open model.

    Attributes:
        types: every type of entity, with what it is called.

    Raises:
        InputError: no finished fine-tuned folder, or one of another task.
    """

    def __init__(self, model: Model):
        opened = finetuned(model)
        self.task: TaggingTask = of_kind(opened, TaggingTask, "one of tagging, such as CLUENER,")
        self.types = {name: self.task.label_names.get(name, name) for name in self.task.types}
        self.tokenizer, self.max_seq_length = opened.tokenizer, opened.max_seq_length
        self._network = logits_network(opened.model)
        self._weights = opened.model.decoding_weights()

    def tag(
        self, texts: Sequence[str], batch_size: int = 64, places: Sequence[str] | None = None
    ) -> list[list[Entity]]:
        """The entities of every text, in the order they stand, none over another.

        Args:
            texts: one or more.
            batch_size: sequences computed at once; a long text is several.
            places: what to call each text in an error, such as ``file:line``; left out, "text 1", "text 2" …

        Raises:
            InputError: one string instead of a list, an empty text, or a value that is no text.
        """
        positive(batch_size, "batch_size")
        texts = texts_of(texts, places)
        if not texts:
            return []
        rows = [TaggedRow(f"text {number}", number, text, None) for number, text in enumerate(texts, 1)]
        features = self.task.featurize(rows, self.tokenizer, self.max_seq_length)
        logits = logits_of(self._network, features, batch_size, self.tokenizer.pad_id)
        found = self.task.decode(logits, features, **self._weights)
        return [
            [
                Entity(text[start:end], name, self.types[name], start, end, share)
                for (name, start, end), share in zip(each.entities, each.confidences, strict=True)
            ]
            for text, each in zip(texts, found, strict=True)
        ]
