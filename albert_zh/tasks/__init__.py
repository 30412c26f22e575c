"""Every task in one table. A new data set of a known kind is one row here, and one folder of sample rows.

The rows of CLUE and GLUE stand in files of their own.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from albert_zh.files import InputError
from albert_zh.tasks.choice import CausalChoiceTask, ClozeChoiceTask
from albert_zh.tasks.choice_readers import read_premises, read_race
from albert_zh.tasks.classification import ClassificationTask
from albert_zh.tasks.cloze import Prompt
from albert_zh.tasks.clue import CLUE, FOLLOWS, NEWS, SAME, words
from albert_zh.tasks.custom import custom_from
from albert_zh.tasks.glue import GLUE, GLUE_ALIASES
from albert_zh.tasks.readers import TabSeparated
from albert_zh.tasks.span import SpanTask
from albert_zh.tasks.submission import Submission
from albert_zh.tasks.tagging import TaggingTask
from albert_zh.tasks.task import (
    CUSTOM,
    Features,
    HeadSpec,
    Prediction,
    PublishedScore,
    Recipe,
    Row,
    Task,
)

__all__ = [
    "CUSTOM",
    "TASKS",
    "Features",
    "HeadSpec",
    "Prediction",
    "Prompt",
    "PublishedScore",
    "Recipe",
    "Row",
    "Task",
    "get_task",
    "task_of",
    "with_files",
]


_SPLITS = ("train", "dev", "test")

_TASKS: tuple[Task, ...] = (
    ClassificationTask(
        name="lcqmc",
        about="do two questions ask the same?",
        kind="pair",
        labels=("0", "1"),
        label_names={"0": "different", "1": "same"},
        files={
            "train": ("train.txt", "train.tsv"),
            "dev": ("dev.txt", "dev.tsv"),
            "test": ("test.txt", "test.tsv"),
        },
        reader=TabSeparated(("text_a", "text_b", "label")),
        prompt=SAME,
        recipe=Recipe(128, 64, 1e-4, 5, learning_rates=(2e-5, 6e-5, 1e-4)),
        published=(
            PublishedScore("ALBERT-zh tiny", test=0.854),
            PublishedScore("ALBERT-zh small", test=0.860),
            PublishedScore("ALBERT-zh base", dev=0.872, test=0.863),
            PublishedScore("ALBERT-zh large", dev=0.887, test=0.871),
            PublishedScore("ALBERT-zh xlarge", dev=0.873, test=0.877),
            PublishedScore("BERT base", dev=0.894, test=0.869),
        ),
        submission=Submission({"test": "lcqmc_predict.tsv"}, format="index_tsv"),
    ),
    ClassificationTask(
        name="chnsenticorp",
        about="sentiment of a hotel, book or computer review",
        kind="single",
        labels=("0", "1"),
        label_names={"0": "negative", "1": "positive"},
        files={"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)},
        reader=TabSeparated(("label", "text_a")),
        prompt=Prompt("{mask}满意。{text_a}", {"0": "不", "1": "很"}),
        recipe=Recipe(256, 32, 5e-5, 5),
    ),
    ClassificationTask(
        name="xnli",
        about="does the first sentence entail, contradict or leave open the second? The Chinese rows of XNLI 1.0",
        kind="pair",
        labels=("entailment", "neutral", "contradiction"),
        files={
            "train": ("XNLI-MT-1.0/multinli/multinli.train.zh.tsv", "multinli.train.zh.tsv", "train.tsv"),
            "dev": ("XNLI-1.0/xnli.dev.tsv", "xnli.dev.tsv", "dev.tsv"),
            "test": ("XNLI-1.0/xnli.test.tsv", "xnli.test.tsv", "test.tsv"),
        },
        reader=TabSeparated(
            ("text_a", "text_b", "label"),
            only={"language": "zh"},
            label_aliases={"contradictory": "contradiction"},  # the word of the machine-translated training file
        ),
        prompt=FOLLOWS,
        recipe=Recipe(128, 64, 3e-5, 2),
        published=(
            PublishedScore("ALBERT-zh base", dev=0.770, test=0.771),
            PublishedScore("ALBERT-zh large", dev=0.780, test=0.775),
            PublishedScore("BERT base", dev=0.778, test=0.778),
            PublishedScore("ERNIE", dev=0.797, test=0.786),
            PublishedScore("BERT-wwm", dev=0.790, test=0.782),
        ),
        submission=Submission({"test": "xnli_predict.tsv"}, format="index_tsv"),
    ),
    ClassificationTask(
        name="bq",
        about="do two questions to a bank ask the same?",
        kind="pair",
        labels=("0", "1"),
        label_names={"0": "different", "1": "same"},
        files={"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)},
        reader=TabSeparated(("text_a", "text_b", "label")),
        prompt=SAME,
        recipe=Recipe(128, 64, 1e-4, 5, learning_rates=(2e-5, 6e-5, 1e-4)),
    ),
    ClassificationTask(
        name="pawsx",
        about="do two sentences of much the same words say the same? The Chinese rows of PAWS-X",
        kind="pair",
        labels=("0", "1"),
        label_names={"0": "different", "1": "same"},
        files={
            "train": ("zh/translated_train.tsv", "translated_train.tsv", "train.tsv"),
            "dev": ("zh/dev_2k.tsv", "dev_2k.tsv", "dev.tsv"),
            "test": ("zh/test_2k.tsv", "test_2k.tsv", "test.tsv"),
        },
        reader=TabSeparated(("text_a", "text_b", "label")),
        prompt=SAME,
        recipe=Recipe(128, 64, 1e-4, 5, learning_rates=(2e-5, 6e-5, 1e-4)),
    ),
    ClassificationTask(
        name="thucnews",
        about="topic of a news title, 10 classes",
        kind="single",
        labels=tuple(map(str, range(10))),
        label_names=dict(
            zip(
                map(str, range(10)),
                "finance realty stocks education science society politics sports game entertainment".split(),
                strict=True,
            )
        ),
        names_file="class.txt",
        files={
            "train": ("train.txt", "train.tsv"),
            "dev": ("dev.txt", "dev.tsv"),
            "test": ("test.txt", "test.tsv"),
        },
        reader=TabSeparated(("text_a", "label")),
        prompt=Prompt(NEWS, words("0 财经 1 房产 2 股票 3 教育 4 科技 5 社会 6 时政 7 体育 8 游戏 9 娱乐")),
        recipe=Recipe(32, 128, 5e-5, 3),
    ),
    SpanTask(
        name="squad1",
        about="an answer from an English passage; SQuAD 1.1",
        files={
            "train": ("train-v1.1.json", "train.json"),
            "dev": ("dev-v1.1.json", "dev.json"),
            "test": ("test-v1.1.json", "test.json"),
        },
        recipe=Recipe(384, 32, 5e-5, 2),
    ),
    SpanTask(
        name="squad2",
        about="an answer from an English passage, if it has one; SQuAD 2.0",
        unanswerable=True,
        files={
            "train": ("train-v2.0.json", "train.json"),
            "dev": ("dev-v2.0.json", "dev.json"),
            "test": ("test-v2.0.json", "test.json"),
        },
        recipe=Recipe(384, 32, 5e-5, 3),
    ),
    ClozeChoiceTask(
        name="race",
        about="which answer to a question on an English text from an exam?",
        choices=4,
        reader=read_race,
        files={split: ((f"{split}/middle", f"{split}/high"), split) for split in ("train", "dev", "test")},
        recipe=Recipe(512, 32, 2e-5, 3),  # as many sequences a step as c3, most of them long
    ),
    CausalChoiceTask(
        name="copa",
        about="which of two English sentences is the cause, or the effect, of another?",
        choices=2,
        reader=read_premises,
        files={"train": ("train.jsonl",), "dev": ("val.jsonl", "dev.jsonl"), "test": ("test.jsonl",)},
        recipe=Recipe(64, 16, 2e-5, 10),
    ),
    TaggingTask(
        name="msra_ner",
        about="names of people, places and organisations in news",
        types=("PER", "LOC", "ORG"),
        files={split: (f"{split}.txt", f"msra_{split}_bio.txt") for split in _SPLITS},
        recipe=Recipe(128, 32, 1e-4, 3, learning_rates=(5e-5, 1e-4, 2e-4)),
    ),
    TaggingTask(
        name="weibo_ner",
        about="names (NAM) and other mentions (NOM) of people, places and organisations in posts",
        types=tuple(f"{name}.{form}" for name in ("PER", "LOC", "ORG", "GPE") for form in ("NAM", "NOM")),
        files={split: (f"{split}.txt", f"weiboNER_2nd_conll.{split}", f"weiboNER.conll.{split}") for split in _SPLITS},
        recipe=Recipe(128, 16, 1e-4, 10, learning_rates=(5e-5, 1e-4, 2e-4)),
    ),
    TaggingTask(
        name="peopledaily",
        about="names of people, places and organisations in the People's Daily",
        types=("PER", "LOC", "ORG"),
        files={split: (f"{split}.txt", f"example.{split}") for split in _SPLITS},
        recipe=Recipe(128, 32, 1e-4, 3, learning_rates=(5e-5, 1e-4, 2e-4)),
    ),
)

#: Other names users type.
_ALIASES = {"weibo": "weibo_ner", "squad": "squad1", "squad1.1": "squad1", "squad2.0": "squad2", "lcqmc_pair": "lcqmc"}

TASKS: dict[str, Task] = {task.name: task for task in (*_TASKS, *CLUE, *GLUE)}
TASKS |= {alias: TASKS[name] for alias, name in (_ALIASES | GLUE_ALIASES).items()}


def get_task(name: str) -> Task:
    """The task of that name, upper or lower case. Raises InputError with the nearest name when there is none."""
    if task := TASKS.get(name.lower()):
        return task
    if name.lower() == CUSTOM:
        raise InputError(f"{name}: your own data, whose files must be named: --train_file, --dev_file, --test_file.")
    near = difflib.get_close_matches(name.lower(), TASKS, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise InputError(f"no task {name!r}. {hint}The tasks are {', '.join(TASKS)}, {CUSTOM}.")


def task_of(about: Mapping[str, Any]) -> Task:
    """The task that a ``task.json`` or ``metrics.json`` speaks of: a row of ``TASKS``, or a user's own data.

    Raises:
        InputError: there is no such task, or what is said of the own data is not whole.
    """
    if about.get("custom"):
        return custom_from(about["custom"])
    return with_files(get_task(about["task"]), about.get("files", {}), alone=False)


def with_files(task: Task, files: Mapping[str, str], *, alone: bool) -> Task:
    """A task with other files for some of its splits; ``alone``: it has no others."""
    if not files:
        return task
    own = {split: (name,) for split, name in files.items()}
    return dataclasses.replace(task, files=own if alone else {**task.files, **own})
