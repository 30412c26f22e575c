"""Winograd schemas: does this pronoun stand for that mention? Both are marked in the text, which is then classified.

The marks are those of CLUE's own baseline (https://github.com/CLUEbenchmark/CLUE): ``_`` around the mention, ``[`` and
``]`` around the pronoun.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from albert_zh.files import InputError
from albert_zh.tasks.classification import ClassificationTask
from albert_zh.tasks.readers import Cells, json_objects, require

#: A span of the rows -> what stands before and after it.
MARKS = {"span1": ("_", "_"), "span2": ("[", "]")}


@dataclass(frozen=True)
class WinogradLines:
    """Rows of one JSON object each: ``text``, ``target`` with the text and the place of both spans, ``label``.

    Places count characters from 0. ``span1`` is the mention, ``span2`` the pronoun; either may come first.
    """

    def called(self, name: str) -> str:
        return ""

    def cells(self, path: Path, labels: Sequence[str]) -> Cells:
        """Yields label, id and the marked text. Raises InputError (file:line) where the text at a place is not the
        span, or the spans overlap."""
        for number, row in json_objects(path):
            require(row, ("text", "target"), path, number)
            marked = mark_spans(row["text"], row["target"], f"{path}:{number}")
            yield number, {"text_a": marked} | {key: row[key] for key in ("label", "id") if key in row}


def mark_spans(text: str, target: Any, where: str) -> str:
    """The text with ``_`` around the mention and ``[ ]`` around the pronoun.

    >>> mark_spans("小王请小李吃饭，他很高兴。",
    ...            {"span1_text": "小李", "span1_index": 3, "span2_text": "他", "span2_index": 8}, "train.json:1")
    '小王请_小李_吃饭，[他]很高兴。'

    Raises:
        InputError: the text at a place is not the span, the spans overlap, or one is not given.
    """
    if not isinstance(text, str) or not isinstance(target, dict):
        raise InputError(f"{where}: 'text' must be a string and 'target' an object with both spans. Fix the row.")
    spans = []
    for name, marks in MARKS.items():
        span, place = target.get(f"{name}_text"), target.get(f"{name}_index")
        if not isinstance(span, str) or not span or isinstance(place, bool) or not isinstance(place, int):
            shown = json.dumps([span, place], ensure_ascii=False)
            raise InputError(
                f"{where}: {name}_text and {name}_index are {shown}; they must be a text and the place, counted in "
                "characters from 0, where it begins. Fix the row."
            )
        there = text[place : place + len(span)] if place >= 0 else ""
        if there != span:
            found = text.find(span)
            hint = f"the text has it at {found}" if found >= 0 else "the text does not have it"
            raise InputError(
                f"{where}: at character {place} of the text stands {there!r}, not {name}_text {span!r} ({hint}). "
                "Fix the row."
            )
        spans.append((place, place + len(span), marks))
    (start, end, marks), (other_start, other_end, other_marks) = sorted(spans)
    if end > other_start:
        raise InputError(f"{where}: span1 and span2 overlap. Fix the row.")
    first = f"{marks[0]}{text[start:end]}{marks[1]}"
    second = f"{other_marks[0]}{text[other_start:other_end]}{other_marks[1]}"
    return f"{text[:start]}{first}{text[end:other_start]}{second}{text[other_end:]}"


@dataclass(frozen=True, kw_only=True)
class WinogradTask(ClassificationTask):
    """Texts with a marked mention and a marked pronoun (``kind`` "winograd"): "true" when it stands for it."""

    kinds: ClassVar[tuple[str, ...]] = ("winograd",)
    kind: str = "winograd"
    reader: WinogradLines = WinogradLines()
    labels: tuple[str, ...] = ("true", "false")

    def check_texts(self, texts: Sequence[str], where: str) -> None:
        """Raises InputError for a text without both marks."""
        if not re.search(r"_[^_]+_", texts[0]) or not re.search(r"\[[^\]]+\]", texts[0]):
            raise InputError(
                f"{where}: the task {self.name!r} asks about marked spans. Write _ around the mention and [ ] around "
                "the pronoun: 小王请_小李_吃饭，[他]很高兴。"
            )
