"""Entity tagging: pieces of a text, each with a type, found by a tag for every token.

    [CLS] 李 明 在 北 京 [SEP]
      -   B  I  O  B  I   -

A text longer than a sequence is read in windows that overlap by a quarter. A token's scores are taken from the window
where its shorter side of context is longest, and the tags of the whole text are decoded at once.

Shapes: n windows, L length of the longest, C tags, T tokens of all rows.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_zh.files import InputError
from albert_zh.tasks.baselines import TrivialBaseline
from albert_zh.tasks.entities import (
    Entity,
    apart,
    f1_interval,
    marked,
    precision_recall_f1,
    rules,
    runs,
    tags_of,
    tallies,
)
from albert_zh.tasks.entity_reader import TaggedRow, noted, read_entities
from albert_zh.tasks.sampling import sampled
from albert_zh.tasks.submission import check_answers, check_ids, check_rows, write_answers
from albert_zh.tasks.tables import json_cell, read_table, write_table
from albert_zh.tasks.task import Features, HeadSpec, Task, Told, paired
from albert_zh.tasks.viterbi import best_taggings

if TYPE_CHECKING:
    from albert_zh.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Tagging:
    """The answer for one text.

    Attributes:
        entities: in the order of the text, none over another.
        confidences: of each the mean probability of its tokens' tags, by a softmax of each token's scores alone.
    """

    entities: tuple[Entity, ...]
    confidences: tuple[float, ...]

    @property
    def confidence(self) -> float | None:
        """That of the least certain entity; None where there is none."""
        return min(self.confidences, default=None)


@dataclass(frozen=True, kw_only=True)
class TaggingTask(Task):
    """Texts whose entities are to be found (``kind`` "tagging"); ``labels`` are the tags, made from the types.

    Attributes:
        types: the types of entity; ``label_names`` holds what they are called.
        crf: the head also learns which tags follow each other.
    """

    kind: str = "tagging"
    main_metric: str = "f1"
    types: tuple[str, ...]
    crf: bool = False

    def __post_init__(self) -> None:
        if not self.types or len(set(self.types)) < len(self.types):
            raise ValueError(f"{self.name}: types must be one or more different ones, not {self.types}.")
        object.__setattr__(self, "labels", tags_of(self.types))

    @property
    def head(self) -> HeadSpec:
        return HeadSpec("crf" if self.crf else "tagging", len(self.labels))

    @property
    def settings(self) -> dict[str, Any]:
        return {"crf": self.crf}

    def with_settings(self, settings: Mapping[str, Any]) -> TaggingTask:
        return dataclasses.replace(self, **settings)

    def has_gold(self, row: TaggedRow) -> bool:
        return row.entities is not None

    # 1. Read

    def read(self, split: str, data_dir: str | os.PathLike[str]) -> list[TaggedRow]:
        """All rows of a split; see ``read_entities``. Only test splits may lack gold.

        Raises:
            InputError: also when test ids are none a leaderboard can take.
        """
        rows = read_entities(self.find(split, data_dir), self.types, may_lack_gold=split.startswith("test"))
        if self.submission and split in self.submission.files:  # not after hours of training
            check_ids(self.submission.files[split], [row.where for row in rows], [row.id for row in rows])
        return rows

    @property
    def sampled_by(self) -> tuple[str, ...]:
        return self.types

    def groups(self, row: TaggedRow) -> tuple[str, ...]:
        """The types of a row's entities."""
        return tuple(sorted({entity.type for entity in row.entities or ()}))

    def sample(self, rows: Sequence[TaggedRow], count: int, seed: int) -> list[TaggedRow]:
        """``count`` sentences that hold an entity of each type, or all where there are fewer; one may stand for several
        types."""
        holding: dict[str, list[TaggedRow]] = {}
        for row in rows:
            for name in self.groups(row):
                holding.setdefault(name, []).append(row)
        kept = {id(row) for name, own in holding.items() for row in sampled(own, count, seed, f"type {name}")}
        return [row for row in rows if id(row) in kept]

    # 2. Featurize

    def featurize(self, rows: Sequence[TaggedRow], tokenizer: Tokenizer, max_seq_length: int) -> Features:
        """The windows of every text.

        ``places`` holds of every row ``bounds`` (rows + 1,) of its tokens and ``widened`` (rows,), its entities that do
        not begin and end where tokens do, and so cannot be answered exactly; of every token ``starts`` and ``ends``
        (T,), its characters, and where its scores are: ``window`` (T,) and ``offset`` (T,) in that sequence.
        """
        room = max_seq_length - 2
        cls, sep = np.array([tokenizer.cls_id], np.int32), np.array([tokenizer.sep_id], np.int32)
        edge = np.array([-1], np.int32)
        ids, labels, numbers, uneven = [], [], [], []
        places: dict[str, list[np.ndarray]] = {name: [] for name in ("starts", "ends", "window", "offset")}
        bounds, widened = [0], []
        for number, row in enumerate(rows):
            tokens, starts, ends = (np.array(part, np.int32) for part in tokenizer.encode(row.text))
            tags, lost = self._targets(row, starts, ends)
            uneven += [f"{row.where} {row.text[each.start : each.end]!r}" for each in lost]
            widened.append(len(lost))
            firsts, owner = windows(len(tokens), room)
            for first in firsts:
                own = slice(first, first + room)
                ids.append(np.concatenate([cls, tokens[own], sep]))
                labels.append(np.concatenate([edge, tags[own], edge]))
                numbers.append(number)
            places["starts"].append(starts)
            places["ends"].append(ends)
            places["window"].append(len(ids) - len(firsts) + owner)
            places["offset"].append(1 + np.arange(len(tokens)) - firsts[owner])
            bounds.append(bounds[-1] + len(tokens))
        if uneven:
            noted("entities that end inside a token of this vocabulary are taken as the whole token", uneven)
        joint = {name: np.concatenate(parts) for name, parts in places.items()}
        return Features(
            input_ids=ids,
            segment_ids=[np.zeros(len(sequence), np.int32) for sequence in ids],
            labels=labels,
            rows=rows,
            row_numbers=np.array(numbers, np.int32),
            places={
                name: np.asarray(values, np.int32)
                for name, values in (joint | {"bounds": bounds, "widened": widened}).items()
            },
        )

    def _targets(self, row: TaggedRow, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, list[Entity]]:
        """The tag of every token of a row, -1 where there is no gold, and the entities whose ends are no token's."""
        if row.entities is None:
            return np.full(len(starts), -1, np.int32), []
        tags, lost, taken = np.zeros(len(starts), np.int32), [], 0
        for entity in apart(row.entities)[0]:
            # The tokens that hold a character of it; one that ends the entity before is that one's.
            first = max(int(np.searchsorted(ends, entity.start, side="right")), taken)
            end = int(np.searchsorted(starts, entity.end, side="left"))
            if first >= end or (starts[first], ends[end - 1]) != (entity.start, entity.end):
                lost.append(entity)
            if first < end:
                begins = 1 + 2 * self.types.index(entity.type)
                tags[first], tags[first + 1 : end], taken = begins, begins + 1, end
        return tags, lost

    # 4. Decode

    def decode(
        self,
        logits: np.ndarray,
        features: Features,
        transitions: np.ndarray | None = None,
        first: np.ndarray | None = None,
        last: np.ndarray | None = None,
    ) -> list[Tagging]:
        """The best tags of every row that say entities, as the entities' characters; logits (n, L, C).

        Args:
            logits: scores of each window's tokens.
            features: the windows.
            transitions, first, last: of a CRF, (C, C), (C,), (C,); left out, each token is scored alone.

        Raises:
            ValueError: the logits are not those of the features, or one is not finite.
        """
        logits, width = np.asarray(logits), len(self.labels)
        if logits.ndim != 3 or len(logits) != len(features) or logits.shape[2] != width:
            raise ValueError(f"{self.name}: logits {logits.shape} are not ({len(features)}, length, {width}).")
        places = {name: np.asarray(values) for name, values in features.places.items()}
        scores = logits[places["window"], places["offset"]].astype(np.float64)  # (T, C)
        if not np.isfinite(scores).all():
            raise ValueError(f"{self.name}: a logit is not finite: the training of this model diverged.")
        scores -= scores.max(axis=1, keepdims=True)  # no overflow; the same for all tags, so nothing changes
        alone = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        between, begin = rules(len(self.types))
        end = np.zeros(width)
        if transitions is not None:
            between, begin, end = between + transitions, begin + first, end + last
        lengths = np.diff(places["bounds"])
        tags = best_taggings(alone, lengths, between, begin, end)
        sure = np.concatenate([[0.0], np.cumsum(np.exp(alone[np.arange(len(tags)), tags]))])
        number, head, tail = runs(tags)
        shares = np.clip((sure[tail] - sure[head]) / np.maximum(tail - head, 1), 0, 1).tolist()
        own = np.searchsorted(places["bounds"], head, side="right") - 1
        found: list[list[tuple[Entity, float]]] = [[] for _ in features.rows]
        each = zip(own, number, places["starts"][head].tolist(), places["ends"][tail - 1].tolist(), shares, strict=True)
        for row, name, start, stop, share in each:
            # Two pieces of one composed character (Hangul) have the same characters, which are one entity's; a piece
            # that stands for a space before a word may have none.
            if start < stop and (not found[row] or start >= found[row][-1][0].end):
                found[row].append((Entity(self.types[name], start, stop), share))
        return [Tagging(tuple(e for e, _ in pairs), tuple(share for _, share in pairs)) for pairs in found]

    # 5. Score

    def _tallies(self, predictions: Sequence[Tagging], rows: Sequence[TaggedRow]) -> np.ndarray:
        """Right, predicted and gold entities of every row and type, int64 (n, types, 3)."""
        paired(rows, predictions)
        for row in rows:
            if row.entities is None:
                raise InputError(f"{row.where}: no gold entities, so there is nothing to score. Score train or dev.")
        return tallies([row.entities for row in rows], [each.entities for each in predictions], self.types)

    def score(self, predictions: Sequence[Tagging], rows: Sequence[TaggedRow]) -> dict[str, float]:
        """``f1`` over all entities with its 95% bootstrap interval, ``precision``, ``recall``, the number of ``rows``
        and of gold ``entities``; shares, not percent.

        An entity is right when its type, beginning and end are (CoNLL-2003's conlleval).

        Raises:
            InputError: a row has no gold.
        """
        counts = self._tallies(predictions, rows).sum(axis=1)  # (n, 3)
        precision, recall, f1 = precision_recall_f1(counts.sum(axis=0)).tolist()
        low, high = f1_interval(counts)
        return {
            "f1": f1,
            "f1_low": low,
            "f1_high": high,
            "precision": precision,
            "recall": recall,
            "rows": float(len(rows)),
            "entities": float(counts[:, 2].sum()),
        }

    def breakdown(self, predictions: Sequence[Tagging], rows: Sequence[TaggedRow]) -> tuple[tuple[str, ...], ...]:
        counts = self._tallies(predictions, rows).sum(axis=0)  # (types, 3)
        names = [f"{name} {self.label_names.get(name, '')}".strip() for name in self.types]
        parts = [("全部 all", counts.sum(axis=0)), *zip(names, counts, strict=True)]
        return (
            ("类型 type", "精确 precision", "召回 recall", "F1", "真实共有 gold"),
            *((name, *(f"{s:.2%}" for s in precision_recall_f1(own)), f"{own[2]:,}") for name, own in parts),
        )

    def trivial_baselines(self, train: Sequence[TaggedRow], scored: Sequence[TaggedRow]) -> tuple[TrivialBaseline, ...]:
        """No entity at all; and the mentions of train wherever they stand, the longest from the left, each with the
        type it has most often there."""
        counts: dict[str, Counter[str]] = {}
        for row in train:
            for entity in row.entities or ():
                counts.setdefault(row.text[entity.start : entity.end], Counter())[entity.type] += 1
        words = {mention: min(own, key=lambda name: (-own[name], name)) for mention, own in counts.items()}
        answers = [Tagging(tuple(found_words(row.text, words)), ()) for row in scored]
        f1 = float(precision_recall_f1(self._tallies(answers, scored).sum(axis=(0, 1)))[2])
        rule = f"the {len(words):,} mentions of train, the longest from the left, each as most often in train"
        return (
            TrivialBaseline("一律不标 no entity", 0.0, "never an entity"),
            TrivialBaseline("训练集词典 dictionary of train", f1, rule),
        )

    def hardest(
        self, rows: Sequence[TaggedRow], predictions: Sequence[Tagging], count: int
    ) -> tuple[list[int], list[int]]:
        """Texts with entities that are none, the surest first, then those where some were missed; and those with the
        least certain entity."""
        paired(rows, predictions)
        wrong: dict[int, float] = {}
        for place, (row, prediction) in enumerate(zip(rows, predictions, strict=True)):
            if row.entities is not None and set(row.entities) != set(prediction.entities):
                pairs = zip(prediction.entities, prediction.confidences, strict=True)
                wrong[place] = max((share for entity, share in pairs if entity not in row.entities), default=0.0)
        mistakes = sorted(wrong, key=lambda n: -wrong[n])[:count]
        some = [n for n, prediction in enumerate(predictions) if prediction.entities]
        return mistakes, sorted(some, key=lambda n: predictions[n].confidence)[:count]

    def told(self, row: TaggedRow, prediction: Tagging) -> Told:
        gold = None if row.entities is None else marked(row.text, row.entities)
        return Told(row.text, None, gold, marked(row.text, prediction.entities), prediction.confidence)

    # Writing

    def write_predictions(
        self, path: str | os.PathLike[str], rows: Sequence[TaggedRow], predictions: Sequence[Tagging]
    ) -> Path:
        """A table of id, text, gold entities as ``[[type, start, end], …]``, and answered ones, the confidence of each
        behind. Offsets are those of the rows' text; the table shows white space of it as one space."""
        paired(rows, predictions)
        cells = (
            (
                row.id,
                row.text,
                json_cell(row.entities),
                json_cell([(*e, round(c, 6)) for e, c in zip(each.entities, each.confidences, strict=True)]),
            )
            for row, each in zip(rows, predictions, strict=True)
        )
        return write_table(path, ("id", "text", "gold", _COLUMN), cells)

    def read_predictions(self, path: str | os.PathLike[str]) -> list[Tagging]:
        predictions = []
        for where, (cell,) in read_table(path, (_COLUMN,), self.name):
            try:
                held = [(Entity(name, int(start), int(end)), float(c)) for name, start, end, c in json.loads(cell)]
                if other := {entity.type for entity, _ in held} - set(self.types):
                    raise ValueError(f"no type {min(other)!r}")
            except (ValueError, TypeError) as error:
                raise InputError(f"{where}: not a row of predictions ({error}). Predict again.") from error
            predictions.append(Tagging(tuple(entity for entity, _ in held), tuple(share for _, share in held)))
        return predictions

    def write_submission(
        self,
        folder: str | os.PathLike[str],
        rows: Sequence[TaggedRow],
        predictions: Sequence[Tagging],
        split: str = "test",
    ) -> Path:
        if self.submission is None:
            raise InputError(f"{self.name} has no leaderboard file. Use the predictions file.")
        ids = [row.id for row in rows]
        check_rows(self.submission, split, [row.where for row in rows], ids, predictions)
        answers = [as_label(row.text, each.entities) for row, each in zip(rows, predictions, strict=True)]
        for row, answer in zip(rows, answers, strict=True):
            self._check_answer(answer, row, row.where)
        return write_answers(self.submission, folder, split, ids, answers)

    def check_submission(self, folder: str | os.PathLike[str], rows: Sequence[TaggedRow], split: str) -> Path:
        path = Path(folder, self.submission.files[split])
        answers = check_answers(path, self.submission, [row.id for row in rows])
        for row, (where, answer) in zip(rows, answers, strict=True):
            self._check_answer(answer, row, where)
        return path

    def _check_answer(self, answer: Any, row: TaggedRow, where: str) -> None:
        """Raises InputError unless the answer is of the known types and each mention stands where it says."""
        try:
            spots = [
                (name, mention, first, last)
                for name, mentions in answer.items()
                for mention, own in mentions.items()
                for first, last in own
            ]
            wrong = [spot for spot in spots if not self._stands(row.text, *spot)]
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"{where}: {answer!r} is not {{type: {{mention: [[first, last]]}}}}. {_AGAIN}") from error
        if wrong:
            name, mention, first, last = wrong[0]
            raise InputError(f"{where}: {name} {mention!r} at {first} to {last} is no entity of {row.where}. {_AGAIN}")

    def _stands(self, text: str, name: str, mention: str, first: int, last: int) -> bool:
        return name in self.types and 0 <= first <= last < len(text) and text[first : last + 1] == mention


#: Of an answer in a table of predictions.
_COLUMN = "entities"
_AGAIN = "Predict the test file again."


def windows(tokens: int, room: int) -> tuple[np.ndarray, np.ndarray]:
    """The first token of each window, and the window of each token: that where its shorter side is longest.

    Neighbours share a quarter of a window, the last two more.

    >>> windows(10, 8)
    (array([0, 2]), array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]))
    """
    if tokens <= room:
        return np.zeros(1, np.int64), np.zeros(tokens, np.int64)
    firsts = np.append(np.arange(0, tokens - room, room - room // 4), tokens - room)
    left = np.arange(tokens)[None, :] - firsts[:, None]  # (windows, tokens): those on its left
    right = room - 1 - left
    inside = (left >= 0) & (right >= 0)
    left[0] = right[-1] = room  # an end of the text cuts nothing off
    return firsts, np.where(inside, np.minimum(left, right), -1).argmax(axis=0)


def found_words(text: str, words: Mapping[str, str]) -> list[Entity]:
    """The words of a dictionary (word -> type) that stand in a text, the longest first, from the left.

    >>> found_words("李小明在北京大学", {"北京": "LOC", "北京大学": "ORG", "小明": "PER"})
    [Entity(type='PER', start=1, end=3), Entity(type='ORG', start=4, end=8)]
    """
    lengths, place, found = sorted({len(word) for word in words}, reverse=True), 0, []
    while place < len(text):
        size = next((size for size in lengths if text[place : place + size] in words), 0)
        if size:
            found.append(Entity(words[text[place : place + size]], place, place + size))
        place += size or 1
    return found


def as_label(text: str, entities: Sequence[Entity]) -> dict[str, dict[str, list[list[int]]]]:
    """Entities as CLUENER writes them: type -> mention -> [first, last character].

    >>> as_label("李明", [Entity("name", 0, 2)])
    {'name': {'李明': [[0, 1]]}}
    """
    label: dict[str, dict[str, list[list[int]]]] = {}
    for name, start, end in entities:
        label.setdefault(name, {}).setdefault(text[start:end], []).append([start, end - 1])
    return label
