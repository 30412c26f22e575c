"""Files of entities: JSON lines as CLUENER has them, and columns of a word and its tag as CoNLL has them.

{"text": "李明在北京", "label": {"PER": {"李明": [[0, 1]]}, "LOC": {"北京": [[3, 4]]}}}      end inclusive

李 B-PER
明 I-PER        a tab or a space between, a blank line between sentences; BIO, BMES or BIOES
…
"""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from albert_zh.files import InputError, read_json_lines, read_lines
from albert_zh.tasks.entities import Entity, apart, pieces, split_tag

logger = logging.getLogger(__name__)

#: How many places a note lists.
LISTED = 5
_FORM = '{"text": …, "label": {type: {mention: [[first, last]]}}}, characters counted from 0, the last one included'


@dataclass(frozen=True)
class TaggedRow:
    """A text and its entities.

    Attributes:
        where: ``file:line`` it begins at.
        id: the row's ``id`` in its file, else its number in the split, from 0.
        text: the text; of a file of columns its words, with a space between two Latin ones.
        entities: in the order of the text; None where the file does not say.
    """

    where: str
    id: str | int
    text: str
    entities: tuple[Entity, ...] | None


def read_entities(path: Path, types: Collection[str] | None, *, may_lack_gold: bool) -> list[TaggedRow]:
    """All rows of a file: JSON lines (``.json``, ``.jsonl``), or columns (any other name).

    Entities that overlap an earlier one are kept, and noted: tags cannot say them.

    Args:
        types: those there are; None: any.
        may_lack_gold: rows without labels, of JSON lines, or a file of words alone, of columns, are taken.

    Raises:
        InputError: a row is malformed, or there is none; names file and line.
    """
    from_json = path.suffix.lower() in (".json", ".jsonl")
    rows = list((_json_rows if from_json else _column_rows)(path, types, may_lack_gold))
    if not rows:
        raise InputError(f"{path}: the file holds no rows. Write one JSON object a line, or a word and its tag a line.")
    lost = [(row, entity) for row in rows for entity in apart(row.entities or ())[1]]
    if lost:
        noted(
            f"{path}: entities over an earlier one, which tags cannot say, are not learned, and missed when scored",
            [f"{row.where} {row.text[entity.start : entity.end]!r} {entity.type}" for row, entity in lost],
        )
    return rows


def noted(what: str, places: Sequence[str]) -> None:
    """Logs what was found, and the first places of it."""
    more = "; …" if len(places) > LISTED else ""
    logger.warning("%s: %d: %s%s", what, len(places), "; ".join(places[:LISTED]), more)


# ---------------------------------------------------------------------------------------------------------------------
# JSON lines


def _json_rows(path: Path, types: Collection[str] | None, may_lack_gold: bool) -> Iterator[TaggedRow]:
    for number, (line, cells) in enumerate(read_json_lines(path)):
        where = f"{path}:{line}"
        text, label, row_id = cells.get("text"), cells.get("label"), cells.get("id")
        if not isinstance(text, str) or not text.strip():
            shown = json.dumps(text, ensure_ascii=False)
            raise InputError(f'{where}: "text" is {shown}; it must be a text with a character in it. Fix the row.')
        if label is None and not may_lack_gold:
            raise InputError(f'{where}: no "label". Write {{}} where there is no entity; a row is {_FORM}.')
        entities = None if label is None else tuple(_json_entities(text, label, types, where))
        yield TaggedRow(where, number if row_id in (None, "") else row_id, text, entities)


def _json_entities(text: str, label: Any, types: Collection[str] | None, where: str) -> list[Entity]:
    found = set()
    try:
        for name, mentions in label.items():
            for mention, spots in mentions.items():
                for start, last in spots:
                    if not all(isinstance(place, int) and not isinstance(place, bool) for place in (start, last)):
                        raise TypeError
                    _check_type(name, types, where)
                    if not 0 <= start <= last < len(text) or text[start : last + 1] != mention:
                        there = text[start : last + 1] if 0 <= start <= last else ""
                        raise InputError(
                            f"{where}: {name} {mention!r} is said to be characters {start} to {last}, where the text "
                            f"has {there!r}. Count characters from 0, the last one included."
                        )
                    found.add(Entity(name, start, last + 1))
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f'{where}: "label" is not as it must be: a row is {_FORM}. Fix the row.') from error
    return sorted(found, key=lambda entity: (entity.start, -entity.end, entity.type))


def _check_type(name: str, types: Collection[str] | None, where: str) -> None:
    if types is not None and name not in types:
        raise InputError(
            f"{where}: no type {name!r}; the types are {', '.join(types)}. Fix the row, or choose the task this file "
            "belongs to; of your own files (--task_name=custom --tagging=true) train on rows of this type too."
        )


# ---------------------------------------------------------------------------------------------------------------------
# Columns


def _column_rows(path: Path, types: Collection[str] | None, may_lack_gold: bool) -> Iterator[TaggedRow]:
    lines = [(number, *_word_and_tag(line, f"{path}:{number}")) for number, line in read_lines(path)]
    tagged = next((line for line in lines if line[1] is not None), (0, "", ""))[2] is not None
    numbered = _words_are_numbered([word for _, word, _ in lines if word])
    sentences = (list(group) for blank, group in itertools.groupby(lines, lambda line: line[1] is None) if not blank)
    for number, sentence in enumerate(sentences):
        words, tags = [], []
        for line, word, tag in sentence:
            where = f"{path}:{line}"
            if (tag is None) == tagged:
                one, two = (1, 2) if tag is None else (2, 1)
                raise InputError(f"{where}: {one} columns where the first row has {two}. Write a word and its tag.")
            if not tagged and not may_lack_gold:
                raise InputError(f"{where}: 1 column where 2 are needed, a word and its tag. Only test may lack tags.")
            words.append(word[0] + word[1:].rstrip("0123456789") if numbered and word else word)
            tags.append(_parsed(tag, types, where) if tagged else ("O", ""))
        text, spots = joined(words)
        found = (Entity(name, spots[first][0], spots[end - 1][1]) for name, first, end in pieces(tags))
        yield TaggedRow(f"{path}:{sentence[0][0]}", number, text, tuple(found) if tagged else None)


def _word_and_tag(line: str, where: str) -> tuple[str | None, str | None]:
    """The two columns of a line; no tag: there is one column; no word: the line is blank.

    A word that is missing, or white space, was a space.
    """
    if not line.strip():
        return None, None
    if "\t" in line:
        columns = line.rstrip(" \t").split("\t")
    else:
        found = re.fullmatch(r"( ?|[^ ]+) ([^ ]+)", line.rstrip(" "))
        columns = list(found.groups()) if found else line.split(" ")
    if len(columns) > 2:
        raise InputError(f"{where}: {len(columns)} columns where 2 are needed, a word and its tag. Fix the row.")
    word = columns[0] if columns[0].strip() else " "
    return word, columns[1].strip() if len(columns) == 2 else None


def _parsed(tag: str, types: Collection[str] | None, where: str) -> tuple[str, str]:
    found = split_tag(tag)
    if found is None:
        raise InputError(
            f"{where}: the tag {tag!r} is neither O nor B-, I-, M-, E- or S- and a type, as in B-PER. Fix the row."
        )
    if found[0] != "O":
        _check_type(found[1], types, where)
    return found


def _words_are_numbered(words: Sequence[str]) -> bool:
    """Whether each character has its place in its word behind it, as in the second edition of Weibo: 科0 技1 我0."""
    digits = [re.fullmatch(r".\D*(\d+)", word, re.DOTALL) for word in words]
    places = [int(found[1]) if found else -1 for found in digits]
    rising = sum(place == 0 or place == before + 1 > 0 for before, place in itertools.pairwise([-1, *places]))
    return bool(words) and rising >= 0.95 * len(words)


def joined(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """A text of words, and the characters of each; a space only between two Latin words.

    Two single letters side by side are one word: such a file has a character a line.

    >>> joined(["用", "Apple", "Watch", "。"])[0], joined(["i", "P", "a", "d"])[0]
    ('用Apple Watch。', 'iPad')
    """
    parts, spots, length, before = [], [], 0, ""
    for word in words:
        if len(before) + len(word) > 2 and _LATIN.fullmatch(before[-1:]) and _LATIN.fullmatch(word[:1]):
            parts.append(" ")
            length += 1
        parts.append(word)
        spots.append((length, length + len(word)))
        length += len(word)
        before = word
    return "".join(parts), spots


_LATIN = re.compile(r"[0-9A-Za-zÀ-ÖØ-öø-ɏ]")
