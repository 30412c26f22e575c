"""Every task in one table. A new data set of a known kind is one row here and one folder of sample rows."""

from __future__ import annotations

import difflib

from albert_zh.files import InputError
from albert_zh.tasks.classification import ClassificationTask, JsonLines, TabSeparated
from albert_zh.tasks.submission import Submission
from albert_zh.tasks.task import (
    Features,
    HeadSpec,
    Prediction,
    PublishedScore,
    Recipe,
    Row,
    Task,
)

__all__ = [
    "TASKS",
    "Features",
    "HeadSpec",
    "Prediction",
    "PublishedScore",
    "Recipe",
    "Row",
    "Task",
    "get_task",
]


def _clue_files(*more_tests: str, train: tuple[str, ...] = ("train.json",)) -> dict[str, tuple[str, ...]]:
    return {
        "train": train,
        "dev": ("dev.json",),
        "test": ("test.json",),
        **{split: (f"{split}.json",) for split in more_tests},
    }


def _clue_scores(tiny: float, base: float, large: float, xlarge: float, xxlarge: float) -> tuple[PublishedScore, ...]:
    """Test scores of the CLUE paper's ALBERT baselines, in percent as printed there (https://arxiv.org/abs/2004.05986)."""
    names = ("ALBERT-tiny", "ALBERT-base", "ALBERT-large", "ALBERT-xlarge", "ALBERT-xxlarge")
    scores = (tiny, base, large, xlarge, xxlarge)
    return tuple(PublishedScore(name, test=round(score / 100, 4)) for name, score in zip(names, scores, strict=True))


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
        name="tnews",
        about="topic of a news title, 15 classes",
        kind="single",
        labels=tuple("100 101 102 103 104 106 107 108 109 110 112 113 114 115 116".split()),
        label_names={
            "100": "news_story",
            "101": "news_culture",
            "102": "news_entertainment",
            "103": "news_sports",
            "104": "news_finance",
            "106": "news_house",
            "107": "news_car",
            "108": "news_edu",
            "109": "news_tech",
            "110": "news_military",
            "112": "news_travel",
            "113": "news_world",
            "114": "news_stock",
            "115": "news_agriculture",
            "116": "news_game",
        },
        files=_clue_files("test1.0"),
        reader=JsonLines("sentence"),
        recipe=Recipe(128, 16, 2e-5, 3, learning_rates=(1e-5, 2e-5, 3e-5, 5e-5)),
        published=_clue_scores(53.35, 55.06, 55.16, 57.36, 59.46),
        submission=Submission({"test": "tnews11_predict.json", "test1.0": "tnews10_predict.json"}),
    ),
    ClassificationTask(
        name="afqmc",
        about="do two customer questions ask the same?",
        kind="pair",
        labels=("0", "1"),
        label_names={"0": "different", "1": "same"},
        files=_clue_files(),
        reader=JsonLines("sentence1", "sentence2"),
        recipe=Recipe(128, 16, 2e-5, 3, learning_rates=(1e-5, 2e-5, 3e-5, 5e-5)),
        published=_clue_scores(69.92, 72.55, 74.00, 69.96, 75.60),
        submission=Submission({"test": "afqmc_predict.json"}),
    ),
    ClassificationTask(
        name="iflytek",
        about="category of an app by its description, 119 classes",
        kind="single",
        labels=tuple(map(str, range(119))),
        files=_clue_files(),
        reader=JsonLines("sentence"),
        recipe=Recipe(128, 32, 2e-5, 10),
        published=_clue_scores(48.71, 56.58, 57.00, 59.50, 62.89),
        submission=Submission({"test": "iflytek_predict.json"}),
    ),
    ClassificationTask(
        name="ocnli",
        about="does the first sentence entail, contradict or leave open the second?",
        kind="pair",
        labels=("entailment", "neutral", "contradiction"),
        files=_clue_files(train=("train.50k.json", "train.30k.json", "train.10k.json", "train.3k.json", "train.json")),
        reader=JsonLines("sentence1", "sentence2"),
        no_gold=("-",),
        recipe=Recipe(128, 16, 3e-5, 2),
        submission=Submission({"test": "ocnli_50k_predict.json"}),
    ),
    ClassificationTask(
        name="csl",
        about="are all of these the keywords of this abstract?",
        kind="pair",
        labels=("0", "1"),
        label_names={"0": "no", "1": "yes"},
        files=_clue_files(),
        reader=JsonLines("keyword", "abst"),
        recipe=Recipe(256, 4, 1e-5, 5),
        published=_clue_scores(74.56, 78.50, 80.30, 81.20, 83.63),
        submission=Submission({"test": "csl_predict.json"}),
    ),
    ClassificationTask(
        name="chnsenticorp",
        about="sentiment of a hotel, book or computer review",
        kind="single",
        labels=("0", "1"),
        label_names={"0": "negative", "1": "positive"},
        files={"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)},
        reader=TabSeparated(("label", "text_a")),
        recipe=Recipe(256, 32, 5e-5, 5),
    ),
)

#: Other names users type.
_ALIASES = {"lcqmc_pair": "lcqmc"}

TASKS: dict[str, Task] = {task.name: task for task in _TASKS}
TASKS |= {alias: TASKS[name] for alias, name in _ALIASES.items()}


def get_task(name: str) -> Task:
    """The task of that name, upper or lower case. Raises InputError with the nearest name when there is none."""
    if task := TASKS.get(name.lower()):
        return task
    near = difflib.get_close_matches(name.lower(), TASKS, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise InputError(f"no task {name!r}. {hint}The tasks are {', '.join(TASKS)}.")
