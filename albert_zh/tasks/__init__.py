"""Every task in one table. A new data set of a known kind is one row here and one folder of sample rows."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from albert_zh.files import InputError
from albert_zh.tasks.choice import CausalChoiceTask, ChoiceTask, ClozeChoiceTask
from albert_zh.tasks.choice_readers import read_blanks, read_passages, read_premises, read_race
from albert_zh.tasks.classification import ClassificationTask
from albert_zh.tasks.cloze import Prompt
from albert_zh.tasks.custom import custom_from
from albert_zh.tasks.glue import GLUE, GLUE_ALIASES
from albert_zh.tasks.idiom import IdiomTask
from albert_zh.tasks.readers import JsonLines, TabSeparated
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
from albert_zh.tasks.winograd import WinogradTask

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


def _c3_files(split: str) -> tuple[str | tuple[str, ...], ...]:
    """Dialogues and other texts, under C3's own names or CLUE's; else one file of both, or one of the two alone."""
    pairs = [tuple(f"{before}{part}-{split}.json" for part in "dm") for before in ("c3-", "")]
    return (*pairs, f"{split}.json", *pairs[0], *pairs[1])


def _words(text: str) -> dict[str, str]:
    """Label words written "label word label word"."""
    parts = text.split()
    return dict(zip(parts[::2], parts[1::2], strict=True))


#: 意思相同 or 意思不同, before the two sentences.
_SAME = Prompt("下面两句话的意思{mask}同：{text_a}；{text_b}", {"0": "不", "1": "相"})
_FOLLOWS = Prompt("{text_a}？{mask}，{text_b}", {"entailment": "是的", "neutral": "也许", "contradiction": "不是"})
_NEWS = "下面是一条{mask}新闻：{text_a}"
#: IFLYTEK's labels in a word each, in their order.
_APPS = (
    "打车 导航 网络 租车 同城 快递 婚庆 家政 公交 政务 社区 优惠 魔幻 仙侠 卡牌 空战 射击 益智 动作 "
    "竞技 棋牌 养成 策略 对战 辅助 约会 通讯 职场 论坛 婚恋 情侣 社交 交友 微博 新闻 漫画 小说 技术 "
    "教辅 问答 搞笑 杂志 百科 影视 求职 兼职 视频 短片 音乐 直播 电台 唱歌 成人 小学 职考 公考 英语 "
    "网课 大学 自考 艺术 语言 旅游 预订 航班 铁路 酒店 行程 民宿 出国 工具 亲子 母婴 驾校 违章 汽车 "
    "卖车 养车 行车 租房 买房 装修 电子 挂号 养生 医疗 减肥 美妆 菜谱 餐饮 体育 健身 支付 保险 股票 "
    "借贷 理财 彩票 记账 银行 美颜 剪辑 修图 相机 绘画 二手 电商 团购 外卖 电影 超市 购物 笔记 办公 "
    "日程 女性 经营 收款 其他"
).split()

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
        prompt=_SAME,
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
        prompt=Prompt(
            _NEWS,
            _words(
                "100 故事 101 文化 102 娱乐 103 体育 104 财经 106 房产 107 汽车 108 教育 109 科技 110 军事 112 旅游 "
                "113 国际 114 股票 115 农业 116 游戏"
            ),
        ),
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
        prompt=_SAME,
        recipe=Recipe(128, 16, 2e-5, 3, learning_rates=(1e-5, 2e-5, 3e-5, 5e-5)),
        published=_clue_scores(69.92, 72.55, 74.00, 69.96, 75.60),
        submission=Submission({"test": "afqmc_predict.json"}),
    ),
    ClassificationTask(
        name="iflytek",
        about="category of an app by its description, 119 classes",
        kind="single",
        labels=tuple(map(str, range(119))),
        names_file="labels.json",
        files=_clue_files(),
        reader=JsonLines("sentence"),
        prompt=Prompt("这是一款{mask}应用：{text_a}", dict(zip(map(str, range(119)), _APPS, strict=True))),
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
        prompt=_FOLLOWS,
        recipe=Recipe(128, 16, 3e-5, 2),
        submission=Submission({"test": "ocnli_50k_predict.json"}),
    ),
    ClassificationTask(
        name="cmnli",
        about="does the first sentence entail, contradict or leave open the second? Translated from English",
        kind="pair",
        labels=("entailment", "neutral", "contradiction"),
        files=_clue_files(),
        reader=JsonLines("sentence1", "sentence2"),
        no_gold=("-",),
        prompt=_FOLLOWS,
        recipe=Recipe(128, 64, 3e-5, 2),
        published=_clue_scores(70.61, 77.58, 78.77, 81.13, 83.14),
        submission=Submission({"test": "cmnli_predict.json"}),
    ),
    WinogradTask(
        name="cluewsc2020",
        about="does the pronoun stand for the mention?",
        files=_clue_files("test1.0"),
        prompt=Prompt("{text_a}这句话里，方括号中的词{mask}是指下划线中的词。", {"true": "就", "false": "不"}),
        recipe=Recipe(128, 8, 1e-4, 50),
        published=_clue_scores(58.50, 64.34, 62.24, 64.34, 61.54),
        submission=Submission({"test": "cluewsc11_predict.json", "test1.0": "cluewsc10_predict.json"}),
    ),
    ClassificationTask(
        name="csl",
        about="are all of these the keywords of this abstract?",
        kind="pair",
        labels=("0", "1"),
        label_names={"0": "no", "1": "yes"},
        files=_clue_files(),
        reader=JsonLines("keyword", "abst"),
        prompt=Prompt("{text_a}，这些{mask}是下文的关键词：{text_b}", {"0": "不", "1": "都"}),
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
        prompt=_FOLLOWS,
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
        prompt=_SAME,
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
        prompt=_SAME,
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
        prompt=Prompt(_NEWS, _words("0 财经 1 房产 2 股票 3 教育 4 科技 5 社会 6 时政 7 体育 8 游戏 9 娱乐")),
        recipe=Recipe(32, 128, 5e-5, 3),
    ),
    SpanTask(
        name="cmrc2018",
        about="an answer from an encyclopaedic passage",
        chinese=True,
        files={
            "train": ("train.json", "cmrc2018_train.json"),
            "dev": ("dev.json", "cmrc2018_dev.json"),
            "test": ("test.json",),
            "test_trial": ("trial.json", "cmrc2018_trial.json"),
        },
        max_answer_length=100,  # of 99.5% of the training answers
        recipe=Recipe(512, 32, 2e-4, 3, learning_rates=(3e-5, 1e-4, 2e-4)),
        published=_clue_scores(76.21, 89.66, 90.81, 92.09, 90.77),
        submission=Submission({"test": "cmrc2018_predict.json"}, format="json_object"),
    ),
    SpanTask(
        name="drcd",
        about="an answer from an encyclopaedic passage, traditional characters",
        chinese=True,
        files={
            "train": ("train.json", "DRCD_training.json"),
            "dev": ("dev.json", "DRCD_dev.json"),
            "test": ("test.json", "DRCD_test.json"),
        },
        max_answer_length=50,
        recipe=Recipe(512, 32, 2e-4, 3, learning_rates=(3e-5, 1e-4, 2e-4)),
        submission=Submission({"test": "drcd_predict.json"}, format="json_object"),
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
    ChoiceTask(
        name="c3",
        about="which answer to a question on a dialogue or a text?",
        choices=4,
        reader=read_passages,
        files={
            "train": _c3_files("train"),
            "dev": _c3_files("dev"),
            "test": ("test1.1.json", *_c3_files("test")),
            "test1.0": ("test1.0.json",),
        },
        recipe=Recipe(512, 32, 5e-5, 8),
        published=_clue_scores(50.26, 59.58, 64.41, 70.32, 73.28),
        submission=Submission({"test": "c311_predict.json", "test1.0": "c310_predict.json"}),
    ),
    IdiomTask(
        name="chid",
        about="which of ten idioms was taken out of a text?",
        choices=10,
        reader=read_blanks,
        files={
            "train": (("train.json", "train_answer.json"), "train.json"),
            "dev": (("dev.json", "dev_answer.json"), "dev.json"),
            "test": ("test1.1.json", "test.json"),
            "test1.0": ("test1.0.json",),
        },
        recipe=Recipe(64, 24, 2e-5, 3),  # 240 sequences a step
        published=_clue_scores(43.53, 71.77, 74.18, 80.57, 83.15),
        submission=Submission({"test": "chid11_predict.json", "test1.0": "chid10_predict.json"}, format="json_object"),
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
        name="cluener",
        about="names of ten types in news",
        types=tuple("address book company game government movie name organization position scene".split()),
        label_names={
            "address": "地址",
            "book": "书名",
            "company": "公司",
            "game": "游戏",
            "government": "政府",
            "movie": "电影",
            "name": "姓名",
            "organization": "组织机构",
            "position": "职位",
            "scene": "景点",
        },
        files=_clue_files(),
        recipe=Recipe(128, 16, 1e-4, 5, learning_rates=(5e-5, 1e-4, 2e-4)),
        submission=Submission({"test": "cluener_predict.json"}),
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

TASKS: dict[str, Task] = {task.name: task for task in (*_TASKS, *GLUE)}
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
