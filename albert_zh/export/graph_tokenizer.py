"""BERT's tokenizer as operations of a TensorFlow graph: texts in, the ids and characters of their tokens out.

It is ``text.wordpiece`` said with tables: what each code point becomes, taken from the same functions and so by the
Unicode of the Python that exports, and a tree of the vocabulary's entries. No operation but TensorFlow's own and no
state is in it, so that whatever loads a SavedModel can run it. It answers what ``WordPieceTokenizer.encode`` answers
for every text that can be written in UTF-8; bytes that are no UTF-8 are dropped.

Shapes: B texts, N their code points, M the characters of their words, T their tokens, S nodes of the tree.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from albert_zh.files import InputError
from albert_zh.text.characters import SEPARATE, is_dropped, is_punctuation, is_space
from albert_zh.text.tokenizer import Tokenizer, WordPieceTokenizer
from albert_zh.text.wordpiece import MAX_WORD_CHARACTERS

#: Code points of a page of the table; pages that say the same are held once.
_PAGE = 256
#: More than any code point.
_CODES = sys.maxunicode + 1
_SIGMA, _SMALL_SIGMA, _LAST_SIGMA = 0x3A3, 0x3C3, 0x3C2

# What one character of a code point's normal form is: bits, and from _CLASS_SHIFT on its combining class.
_THERE, _ALONE, _SPACE, _ACCENT, _SEPARATE = 1, 2, 4, 8, 16
_CLASS_SHIFT = 8
# What a code point is to a Σ beside it.
_NO_LETTER, _LETTER, _SKIPPED = 0, 1, 2


class GraphEncoding(NamedTuple):
    """The tokens of texts, one text after the other.

    Attributes:
        ids: int32 (T,).
        starts, ends: int32 (T,), the characters (code points) of each in its text, the end exclusive.
        counts: int32 (B,), tokens of each text.
    """

    ids: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    counts: tf.Tensor


class GraphTokenizer:
    """A WordPiece tokenizer for use inside ``tf.function``.

    Args:
        tokenizer: whose answers it gives.

    Raises:
        InputError: it is of another kind.
    """

    def __init__(self, tokenizer: Tokenizer):
        if not isinstance(tokenizer, WordPieceTokenizer):
            raise InputError(
                f"{tokenizer.path}: a SentencePiece model, whose search for the most probable pieces is no operation "
                "of TensorFlow: raw text needs a WordPiece vocabulary. Send token ids."
            )
        self.lower_case, self.unk_id = tokenizer.lower_case, tokenizer.unk_id
        self._characters = character_table(tokenizer.lower_case)
        self._tree = _tree(tokenizer.tokens(range(tokenizer.vocab_size)))

    def encode(self, texts: tf.Tensor) -> GraphEncoding:
        """The tokens of texts, string (B,) of UTF-8."""
        # A space after each text keeps the words and marks of one from those of the next.
        decoded = tf.strings.unicode_decode(tf.strings.join([texts, " "]), "UTF-8")
        row = tf.cast(decoded.value_rowids(), tf.int32)
        place = tf.range(tf.size(row)) - tf.gather(tf.cast(decoded.row_starts(), tf.int32), row)
        codes = self._resolved(decoded.values) if self.lower_case else decoded.values
        characters, flags, source = self._normal(codes)
        kept = tf.equal(tf.bitwise.bitwise_and(flags, _ACCENT), 0)
        places = tf.gather(place, source)
        ends = _ends(flags, kept, places)
        characters, flags, starts = (tf.boolean_mask(part, kept) for part in (characters, flags, places))
        begins, word_end = _words(flags)
        number, length = self._longest(characters, flags, begins, word_end)
        number, length, chosen = self._cut(begins, word_end, number, length)
        row = tf.gather(tf.boolean_mask(tf.gather(row, source), kept), chosen)
        return GraphEncoding(
            ids=number,
            starts=tf.gather(starts, chosen),
            ends=tf.gather(ends, chosen + length - 1),
            counts=tf.math.bincount(row, minlength=tf.size(texts), maxlength=tf.size(texts)),
        )

    def _records(self, codes):
        table = self._characters
        return tf.gather(
            tf.constant(table.records), tf.gather(tf.constant(table.pages), codes // _PAGE) + codes % _PAGE
        )

    def _resolved(self, codes):
        """Code points (N,) with each Σ as the small letter it is in its place; see ``characters.resolve_sigmas``."""

        def resolve():
            beside = tf.gather(tf.constant(self._characters.beside_sigma), self._records(codes))
            seen = tf.where(tf.not_equal(beside, _SKIPPED))  # (n, 1)
            letter = tf.equal(tf.gather_nd(beside, seen), _LETTER)
            before, after = tf.concat([[False], letter[:-1]], 0), tf.concat([letter[1:], [False]], 0)
            form = tf.where(before & ~after, _LAST_SIGMA, _SMALL_SIGMA)
            own = tf.gather_nd(codes, seen)
            return tf.tensor_scatter_nd_update(codes, seen, tf.where(tf.equal(own, _SIGMA), form, own))

        return tf.cond(tf.reduce_any(tf.equal(codes, _SIGMA)), resolve, lambda: codes)

    def _normal(self, codes):
        """Code points (N,) -> the characters of their normal form, what each of them is, and which code point each
        comes from."""
        table, records = self._characters, self._records(codes)
        # The first is kept as its distance from the code point, so that thousands of code points say the same.
        characters = tf.gather(tf.constant(table.characters), records)
        characters = tf.concat([characters[:, :1] + codes[:, None], characters[:, 1:]], axis=1)
        flags = tf.gather(tf.constant(table.flags), records)
        there = tf.where(tf.not_equal(flags, 0))
        source = tf.cast(there[:, 0], tf.int32)
        characters, flags = tf.gather_nd(characters, there), tf.gather_nd(flags, there)
        combining = tf.bitwise.right_shift(flags, _CLASS_SHIFT)

        def ordered():
            group = tf.cumsum(tf.cast(tf.equal(combining, 0), tf.int32))
            order = tf.argsort(group * 256 + combining, stable=True)
            return tuple(tf.gather(part, order) for part in (characters, flags, source))

        # Only where several stand together is there an order to put them into. It tells the letters that are left,
        # which a few marks that are no accents are among, and how many accents belong to the letter before them.
        marks = (combining > 0) & tf.equal(tf.bitwise.bitwise_and(flags, _ACCENT), 0)
        accents = tf.not_equal(tf.bitwise.bitwise_and(flags, _ACCENT), 0)
        several = accents[1:] & accents[:-1]
        return tf.cond(tf.reduce_any(marks) | tf.reduce_any(several), ordered, lambda: (characters, flags, source))

    def _longest(self, characters, flags, begins, word_end):
        """Of each place (M,) the entry that reaches farthest from it, -1 for none, and how many characters that has.

        At the beginning of a word among the whole entries, elsewhere among those that go on with a word.
        """
        keys, entry = tf.constant(self._tree.keys), tf.constant(self._tree.entry)
        count = tf.size(characters)

        def step(far, places, nodes, number, length):
            key = tf.cast(nodes, tf.int64) * _CODES + tf.cast(tf.gather(characters, places + far), tf.int64)
            slot = tf.minimum(tf.searchsorted(keys, key), tf.size(keys) - 1)
            found = tf.where(tf.equal(tf.gather(keys, slot), key))[:, 0]
            places, nodes = tf.gather(places, found), tf.gather(slot, found) + 2
            held = tf.where(tf.gather(entry, nodes) >= 0)[:, 0]
            at = tf.gather(places, held)[:, None]
            number = tf.tensor_scatter_nd_update(number, at, tf.gather(entry, tf.gather(nodes, held)))
            length = tf.tensor_scatter_nd_update(length, at, tf.fill(tf.shape(held), far + 1))
            going = tf.where(places + far + 1 < tf.gather(word_end, places))[:, 0]
            return far + 1, tf.gather(places, going), tf.gather(nodes, going), number, length

        places = tf.cast(tf.where(tf.equal(tf.bitwise.bitwise_and(flags, _SPACE), 0))[:, 0], tf.int32)
        nodes = tf.where(tf.gather(begins, places), 0, 1)
        any_length = tf.TensorShape([None])
        _, _, _, number, length = tf.while_loop(
            lambda far, places, *_: tf.size(places) > 0,
            step,
            (0, places, nodes, tf.fill([count], -1), tf.zeros([count], tf.int32)),
            shape_invariants=(tf.TensorShape([]), any_length, any_length, any_length, any_length),
        )
        return number, length

    def _cut(self, begins, word_end, number, length):
        """The tokens (T,) of the words: ids, numbers of characters, and the places (M,) of their first ones."""
        count = tf.size(number)
        heads = tf.cast(tf.where(begins)[:, 0], tf.int32)
        sizes = tf.gather(word_end, heads) - heads

        def step(places, words, taken, unknown):
            """One token of each word that goes on."""
            own = tf.gather(length, places)
            taken = tf.tensor_scatter_nd_update(taken, places[:, None], tf.ones_like(places))
            lost = tf.where(tf.equal(own, 0))[:, 0]
            unknown = tf.tensor_scatter_nd_update(
                unknown, tf.gather(words, lost)[:, None], tf.ones_like(lost, tf.int32)
            )
            going = tf.where((own > 0) & (places + own < tf.gather(word_end, places)))[:, 0]
            return tf.gather(places + own, going), tf.gather(words, going), taken, unknown

        words = tf.range(tf.size(heads))
        fitting = tf.where(sizes <= MAX_WORD_CHARACTERS)[:, 0]
        any_length = tf.TensorShape([None])
        _, _, taken, unknown = tf.while_loop(
            lambda places, *_: tf.size(places) > 0,
            step,
            (
                tf.gather(heads, fitting),
                tf.gather(words, fitting),
                tf.zeros([count], tf.int32),
                tf.cast(sizes > MAX_WORD_CHARACTERS, tf.int32),
            ),
            shape_invariants=(any_length, any_length, any_length, any_length),
        )
        # A word with a rest that is no entry is one unknown token.
        lost = tf.where(tf.equal(unknown, 1))[:, 0]
        at = tf.gather(heads, lost)[:, None]
        word = tf.cumsum(tf.cast(begins, tf.int32)) - 1
        places = tf.where(tf.equal(taken, 1))
        spoilt = tf.boolean_mask(places, tf.equal(tf.gather(unknown, tf.gather_nd(word, places)), 1))
        taken = tf.tensor_scatter_nd_update(taken, spoilt, tf.zeros_like(spoilt[:, 0], tf.int32))
        taken = tf.tensor_scatter_nd_update(taken, at, tf.ones_like(lost, tf.int32))
        number = tf.tensor_scatter_nd_update(number, at, tf.fill(tf.shape(lost), self.unk_id))
        length = tf.tensor_scatter_nd_update(length, at, tf.gather(sizes, lost))
        chosen = tf.cast(tf.where(tf.equal(taken, 1))[:, 0], tf.int32)
        return tf.gather(number, chosen), tf.gather(length, chosen), chosen


def _words(flags):
    """Which characters (M,) begin a word or a mark, and where the word of each of them ends."""
    space = tf.not_equal(tf.bitwise.bitwise_and(flags, _SPACE), 0)
    alone = tf.not_equal(tf.bitwise.bitwise_and(flags, _ALONE), 0)
    after_word = tf.concat([[False], ~(space | alone)[:-1]], 0)
    begins = ~space & (alone | ~after_word)
    edges = tf.cast(tf.where(begins | space)[:, 0], tf.int32)
    ends = tf.concat([edges[1:], [tf.size(flags)]], 0)
    return begins, tf.gather(ends, tf.cumsum(tf.cast(begins | space, tf.int32)) - 1)


def _ends(flags, kept, places):
    """Where each kept character ends in its text (M,): after the accents that stand on it one by one."""
    own = tf.cumsum(tf.cast(kept, tf.int32)) - 1  # of each character the last kept one
    carries = tf.boolean_mask(tf.equal(tf.bitwise.bitwise_and(flags, _SEPARATE), 0), kept)
    accents = tf.where(~kept & (own >= 0))[:, 0]
    accents = tf.boolean_mask(accents, tf.gather(carries, tf.gather(own, accents)))
    owners, spots = tf.gather(own, accents), tf.gather(places, accents)  # (A,)
    number = tf.range(tf.size(owners))
    # Accents whose places go on from each other are taken at once, so that few steps take thousands of them.
    apart = tf.not_equal(owners[1:], owners[:-1]) | ((spots[1:] - spots[:-1]) // 2 != 0)
    run = tf.cumsum(tf.concat([tf.zeros_like(owners[:1]), tf.cast(apart, tf.int32)], 0))
    run_last = tf.gather(tf.math.unsorted_segment_max(number, run, tf.size(number)), run)

    def follows(ends, last):
        return tf.equal(spots, tf.gather(ends, owners)) & (number > tf.gather(last, owners))

    def step(ends, last):
        """Each letter takes the first of the accents that follows its end, and those that go on from it."""
        first = tf.math.unsorted_segment_min(tf.where(follows(ends, last), number, tf.int32.max), owners, tf.size(ends))
        takes = tf.where(first < tf.int32.max)
        taken = tf.gather(run_last, tf.gather_nd(first, takes))
        return (
            tf.tensor_scatter_nd_update(ends, takes, tf.gather(spots, taken) + 1),
            tf.tensor_scatter_nd_update(last, takes, taken),
        )

    ends = tf.boolean_mask(places, kept) + 1
    return tf.while_loop(
        lambda ends, last: tf.reduce_any(follows(ends, last)), step, (ends, tf.fill(tf.shape(ends), -1))
    )[0]


# ---------------------------------------------------------------------------------------------------------------------
# Tables


@dataclass(frozen=True)
class CharacterTable:
    """What every code point becomes.

    Attributes:
        pages: int32, of every page of code points where its numbers begin in ``records``.
        records: int32, of every code point of those pages the number of its record.
        characters: int32 (R, W), the characters of a record's normal form; the first less the code point.
        flags: int32 (R, W), what each of them is; 0: there is none.
        beside_sigma: int32 (R,).
    """

    pages: np.ndarray
    records: np.ndarray
    characters: np.ndarray
    flags: np.ndarray
    beside_sigma: np.ndarray


@lru_cache
def character_table(lower_case: bool) -> CharacterTable:
    """The table of all code points, by this Python's Unicode."""
    numbers: dict[tuple, int] = {}
    pages: dict[bytes, int] = {}
    begins, parts = [], []
    other = _record("\ue000", lower_case)  # unassigned and private: letters without any property
    for first in range(0, _CODES, _PAGE):
        page = np.empty(_PAGE, np.int32)
        for place in range(_PAGE):
            character = chr(first + place)
            unknown = unicodedata.category(character) in ("Cn", "Co", "Cs") and not SEPARATE.match(character)
            record = other if unknown else _record(character, lower_case)
            page[place] = numbers.setdefault(record, len(numbers))
        key = page.tobytes()
        if key not in pages:
            pages[key] = _PAGE * len(parts)
            parts.append(page)
        begins.append(pages[key])
    width = max(len(record[1]) for record in numbers)
    characters, flags = np.zeros((2, len(numbers), width), np.int32)
    for (_, entries), number in numbers.items():
        for place, (character, flag) in enumerate(entries):
            characters[number, place], flags[number, place] = character, flag
    return CharacterTable(
        pages=np.array(begins, np.int32),
        records=np.concatenate(parts),
        characters=characters,
        flags=flags,
        beside_sigma=np.array([beside for beside, _ in numbers], np.int32),
    )


def _record(character: str, lower_case: bool) -> tuple[int, tuple[tuple[int, int], ...]]:
    """What a code point is beside a Σ, and the characters of its normal form with their flags."""
    if is_space(character):
        return _NO_LETTER, ((0, _THERE | _SPACE | _SEPARATE),)
    if is_dropped(character):
        return _SKIPPED, ()
    separate = _SEPARATE | _ALONE if SEPARATE.match(character) else 0
    form = unicodedata.normalize("NFD", character.lower()) if lower_case else character
    entries = []
    for place, part in enumerate(form):
        flag = _THERE | separate
        if is_space(part):
            flag |= _SPACE
        elif is_punctuation(part):
            flag |= _ALONE
        if lower_case:
            flag |= unicodedata.combining(part) << _CLASS_SHIFT
            if unicodedata.category(part) == "Mn":
                flag |= _ACCENT
        entries.append((ord(part) - (0 if place else ord(character)), flag))
    return _beside_sigma(character), tuple(entries)


def _beside_sigma(character: str) -> int:
    """Whether Unicode's rule for a Σ at the end of a word takes a character for a letter, or passes over it."""
    if f"{character}Σ".lower().endswith("ς"):
        return _LETTER
    return _SKIPPED if f"A{character}Σ".lower().endswith("ς") else _NO_LETTER


@dataclass(frozen=True)
class _Tree:
    """The entries of a vocabulary letter by letter.

    Node 0 is the beginning of a word, node 1 a place inside of one; the others are counted on from there in the order
    of ``keys``, so that the key's place tells the node.

    Attributes:
        keys: int64 (S - 2,), ascending: number of the parent node times ``_CODES``, plus the code point.
        entry: int32 (S,), the id of the entry that ends at the node, else -1.
    """

    keys: np.ndarray
    entry: np.ndarray


def _tree(tokens: Sequence[str]) -> _Tree:
    words = [(token, number) for number, token in enumerate(tokens) if not token.startswith("##") or token == "##"]
    rests = [(token[2:], number) for number, token in enumerate(tokens) if token.startswith("##") and token != "##"]
    level: list[tuple[int, int, list[tuple[str, int]]]] = [(0, 0, words), (1, 0, rests)]
    keys, entry = [], []
    while level:
        below: list[tuple[int, int, list[tuple[str, int]]]] = []
        for node, depth, held in level:
            entry.append(next((number for text, number in held if len(text) == depth), -1))
            children: dict[str, list[tuple[str, int]]] = {}
            for text, number in held:
                if len(text) > depth:
                    children.setdefault(text[depth], []).append((text, number))
            for character in sorted(children):
                below.append((2 + len(keys), depth + 1, children[character]))
                keys.append(node * _CODES + ord(character))
        level = below
    return _Tree(np.array(keys, np.int64), np.array(entry, np.int32))
