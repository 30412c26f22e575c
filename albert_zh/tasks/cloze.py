"""A task asked as a cloze: a template with a blank around the text, and a word in the blank for each label.

The masked-LM head then answers without a classifier, untrained or after a few rows (PET, Schick and Schütze 2021,
https://arxiv.org/abs/2001.07676).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from albert_zh.files import InputError
from albert_zh.text.packing import pair_lengths

if TYPE_CHECKING:
    from albert_zh.text.tokenizer import Tokenizer

#: Where the word goes.
BLANK = "mask"
#: A text that says nothing, by which a word's own frequency is told from what a text adds to it.
NO_CONTENT = "。"
_SLOT = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class Prompt:
    """What is asked, in words.

    Attributes:
        template: text with ``{mask}`` for the blank, ``{text_a}`` and for pairs ``{text_b}``.
        words: label to the word that fills the blank.
    """

    template: str
    words: Mapping[str, str]

    def check(self, text_names: Sequence[str], labels: Sequence[str]) -> None:
        """Raises InputError unless the template has each slot once and every label a word of its own."""
        slots = _SLOT.findall(self.template)
        wanted = [BLANK, *text_names]
        if sorted(slots) != sorted(wanted):
            needed = ", ".join(f"{{{name}}}" for name in wanted)
            raise InputError(f"the template {self.template!r} must hold {needed}, each once, and no other braces.")
        missing = [label for label in labels if not self.words.get(label, "").strip()]
        if missing:
            raise InputError(f"no word for the label {', '.join(map(repr, missing[:12]))}. Give every label one.")
        if unknown := [label for label in self.words if label not in labels]:
            raise InputError(f"a word for {unknown[0]!r}, which is no label; the labels are {', '.join(labels[:20])}.")
        words = [self.words[label] for label in labels]
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise InputError(f"the word {twice[0]!r} stands for two labels. Give each label a word of its own.")


@dataclass(frozen=True)
class Cloze:
    """A prompt in the ids of a tokenizer.

    Attributes:
        prompt: in words.
        parts: the template in order: ids of a piece of text, or the name of a slot.
        words: C words of K ids, in the order of the labels.
        mask_id: stands in the blanks.
    """

    prompt: Prompt
    parts: tuple[tuple[int, ...] | str, ...]
    words: tuple[tuple[int, ...], ...]
    mask_id: int

    @property
    def blanks(self) -> int:
        """K."""
        return len(self.words[0])

    @property
    def template_length(self) -> int:
        """Tokens of a sequence besides its texts."""
        return 2 + self.blanks + sum(len(part) for part in self.parts if not isinstance(part, str))

    def sequence(self, texts: Mapping[str, Sequence[int]], tokenizer: Tokenizer, max_length: int) -> list[int]:
        """``[CLS]``, the template with the texts and K blanks in it, ``[SEP]``; one segment.

        While it is too long, the longer text loses its last token: the template stays whole.

        Args:
            texts: slot to ids, of one text or two.

        Raises:
            InputError: ``max_length`` leaves no token of each text.
        """
        room = max_length - self.template_length
        if room < len(texts):
            raise InputError(
                f"--max_seq_length={max_length}: the template takes {self.template_length} tokens and leaves no room "
                f"for the text. Give {self.template_length + 16} or more."
            )
        lengths = [len(ids) for ids in texts.values()]
        fitting = pair_lengths(*lengths, room) if len(lengths) == 2 else [min(lengths[0], room)]
        kept = dict(zip(texts, fitting, strict=True))
        ids = [tokenizer.cls_id]
        for part in self.parts:
            if part == BLANK:
                ids += [self.mask_id] * self.blanks
            elif isinstance(part, str):
                ids += texts[part][: kept[part]]
            else:
                ids += part
        return [*ids, tokenizer.sep_id]


def in_ids(prompt: Prompt, labels: Sequence[str], tokenizer: Tokenizer) -> Cloze:
    """The cloze of a prompt whose words all have as many tokens.

    Raises:
        InputError: a word or the template is not in the vocabulary, words have different numbers of tokens, or two
            words are the same to the tokenizer.
    """
    words = {label: word_ids(prompt.words[label], tokenizer) for label in labels}
    sizes = {label: len(ids) for label, ids in words.items()}
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{prompt.words[label]} {size}" for label, size in list(sizes.items())[:12])
        raise InputError(f"label words must have as many tokens each, to fill the same blanks: {said}. Choose others.")
    same: dict[tuple[int, ...], str] = {}
    for label, ids in words.items():
        if ids in same:
            raise InputError(
                f"the words {prompt.words[same[ids]]!r} and {prompt.words[label]!r} are the same tokens. Choose others."
            )
        same[ids] = label
    return Cloze(prompt, _parts(prompt.template, tokenizer), tuple(words.values()), tokenizer.mask_id)


def word_ids(word: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids of a label's word. Raises InputError where the vocabulary lacks a part of it."""
    ids = tuple(tokenizer.encode(word).ids)
    if not ids or tokenizer.unk_id in ids:
        raise InputError(f"the label word {word!r} is not in the vocabulary {tokenizer.path}. Choose another.")
    return ids


def _parts(template: str, tokenizer: Tokenizer) -> tuple[tuple[int, ...] | str, ...]:
    parts: list[tuple[int, ...] | str] = []
    for place, piece in enumerate(_SLOT.split(template)):
        if place % 2:
            parts.append(piece)
        elif ids := tuple(tokenizer.encode(piece).ids):
            if tokenizer.unk_id in ids:
                raise InputError(f"the template's {piece!r} is not in the vocabulary {tokenizer.path}. Write another.")
            parts.append(ids)
    return tuple(parts)
