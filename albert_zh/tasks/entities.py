"""Entities as characters, as words with tags, as tags of tokens; and the scores of a set of them.

    李 明 在 北 京                                  characters
    李 B-PER  明 I-PER  在 O  北 B-LOC  京 I-LOC      BIO (and BMES, BIOES, whose other letters say the same)
    Entity("PER", 0, 2)  Entity("LOC", 3, 5)        end exclusive

Inside this project tags are numbers: 0 is O, 1 + 2k begins an entity of type k, 2 + 2k goes on with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Entity(NamedTuple):
    """A piece of a text, characters ``start`` to ``end`` (exclusive), of a type."""

    type: str
    start: int
    end: int


def tags_of(types: Sequence[str]) -> tuple[str, ...]:
    """The names of the tags, by number.

    >>> tags_of(("PER", "LOC"))
    ('O', 'B-PER', 'I-PER', 'B-LOC', 'I-LOC')
    """
    return "O", *(f"{letter}-{name}" for name in types for letter in "BI")


def split_tag(tag: str) -> tuple[str, str] | None:
    """(letter, type) of a written tag of BIO, BMES or BIOES; None: it is none.

    >>> split_tag("B-PER.NAM"), split_tag("O"), split_tag("PER")
    (('B', 'PER.NAM'), ('O', ''), None)
    """
    if tag == "O":
        return "O", ""
    found = re.fullmatch(r"([BIMES])[-_](\S+)", tag)
    return (found[1], found[2]) if found else None


def pieces(tags: Iterable[tuple[str, str]]) -> Iterator[tuple[str, int, int]]:
    """(type, first, end) of the entities that (letter, type) of each word say, as CoNLL's conlleval reads them.

    What goes on with nothing, or with another type, begins an entity; what is never ended ends before the next. So
    one reading holds for all schemes.

    >>> list(pieces([("B", "PER"), ("E", "PER"), ("S", "LOC"), ("O", ""), ("I", "LOC"), ("I", "ORG")]))
    [('PER', 0, 2), ('LOC', 2, 3), ('LOC', 4, 5), ('ORG', 5, 6)]
    """
    opened: tuple[str, int] | None = None
    place = -1
    for place, (letter, name) in enumerate(tags):
        begins = letter in "BS" or (letter != "O" and (opened is None or opened[0] != name))
        if opened and (begins or letter == "O"):
            yield *opened, place
            opened = None
        if begins:
            opened = name, place
        if letter in "ES":
            yield *opened, place + 1
            opened = None
    if opened:
        yield *opened, place + 1


def apart(entities: Iterable[Entity]) -> tuple[list[Entity], list[Entity]]:
    """(those that tags can say, those that overlap an earlier one), each in the order of the text.

    Of two that begin together the longer one is the earlier.

    >>> apart([Entity("company", 2, 4), Entity("book", 0, 9)])
    ([Entity(type='book', start=0, end=9)], [Entity(type='company', start=2, end=4)])
    """
    told, lost = [], []
    for entity in sorted(entities, key=lambda each: (each.start, -each.end)):
        (lost if told and entity.start < told[-1].end else told).append(entity)
    return told, lost


def marked(text: str, entities: Iterable[Entity]) -> str:
    """The text with its entities in brackets; those inside others behind it.

    >>> marked("李明在北京", [Entity("PER", 0, 2), Entity("LOC", 3, 5)])
    '[李明|PER]在[北京|LOC]'
    """
    told, lost = apart(entities)
    parts, place = [], 0
    for name, start, end in told:
        parts += [text[place:start], f"[{text[start:end]}|{name}]"]
        place = end
    inside = "".join(f" + [{text[start:end]}|{name}]" for name, start, end in lost)
    return "".join([*parts, text[place:], inside])


def rules(types: int) -> tuple[np.ndarray, np.ndarray]:
    """What may not follow, as scores of 0 and -inf: (C, C) of a tag (across) after a tag (down), (C,) of the first.

    A tag that goes on with a type stands only after one that begins it or goes on with it.
    """
    tags = 1 + 2 * types
    first, between = np.zeros(tags), np.zeros((tags, tags))
    first[2::2] = between[:, 2::2] = -np.inf
    for inside in range(2, tags, 2):
        between[[inside - 1, inside], inside] = 0.0
    return between, first


def runs(tags: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(type number, first, end) of every entity in tags that keep the rules; int (n,) each.

    Args:
        tags: int (T,), of one sequence after the other, each beginning with O or a tag that begins.

    >>> runs(np.array([0, 1, 2, 3, 0, 1]))
    (array([0, 1, 0]), array([1, 3, 5]), array([3, 4, 6]))
    """
    first = np.flatnonzero(tags % 2)
    stops = np.append(np.flatnonzero((tags == 0) | (tags % 2 == 1)), len(tags))
    return tags[first] // 2, first, stops[np.searchsorted(stops, first, side="right")]


# Scores


def tallies(
    gold: Sequence[Iterable[Entity]], predicted: Sequence[Iterable[Entity]], types: Sequence[str]
) -> np.ndarray:
    """Of every sentence and type the entities right, predicted and gold, int64 (n, types, 3).

    Right is what has the very type, start and end of a gold one (Tjong Kim Sang and De Meulder 2003).
    """
    number = {name: place for place, name in enumerate(types)}
    counts = np.zeros((len(gold), len(types), 3), np.int64)
    for row, own in enumerate(zip(gold, predicted, strict=True)):
        theirs, mine = map(set, own)
        for column, group in enumerate((theirs & mine, mine, theirs)):
            for entity in group:
                counts[row, number[entity.type], column] += 1
    return counts


def precision_recall_f1(counts: np.ndarray) -> np.ndarray:
    """Shares (..., 3) of counts (..., 3) of right, predicted and gold; 0 where there is nothing to divide by.

    >>> precision_recall_f1(np.array([3, 4, 6])).round(3).tolist()
    [0.75, 0.5, 0.6]
    """
    right, predicted, gold = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    parts = ((right, predicted), (right, gold), (2 * right, predicted + gold))
    return np.stack([np.divide(a, b, out=np.zeros_like(a), where=b > 0) for a, b in parts], axis=-1)


def f1_interval(counts: np.ndarray, seed: int = 0, resamples: int = 2_000, level: float = 0.95) -> tuple[float, float]:
    """Bootstrap percentile interval of the F1 over sentences (Efron 1979), the same for the same seed.

    Args:
        counts: int (n, 3), right, predicted and gold of every sentence.
    """
    # Sentences of the same counts are drawn together, as often as all of them are.
    kinds, many = np.unique(counts, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(counts), many / len(counts), size=resamples)  # (R, kinds)
    low, high = np.quantile(precision_recall_f1(drawn @ kinds)[:, 2], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
