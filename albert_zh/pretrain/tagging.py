"""Documents as arrays: each sentence tokenised and segmented once, however often it is masked later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from albert_zh.pretrain.documents import Document
from albert_zh.pretrain.segments import cut_sentence
from albert_zh.text.tokenizer import Tokenizer
from albert_zh.text.words import Segmenter, tag_words

#: Marks a clause or a sentence ends with: where a sentence is best cut in two.
CLAUSE_MARKS = frozenset("，。！？；：、…,.!?;:)）】》”’")


@dataclass(frozen=True)
class TaggedText:
    """The tokens of many documents, one after another.

    Attributes:
        ids: (T,) int32 token ids.
        word_starts: (T,) bool, True on the first token of a word.
        after_punctuation: (T,) bool, True on a token that follows a clause mark.
        documents: where each document lies.
    """

    ids: np.ndarray
    word_starts: np.ndarray
    after_punctuation: np.ndarray
    documents: list[TaggedDocument]


@dataclass(frozen=True)
class TaggedDocument:
    """One document in a TaggedText: its first token, the ends of its sentences, and the file and byte it came from."""

    start: int
    sentence_ends: list[int]
    file_number: int
    offset: int


@dataclass
class _Gathered:
    ids: list[np.ndarray] = field(default_factory=list)
    word_starts: list[np.ndarray] = field(default_factory=list)
    after_punctuation: list[np.ndarray] = field(default_factory=list)


def clause_mark_ids(tokenizer: Tokenizer) -> np.ndarray:
    """(V,) bool, True for the ids of clause marks."""
    return np.array([token in CLAUSE_MARKS for token in tokenizer.tokens(range(tokenizer.vocab_size))])


def tag_documents(
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    segmenter: Segmenter,
    is_clause_mark: np.ndarray,
    max_tokens: int,
    counts: Counter[str],
) -> TaggedText:
    """Tokenises and segments documents; a sentence over ``max_tokens`` tokens is cut into pieces, none is dropped.

    Adds to ``counts``: documents, sentences, text_tokens, unknown_tokens, sentences_cut (over the length),
    sentences_without_tokens, documents_without_tokens.
    """
    parts, tagged = _Gathered(), []
    total = 0
    for document in documents:
        start, ends = total, []
        for ids, words in tag_words(document.sentences, tokenizer, segmenter):
            counts["sentences"] += 1
            if not len(ids):
                counts["sentences_without_tokens"] += 1
                continue
            starts = np.diff(words, prepend=-1) != 0
            follows = np.zeros(len(ids), bool)
            follows[1:] = is_clause_mark[ids[:-1]]
            pieces = [len(ids)]
            if len(ids) > max_tokens:
                pieces = cut_sentence(len(ids), max_tokens, starts, follows)
                starts[pieces[:-1]] = True  # a word longer than a sequence: each part is a word
                counts["sentences_cut"] += 1
            parts.ids.append(ids)
            parts.word_starts.append(starts)
            parts.after_punctuation.append(follows)
            ends.extend(total + end for end in pieces)
            total += len(ids)
        counts["documents"] += 1
        if ends:
            tagged.append(TaggedDocument(start, ends, document.file_number, document.offset))
        else:
            counts["documents_without_tokens"] += 1
    ids = np.concatenate(parts.ids) if total else np.zeros(0, np.int32)
    counts["text_tokens"] += total
    counts["unknown_tokens"] += int(np.count_nonzero(ids == tokenizer.unk_id))
    return TaggedText(
        ids,
        np.concatenate(parts.word_starts) if total else np.zeros(0, bool),
        np.concatenate(parts.after_punctuation) if total else np.zeros(0, bool),
        tagged,
    )
