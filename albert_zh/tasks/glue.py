"""GLUE (https://gluebenchmark.com): nine English tasks in their official files, and the files its leaderboard takes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from albert_zh.files import InputError, read_tsv
from albert_zh.tasks.classification import ClassificationTask
from albert_zh.tasks.readers import Cells
from albert_zh.tasks.regression import RegressionTask
from albert_zh.tasks.submission import Submission
from albert_zh.tasks.task import PublishedScore, Recipe, Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GlueTable:
    """Rows of tab-separated columns under a header, found by its exact names; quotes are text, and often unpaired.

    Attributes:
        text_a, text_b, label, id: names in the header; ``text_b`` is None for single sentences. A file without the
            label column has no labels, and its rows are numbered without that of the id.
        bare: the columns of a file that has no header, by the names a header gives them, "" for those of no use.
        skips_broken: rows of too few columns, or without a text, are left out and counted in the log.
    """

    text_a: str
    text_b: str | None = None
    label: str = "label"
    id: str = "index"
    bare: tuple[str, ...] = ()
    skips_broken: bool = False

    @property
    def names(self) -> dict[str, str]:
        """This project's name -> the header's."""
        names = {"text_a": self.text_a, "text_b": self.text_b, "label": self.label, "id": self.id}
        return {name: column for name, column in names.items() if column is not None}

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of the texts."""
        return (self.text_a,) if self.text_b is None else (self.text_a, self.text_b)

    def called(self, name: str) -> str:
        return f"column {self.names[name]!r}"

    def cells(self, path: Path, labels: Sequence[str] = ()) -> Cells:
        """Yields the cells of every row. Raises InputError (file:line) for a header without the columns of the texts,
        and for a row of more or fewer columns than the header."""
        header: tuple[str, ...] = ()
        broken = 0
        for number, row in read_tsv(path):
            if not header:
                header = self._header(row, f"{path}:{number}")
                if header is not self.bare:
                    continue
            while len(row) > len(header) and not row[-1].strip():
                row = row[:-1]  # a tab at the end of a line is no column
            cells = dict(zip(header, row, strict=False))
            whole = len(row) >= len(header) and all(cells[column].strip() for column in self.texts)
            if self.skips_broken and not whole:
                broken += 1
            elif len(row) != len(header):
                raise InputError(
                    f"{path}:{number}: {len(row)} tab-separated columns where {len(header)} are needed "
                    f"({', '.join(column or 'other' for column in header)}). Fix the row."
                )
            else:
                yield number, {name: cells[column] for name, column in self.names.items() if column in cells}
        if broken:
            logger.info("%s: %d rows without both questions or the label left out", path, broken)

    def _header(self, row: Sequence[str], where: str) -> tuple[str, ...]:
        """The columns of a file by its first row, which is the header, or a row of a file that has none."""
        cells = tuple(cell.strip() for cell in row)
        if self.bare and len(cells) == len(self.bare) and self.text_a not in cells:
            return self.bare
        for column in self.texts:
            if column not in cells:
                raise InputError(
                    f"{where}: no column {column!r}; the first row is {', '.join(cells)[:200]}. Give GLUE's own file "
                    "of this task, or choose the task this file belongs to."
                )
        return cells


_FILES = {"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)}


def _published(xxlarge: float, base: float | None = None, large: float | None = None) -> tuple[PublishedScore, ...]:
    """Dev scores in percent: of ALBERT-xxlarge v1 from the paper (https://arxiv.org/abs/1909.11942, single model), of
    v2's base and large from the README of google-research/albert."""
    scores = {"ALBERT-base v2": base, "ALBERT-large v2": large, "ALBERT-xxlarge v1": xxlarge}
    return tuple(PublishedScore(name, dev=round(score / 100, 4)) for name, score in scores.items() if score)


def _answers(file: str) -> Submission:
    return Submission({"test": file}, format="index_tsv")


#: Worth sweeping, whatever the task: those of the papers of BERT and of ALBERT.
_RATES = (1e-5, 2e-5, 3e-5, 5e-5)
_SAME = {"0": "different", "1": "same"}
_ENTAILED = ("entailment", "not_entailment")
_QUESTIONS = {"text_a": "question1", "text_b": "question2", "label": "is_duplicate", "id": "id"}

# Batches and rates follow table 14 of the ALBERT paper, which is for its largest model, and so do the epochs of the
# small sets; 128 tokens hold all but a few rows.
GLUE: tuple[Task, ...] = (
    ClassificationTask(
        name="cola",
        about="is this an English sentence? CoLA of GLUE",
        kind="single",
        labels=("0", "1"),
        label_names={"0": "unacceptable", "1": "acceptable"},
        main_metric="matthews",
        more_metrics=("matthews",),
        files=_FILES,
        reader=GlueTable("sentence", bare=("", "label", "", "sentence")),
        recipe=Recipe(128, 16, 1e-5, 10, learning_rates=_RATES),
        published=_published(71.4),
        submission=_answers("CoLA.tsv"),
    ),
    ClassificationTask(
        name="sst2",
        about="sentiment of a piece of a film review; SST-2 of GLUE",
        kind="single",
        labels=("0", "1"),
        label_names={"0": "negative", "1": "positive"},
        files=_FILES,
        reader=GlueTable("sentence"),
        recipe=Recipe(128, 32, 1e-5, 3, learning_rates=_RATES),
        published=_published(96.9, 92.9, 94.9),
        submission=_answers("SST-2.tsv"),
    ),
    ClassificationTask(
        name="mrpc",
        about="do two sentences of the news say the same? MRPC of GLUE",
        kind="pair",
        labels=("0", "1"),
        label_names=_SAME,
        more_metrics=("f1",),
        positive="1",
        files=_FILES,
        reader=GlueTable("#1 String", "#2 String", "Quality"),
        recipe=Recipe(128, 32, 2e-5, 7, learning_rates=_RATES),
        published=_published(90.9),
        submission=_answers("MRPC.tsv"),
    ),
    RegressionTask(
        name="stsb",
        about="how much alike are two sentences, from 0 to 5? STS-B of GLUE",
        kind="pair",
        bounds=(0.0, 5.0),
        files=_FILES,
        reader=GlueTable("sentence1", "sentence2", "score"),
        recipe=Recipe(128, 16, 2e-5, 10, learning_rates=_RATES),
        published=_published(93.0),
        submission=_answers("STS-B.tsv"),
    ),
    ClassificationTask(
        name="qqp",
        about="do two questions on Quora ask the same? QQP of GLUE",
        kind="pair",
        labels=("0", "1"),
        label_names=_SAME,
        more_metrics=("f1",),
        positive="1",
        files=_FILES,
        reader=GlueTable(**_QUESTIONS),
        # A few rows of the official training file are torn apart by line breaks in their questions.
        train_reader=GlueTable(**_QUESTIONS, skips_broken=True),
        recipe=Recipe(128, 128, 5e-5, 5, learning_rates=_RATES),
        published=_published(92.2),
        submission=_answers("QQP.tsv"),
    ),
    ClassificationTask(
        name="mnli",
        about="does the first sentence entail, contradict or leave open the second? MNLI and AX of GLUE",
        kind="pair",
        labels=("entailment", "neutral", "contradiction"),
        files={
            "train": ("train.tsv", "MNLI/train.tsv"),
            "dev": ("dev_matched.tsv", "MNLI/dev_matched.tsv"),
            "dev_mismatched": ("dev_mismatched.tsv", "MNLI/dev_mismatched.tsv"),
            "test": ("test_matched.tsv", "MNLI/test_matched.tsv"),
            "test_mismatched": ("test_mismatched.tsv", "MNLI/test_mismatched.tsv"),
            # GLUE's own script puts it into a folder beside.
            "test_diagnostic": ("diagnostic.tsv", "AX.tsv", "../diagnostic/diagnostic.tsv"),
        },
        reader=GlueTable("sentence1", "sentence2", "gold_label"),
        no_gold=("-",),
        recipe=Recipe(128, 128, 3e-5, 3, learning_rates=_RATES),
        published=_published(90.8, 84.6, 86.5),
        submission=Submission(
            {"test": "MNLI-m.tsv", "test_mismatched": "MNLI-mm.tsv", "test_diagnostic": "AX.tsv"}, format="index_tsv"
        ),
    ),
    ClassificationTask(
        name="qnli",
        about="does the sentence hold the answer to the question? QNLI of GLUE",
        kind="pair",
        labels=_ENTAILED,
        files=_FILES,
        reader=GlueTable("question", "sentence"),
        recipe=Recipe(128, 32, 1e-5, 3, learning_rates=_RATES),
        published=_published(95.3),
        submission=_answers("QNLI.tsv"),
    ),
    ClassificationTask(
        name="rte",
        about="does the first text entail the second? RTE of GLUE",
        kind="pair",
        labels=_ENTAILED,
        files=_FILES,
        reader=GlueTable("sentence1", "sentence2"),
        recipe=Recipe(128, 32, 3e-5, 10, learning_rates=_RATES),
        published=_published(89.2),
        submission=_answers("RTE.tsv"),
    ),
    ClassificationTask(
        name="wnli",
        about="does the sentence, its pronoun filled in, follow from the first? WNLI of GLUE",
        kind="pair",
        labels=("0", "1"),
        label_names={"0": "not_entailment", "1": "entailment"},
        files=_FILES,
        reader=GlueTable("sentence1", "sentence2"),
        recipe=Recipe(128, 16, 2e-5, 50, learning_rates=_RATES),
        submission=_answers("WNLI.tsv"),
    ),
)

#: Other names users type: those of GLUE's folders and of earlier scripts.
GLUE_ALIASES = {"sst-2": "sst2", "sts-b": "stsb", "mnli-mm": "mnli", "ax": "mnli"}
