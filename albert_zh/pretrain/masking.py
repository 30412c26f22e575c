"""Which tokens a model must guess: words masked whole, in n-grams, 80% [MASK], 10% kept, 10% random.

Masking is that of BERT (https://arxiv.org/abs/1810.04805, section 3.1) on the n-grams of ALBERT
(https://arxiv.org/abs/1909.11942, section 4.1): the length n of a masked run of words is drawn with p(n) ~ 1/n.
Words come from positions in the text. The labels are the ids that stood there.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from dataclasses import dataclass

import numpy as np

from albert_zh.pretrain.example import MaskedInstance
from albert_zh.pretrain.segments import Pair
from albert_zh.text.characters import is_chinese
from albert_zh.text.tokenizer import Tokenizer

#: Tokens that no text holds, never put in as a random token.
_NEVER_RANDOM = re.compile(r"\[(PAD|UNK|CLS|SEP|MASK|unused\d+)\]|<[^<>\s]+>")


@dataclass(frozen=True)
class Packed:
    """``[CLS] A [SEP] B [SEP]`` before masking.

    Attributes:
        ids: (n,) int32 token ids.
        segment_ids: (n,) int32, 0 up to the first [SEP], 1 after it.
        word_starts: (n,) bool, True on the first token of each word and on special tokens.
        first_length: tokens of A.
        swapped: True when A follows B in the text.
    """

    ids: np.ndarray
    segment_ids: np.ndarray
    word_starts: np.ndarray
    first_length: int
    swapped: bool


@dataclass(frozen=True)
class MaskingRule:
    """How words are masked, with what depends on the vocabulary worked out once.

    Attributes:
        masked_lm_prob: share of the tokens, special ones counted, to predict.
        max_predictions: most predictions of an instance, P.
        ngram: longest run of words masked together; 1 masks single words.
        whole_words: False masks single tokens, whatever words they belong to.
        mask_id: id of [MASK].
        random_ids: ids a random token is drawn from.
        legacy_labels: (V,) label of an id inside a word, or None when labels are the ids themselves.
    """

    masked_lm_prob: float
    max_predictions: int
    ngram: int
    whole_words: bool
    mask_id: int
    random_ids: np.ndarray
    legacy_labels: np.ndarray | None = None


def random_token_ids(tokenizer: Tokenizer) -> np.ndarray:
    """The ids a random token may have: no special and no [unused] one."""
    tokens = tokenizer.tokens(range(tokenizer.vocab_size))
    return np.array([i for i, token in enumerate(tokens) if not _NEVER_RANDOM.fullmatch(token)], np.int32)


def legacy_subword_labels(tokenizer: Tokenizer) -> np.ndarray:
    """(V,) for a Chinese character the id of its "##" twin, if the vocabulary has one; else the id itself.

    The published brightmart models learned the twin as the label of every Chinese character but the first of a word
    (their creator stored the token it had marked), so continuing to train one needs the same labels.
    """
    tokens = tokenizer.tokens(range(tokenizer.vocab_size))
    labels = np.arange(len(tokens), dtype=np.int32)
    ids = {token: number for number, token in enumerate(tokens)}
    for number, token in enumerate(tokens):
        if len(token) == 1 and is_chinese(token):
            labels[number] = ids.get(f"##{token}", number)
    return labels


def pack(ids: np.ndarray, word_starts: np.ndarray, pair: Pair, tokenizer: Tokenizer) -> Packed:
    """The pair's tokens as one sequence, the later segment first when swapped.

    Arguments:
        ids: (T,) int32, all tokens the pair's offsets point into.
        word_starts: (T,) bool, True on the first token of a word.
        pair: offsets of the two segments.
        tokenizer: gives the ids of [CLS] and [SEP].
    """
    first, second = slice(pair.start, pair.middle), slice(pair.middle, pair.end)
    if pair.swapped:
        first, second = second, first
    length = first.stop - first.start
    size = pair.end - pair.start + 3
    tokens = np.empty(size, np.int32)
    starts = np.ones(size, bool)
    segment_ids = np.zeros(size, np.int32)
    tokens[0], tokens[length + 1], tokens[-1] = tokenizer.cls_id, tokenizer.sep_id, tokenizer.sep_id
    tokens[1 : length + 1] = ids[first]
    tokens[length + 2 : -1] = ids[second]
    starts[1 : length + 1] = word_starts[first]
    starts[length + 2 : -1] = word_starts[second]
    starts[1] = starts[length + 2] = True
    segment_ids[length + 2 :] = 1
    return Packed(tokens, segment_ids, starts, length, pair.swapped)


def mask_words(packed: Packed, rule: MaskingRule, rng: np.random.Generator) -> MaskedInstance:
    """Masks random words whole: at most P tokens, about ``masked_lm_prob`` of all.

    The words of each segment are cut at random into n-grams, and random n-grams are taken while they fit. Of

        [CLS] 研 究 生 命 [SEP] 的 起 源 [SEP]     words 研究 | 生命 | 的 | 起源

    the draw "生命" makes

        [CLS] 研 究 [MASK] [MASK] [SEP] 的 起 源 [SEP]     positions 3 4, labels 生 命
    """
    size = len(packed.ids)
    budget = min(rule.max_predictions, max(1, round(size * rule.masked_lm_prob)))
    begins, ends = _ngrams(packed, rule, rng)
    chosen = _choose(ends - begins, budget, rng)
    if not len(chosen):
        begins, ends = _ngrams(packed, dataclasses.replace(rule, ngram=1), rng)
        chosen = _shortest(ends - begins, rule.max_predictions)
    change = np.zeros(size + 1, np.int8)  # +1 where a masked run begins, -1 where it ends
    change[begins[chosen]] += 1
    change[ends[chosen]] -= 1
    positions = change[:-1].cumsum().nonzero()[0]
    labels = packed.ids[positions]
    # The three cases are drawn per token, as published, not per word.
    dice = rng.random(len(positions))
    random_ids = rule.random_ids[rng.integers(len(rule.random_ids), size=len(positions))]
    masked = packed.ids.copy()
    masked[positions] = np.where(dice < 0.8, rule.mask_id, np.where(dice < 0.9, labels, random_ids))
    if rule.legacy_labels is not None:
        labels = np.where(packed.word_starts[positions], labels, rule.legacy_labels[labels])
    return MaskedInstance(masked, packed.segment_ids, positions.astype(np.int32), labels, packed.swapped)


def draw_ngram_lengths(count: int, ngram: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) lengths in words from 1 to ``ngram``, p(n) = (1/n) / (1/1 + ... + 1/ngram) (ALBERT, equation 4)."""
    return 1 + _cumulated(ngram).searchsorted(rng.random(count), side="right")


@functools.cache
def _cumulated(ngram: int) -> np.ndarray:
    mass = 1 / np.arange(1, ngram + 1)
    return np.cumsum(mass / mass.sum())[:-1]


def _ngrams(packed: Packed, rule: MaskingRule, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Token offsets where the n-grams begin and end; each lies inside one segment and is a run of whole words."""
    # Words and the three special tokens; the last one, a [SEP], also ends the last word.
    bounds = packed.word_starts.nonzero()[0] if rule.whole_words else np.arange(len(packed.ids))
    separator = int(bounds.searchsorted(packed.first_length + 1))
    if rule.ngram > 1 and rule.whole_words:
        cuts = draw_ngram_lengths(len(bounds), rule.ngram, rng).cumsum()
        is_cut = np.zeros(len(bounds), bool)
        is_cut[cuts[: cuts.searchsorted(len(bounds))]] = True
        is_cut[[0, 1, separator, separator + 1, -1]] = True  # special tokens stand alone and end a segment
        bounds = bounds[is_cut]
        separator = int(bounds.searchsorted(packed.first_length + 1))
    return (
        np.concatenate((bounds[1:separator], bounds[separator + 1 : -1])),
        np.concatenate((bounds[2 : separator + 1], bounds[separator + 2 :])),
    )


def _choose(lengths: np.ndarray, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Random n-grams whose lengths add up to ``budget`` at most; one that does not fit is passed over."""
    order = rng.permutation(len(lengths))
    total = lengths[order].cumsum()
    fitting = int(total.searchsorted(budget, side="right"))
    chosen = order[:fitting]
    room = budget - (int(total[fitting - 1]) if fitting else 0)
    rest = order[fitting:]
    while room and len(rest):
        fits = (lengths[rest] <= room).nonzero()[0]
        if not len(fits):
            break
        chosen = np.append(chosen, rest[fits[0]])
        room -= int(lengths[rest[fits[0]]])
        rest = rest[fits[0] + 1 :]
    return chosen


def _shortest(lengths: np.ndarray, max_predictions: int) -> np.ndarray:
    """When all exceed the budget: the shortest word, if P allows it, so that something is predicted."""
    shortest = lengths.argmin(keepdims=True)
    return shortest[lengths[shortest] <= max_predictions]
