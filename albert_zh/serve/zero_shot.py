"""Labels for texts without training: the masked-LM head fills the blank of a template with the likeliest label.

import albert_zh
albert_zh.zero_shot("albert_tiny_zh", ["体育", "财经", "科技"], ["国足今晚出战", "央行下调存款准备金率"])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from albert_zh.files import InputError
from albert_zh.models.heads import word_scores
from albert_zh.serve.given import Model, listed, texts_of
from albert_zh.serve.masked_words import MaskedWords
from albert_zh.tasks.classification import most_probable
from albert_zh.tasks.cloze import NO_CONTENT, Cloze, Prompt, in_ids, word_ids
from albert_zh.tasks.task import Prediction

#: Asks for a topic; the text comes last, where cutting it hurts least.
TEMPLATE = "下面是关于{mask}的内容：{text_a}"


class ZeroShot:
    """A pretrained model and labels as a function of texts: load once, answer many.

    A label's score is the mean log-probability of its word's pieces in as many blanks, less what it is when the text
    is a full stop: a word that is likely anywhere says nothing of a text (Holtzman et al. 2021,
    https://arxiv.org/abs/2104.08315). The probabilities are the softmax of the scores.

    Args:
        model: a pretrained model with a masked-LM head and a vocabulary, as ``load_pretrained`` takes it, or open.
        labels: two or more; a label is the word in the blank, unless it is a key of a mapping of labels to words.
        template: with ``{mask}`` and ``{text_a}``, each once.
        max_seq_length: tokens of a sequence; a longer text is cut.
        lower_case: lower-case the text; None: as the model's own files say.

    Raises:
        InputError: a model without masked-LM head or vocabulary, labels that are fewer than two or the same, a word
            that the vocabulary lacks, or a template without its slots.
    """

    def __init__(
        self,
        model: Model,
        labels: Sequence[str] | Mapping[str, str],
        template: str = TEMPLATE,
        *,
        max_seq_length: int = 128,
        lower_case: bool | None = None,
    ):
        words = dict(labels) if isinstance(labels, Mapping) else {label: label for label in listed(labels, "labels")}
        self.labels = tuple(words)
        if len(words) < 2 or (not isinstance(labels, Mapping) and len(words) < len(labels)):
            raise InputError(f"labels: two or more different ones are needed, got {list(labels)}.")
        prompt = Prompt(template, words)
        prompt.check(("text_a",), self.labels)
        self._words = MaskedWords(model, lower_case)
        self.tokenizer = self._words.tokenizer
        self.max_seq_length = min(max_seq_length, self._words.source.config.max_position_embeddings)
        self._clozes = self._by_blanks(prompt)
        self._prior = self._scores([NO_CONTENT], 1)

    def predict(self, texts: Sequence[str], batch_size: int = 64) -> list[Prediction]:
        """One label a text, in order, with the probability of every label.

        Raises:
            InputError: a text that is no string, or empty.
        """
        texts = texts_of(texts)
        if not texts:
            return []
        return most_probable(self._scores(texts, batch_size) - self._prior, self.labels)

    def _by_blanks(self, prompt: Prompt) -> list[tuple[list[int], Cloze]]:
        """The labels in groups whose words have as many pieces: places among the labels, and their cloze."""
        groups: dict[int, list[str]] = {}
        for label, word in prompt.words.items():
            groups.setdefault(len(word_ids(word, self.tokenizer)), []).append(label)
        return [
            ([self.labels.index(label) for label in group], in_ids(prompt, group, self.tokenizer))
            for group in groups.values()
        ]

    def _scores(self, texts: Sequence[str], batch_size: int) -> np.ndarray:
        """Mean log-probability of every label's word, (n, C), float64."""
        scores = np.empty((len(texts), len(self.labels)))
        encoded = [self.tokenizer.encode(text).ids for text in texts]
        for places, cloze in self._clozes:
            rows = [cloze.sequence({"text_a": ids}, self.tokenizer, self.max_seq_length) for ids in encoded]
            blanks = [[place for place, number in enumerate(row) if number == cloze.mask_id] for row in rows]
            for part, logits in self._words.batches(list(zip(rows, blanks, strict=True)), batch_size):
                scores[np.ix_(part, places)] = np.asarray(word_scores(logits, cloze.words))
        return scores


def zero_shot(
    model: Model,
    labels: Sequence[str] | Mapping[str, str],
    texts: Sequence[str],
    template: str = TEMPLATE,
) -> list[Prediction]:
    """``ZeroShot(model, labels, template).predict(texts)``, for one call; see there."""
    return ZeroShot(model, labels, template).predict(texts)
