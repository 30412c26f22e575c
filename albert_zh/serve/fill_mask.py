"""The likeliest words in the blanks of texts, by the masked-LM head.

今天[MASK]气很好        天 0.93: 今天天气很好
他在[MASK][MASK]工作    one word of two tokens, found as a whole
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from albert_zh.files import InputError
from albert_zh.serve.best import best_places
from albert_zh.serve.given import Model, positive, texts_of
from albert_zh.serve.masked_words import MaskedWords
from albert_zh.text.characters import is_chinese

#: A blank, as it is written in a text.
BLANK = "[MASK]"
#: Entries of vocabularies that stand for no text, besides the tokenizer's special tokens.
_NO_TEXT = re.compile(r"\[unused\d+\]|<[ST]>|\[[A-Z]+\]|▁")
#: Unfinished words kept at each step of a search, if not more are asked for.
BEAM = 16


@dataclass(frozen=True)
class Filling:
    """A word for one blank.

    Attributes:
        text: the word; "##" before it: it goes on with the word on its left.
        probability: of all its tokens, each given those on its left.
        sentence: the text with this blank filled, and others left as they are.
    """

    text: str
    probability: float
    sentence: str


@dataclass(frozen=True)
class _Blank:
    """One blank of a text: where it is written, and the ids around it with ``mask_id`` at ``places``."""

    text: str
    start: int
    end: int
    ids: list[int]
    places: list[int]


class FillMask:
    """Fills blanks; several threads may ask at the same time.

    A blank is ``[MASK]``, for one token: a Chinese character, or a piece of a word. Several side by side are one word
    of as many tokens, filled from the left: the best beginnings are put in and the rest is computed anew. Other blanks
    of the text stay blanks meanwhile. brightmart's checkpoints answer with both ``X`` and ``##X`` for a Chinese
    character inside a word, as their labels were: the two are one answer and their probabilities are added.

    Args:
        model: a pretrained model with a masked-LM head and a vocabulary: a path, a name of the catalogue or an open
            model.

    Raises:
        InputError: a model without masked-LM head or vocabulary.
    """

    def __init__(self, model: Model):
        self._words = MaskedWords(model)
        self.tokenizer, self.max_seq_length = self._words.tokenizer, self._words.max_seq_length
        tokens = self.tokenizer.tokens(range(self.tokenizer.vocab_size))
        special = [self.tokenizer.pad_id, self.tokenizer.unk_id, self.tokenizer.cls_id, self.tokenizer.sep_id]
        special.append(self.tokenizer.mask_id)
        special += [number for number, token in enumerate(tokens) if _NO_TEXT.fullmatch(token)]
        self._special = sorted(set(special))
        self._plain, self._twins = [], []
        if self._words.source.config.family == "brightmart":
            self._plain, self._twins = _twins(tokens)

    def fill(
        self, texts: Sequence[str], top_k: int = 5, beam: int = BEAM, batch_size: int = 32
    ) -> list[list[list[Filling]]]:
        """For every text, for every blank of it, the best ``top_k`` words, best first.

        Args:
            texts: each with a ``[MASK]`` or more.
            top_k: words a blank.
            beam: unfinished words kept for a blank of several tokens, ``top_k`` at least; of n tokens all words are
                tried with V ** (n - 1), V the vocabulary's size.
            batch_size: sequences computed at once.

        Raises:
            InputError: one string instead of a list, a text without a blank, or a blank of more tokens than fit.
        """
        positive(batch_size, "batch_size")
        beam = max(positive(beam, "beam"), positive(top_k, "top_k"))
        blanks = [self._blanks(text, f"text {number}") for number, text in enumerate(texts_of(texts), 1)]
        found = iter(self._search([blank for own in blanks for blank in own], beam, batch_size))
        return [[self._fillings(blank, next(found)[:top_k]) for blank in own] for own in blanks]

    def _blanks(self, text: str, where: str) -> list[_Blank]:
        """The blanks of a text, each in as much of it as fits into a sequence."""
        ids: list[int] = []
        spots: list[tuple[int, int, int]] = []  # first place in ids, and characters
        end = 0
        for run in re.finditer(rf"(?:{re.escape(BLANK)})+", text):
            ids += self.tokenizer.encode(text[end : run.start()]).ids
            spots.append((len(ids), run.start(), run.end()))
            end = run.end()
            ids += [self.tokenizer.mask_id] * ((end - run.start()) // len(BLANK))
        if not spots:
            raise InputError(f"{where}: no {BLANK} in {text!r}. Write one where a token is to be found.")
        ids += self.tokenizer.encode(text[end:]).ids
        room, blanks = self.max_seq_length - 2, []
        for first, start, end in spots:
            count = (end - start) // len(BLANK)
            if count > room:
                raise InputError(f"{where}: a blank of {count} tokens, where a sequence takes {room}. Shorten it.")
            left = max(0, min(first - (room - count) // 2, len(ids) - room))  # the blank in the middle of what is kept
            kept = [self.tokenizer.cls_id, *ids[left : left + room], self.tokenizer.sep_id]
            places = [first - left + 1 + number for number in range(count)]
            blanks.append(_Blank(text, start, end, kept, places))
        return blanks

    def _search(
        self, blanks: Sequence[_Blank], beam: int, batch_size: int
    ) -> list[list[tuple[float, tuple[int, ...]]]]:
        """Of every blank (log-probability, ids) of the best words, best first; lower ids first where they are equal."""
        words: list[list[tuple[float, tuple[int, ...]]]] = [[(0.0, ())] for _ in blanks]
        for step in range(max((len(blank.places) for blank in blanks), default=0)):
            open_ = [number for number, blank in enumerate(blanks) if len(blank.places) > step]
            tried = [(number, score, ids) for number in open_ for score, ids in words[number]]
            longer: dict[int, list[tuple[float, tuple[int, ...]]]] = {number: [] for number in open_}
            rows = []
            for number, _, ids in tried:
                row = list(blanks[number].ids)
                row[blanks[number].places[0] : blanks[number].places[0] + step] = ids
                rows.append((row, [blanks[number].places[step]]))
            for part, logits in self._words.batches(rows, batch_size):
                logs = self._log_probabilities(logits[:, 0])
                for place, scores in zip(part, logs, strict=True):
                    number, score, ids = tried[place]
                    kept = (int(each) for each in best_places(scores, beam) if np.isfinite(scores[each]))
                    longer[number] += [(score + float(scores[each]), (*ids, each)) for each in kept]
            for number, own in longer.items():
                words[number] = sorted(own, key=lambda word: (-word[0], word[1]))[:beam]
        return words

    def _log_probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Scores (B, V) -> natural logs of probabilities, twins added, minus infinity for what is no text."""
        logits = logits[:, : self.tokenizer.vocab_size].astype(np.float64)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        shares[:, self._plain] += shares[:, self._twins]
        shares[:, self._twins] = 0
        shares[:, self._special] = 0
        with np.errstate(divide="ignore"):
            return np.log(shares)

    def _fillings(self, blank: _Blank, words: Sequence[tuple[float, tuple[int, ...]]]) -> list[Filling]:
        fillings = []
        for score, ids in words:
            word = _joined(self.tokenizer.tokens(ids))
            sentence = blank.text[: blank.start] + word.removeprefix("##") + blank.text[blank.end :]
            fillings.append(Filling(word, float(np.exp(score)), sentence))
        return fillings


def _twins(tokens: Sequence[str]) -> tuple[list[int], list[int]]:
    """The ids of Chinese characters that a vocabulary also has behind "##", and the ids of those."""
    ids = {token: number for number, token in enumerate(tokens)}
    found = [
        (ids[token[2:]], number)
        for token, number in ids.items()
        if len(token) == 3 and token.startswith("##") and is_chinese(token[2]) and token[2] in ids
    ]
    return [plain for plain, _ in found], [twin for _, twin in found]


def _joined(tokens: Sequence[str]) -> str:
    """Tokens as text: no "##" but at the start, a space only between two words of letters.

    >>> _joined(["北", "##京"]), _joined(["play", "##ing"]), _joined(["new", "york"]), _joined(["▁new", "▁york"])
    ('北京', 'playing', 'new york', 'new york')
    """
    text = ""
    for token in tokens:
        piece = token.removeprefix("##") if text or (len(token) == 3 and is_chinese(token[2])) else token
        apart = text and piece == token and text[-1].isalnum() and token[0].isalnum()
        text += " " * bool(apart and not is_chinese(text[-1]) and not is_chinese(token[0])) + piece
    return text.replace("▁", " ").strip() if "▁" in text else text
