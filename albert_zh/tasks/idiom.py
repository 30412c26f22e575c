"""Idioms for blanks: each candidate is held against the text around the blank, and no idiom is given twice.

[CLS] idiom [SEP] text before [MASK][MASK][MASK][MASK] text after [SEP]
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_zh.tasks.assignment import best_assignment
from albert_zh.tasks.choice import ChoiceTask, Sequenced
from albert_zh.tasks.choice_readers import BLANK, ChoiceRow, answer_file
from albert_zh.tasks.sampling import sampled_groups
from albert_zh.text.packing import pair_lengths

if TYPE_CHECKING:
    from albert_zh.text.tokenizer import Tokenizer

#: Tokens in the place of a blank: idioms have four characters, all but a few.
_BLANK_TOKENS = 4
#: Characters on each side of a blank that a report shows.
_AROUND = 60


@dataclass(frozen=True, kw_only=True)
class IdiomTask(ChoiceTask):
    """Blanks filled from the candidates that the blanks of a row share (ChID: Zheng et al. 2019).

    Attributes:
        fix: each candidate fills at most one blank of a row, by the assignment whose log-probabilities add up to most;
            False: each blank is filled by itself.
    """

    fix: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        return {"fix": self.fix}

    def with_settings(self, settings: Mapping[str, Any]) -> IdiomTask:
        return dataclasses.replace(self, **settings)

    def find_all(self, split: str, data_dir: str | os.PathLike[str]) -> tuple[Path, ...]:
        """The file of blanks and, where there are any, of answers: those of a single file lie beside it."""
        found = super().find_all(split, data_dir)
        if len(found) == 1 and answer_file(found[0]).is_file():
            return found[0], answer_file(found[0])
        return found

    def sample(self, rows: Sequence[ChoiceRow], count: int, seed: int) -> list[ChoiceRow]:
        """Whole rows of the file, until there are ``count`` blanks; see ``sampling.sampled_groups``."""
        return sampled_groups(rows, [row.group for row in rows], count, seed)

    def sequences(
        self, rows: Sequence[ChoiceRow], tokenizer: Tokenizer, max_seq_length: int
    ) -> Iterator[list[Sequenced]]:
        """Yields the sequences of each row, one an idiom: as much of the passage as fits, the blank in the middle as
        far as there is text on both sides; other blanks are one [UNK] each."""
        passages: dict[str, tuple[np.ndarray, dict[str, int]]] = {}
        idioms: dict[str, np.ndarray] = {}
        head, tail = np.array([tokenizer.cls_id], np.int32), np.array([tokenizer.sep_id], np.int32)
        masks = np.full(_BLANK_TOKENS, tokenizer.mask_id, np.int32)
        longest = max_seq_length // 2 - _BLANK_TOKENS  # of an idiom; nine characters in a sequence of 26 and more
        for row in rows:
            if row.context not in passages:
                passages[row.context] = _with_blanks(row.context, tokenizer)
            tokens, places = passages[row.context]
            left, right = tokens[: places[row.question]], tokens[places[row.question] + 1 :]
            sequences = []
            for choice in row.choices:
                if choice not in idioms:
                    idioms[choice] = np.array(tokenizer.encode(choice).ids[:longest], np.int32)
                idiom = idioms[choice]
                room = max_seq_length - 3 - len(idiom) - _BLANK_TOKENS
                before, after = pair_lengths(len(left), len(right), room)
                window = [left[len(left) - before :], masks, right[:after]]
                ids = np.concatenate([head, idiom, tail, *window, tail])
                sequences.append(Sequenced(ids, len(idiom) + 2, before + after < len(left) + len(right)))
            yield sequences

    def answers(self, scores: np.ndarray, rows: Sequence[ChoiceRow]) -> np.ndarray:
        chosen = super().answers(scores, rows)
        if not self.fix:
            return chosen
        groups: dict[str, list[int]] = {}
        for number, row in enumerate(rows):
            groups.setdefault(row.group, []).append(number)
        for numbers in groups.values():
            chosen[numbers] = best_assignment(scores[numbers, : len(rows[numbers[0]].choices)])
        return chosen

    def guess(self, train: Sequence[ChoiceRow], scored: Sequence[ChoiceRow]) -> tuple[str, str, list[int]]:
        counts = Counter(row.choices[row.label] for row in train if row.label is not None)
        numbers = [int(np.argmax([counts[idiom] for idiom in row.choices])) for row in scored]
        rule = "the candidate that is most often the answer in train; the first of equals"
        return "最常见成语 most frequent idiom", rule, numbers

    def asked(self, row: ChoiceRow) -> str:
        """The text around the blank, for people."""
        begin = row.context.index(row.question)
        before, after = (
            BLANK.sub("（　　）", text) for text in (row.context[:begin], row.context[begin + len(row.question) :])
        )
        dots = "…" * (len(before) > _AROUND), "…" * (len(after) > _AROUND)
        return f"{dots[0]}{before[-_AROUND:]}【？】{after[:_AROUND]}{dots[1]}"


def _with_blanks(passage: str, tokenizer: Tokenizer) -> tuple[np.ndarray, dict[str, int]]:
    """The tokens of a passage, int32 (T,), each blank of it one [UNK], and the places of the blanks.

    The texts between the blanks are tokenised by themselves, so that no token reaches into a blank.
    """
    ids: list[int] = []
    places: dict[str, int] = {}
    begin = 0
    for blank in BLANK.finditer(passage):
        ids += tokenizer.encode(passage[begin : blank.start()]).ids
        places[blank.group()] = len(ids)
        ids.append(tokenizer.unk_id)
        begin = blank.end()
    ids += tokenizer.encode(passage[begin:]).ids
    return np.array(ids, np.int32), places
