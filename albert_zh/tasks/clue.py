"""The tasks of CLUE (Xu et al. 2020, https://arxiv.org/abs/2004.05986): names, files, labels, recipes and scores."""

from __future__ import annotations

from albert_zh.tasks.choice import ChoiceTask
from albert_zh.tasks.choice_readers import read_blanks, read_passages
from albert_zh.tasks.classification import ClassificationTask
from albert_zh.tasks.cloze import Prompt
from albert_zh.tasks.idiom import IdiomTask
from albert_zh.tasks.readers import JsonLines
from albert_zh.tasks.span import SpanTask
from albert_zh.tasks.submission import Submission
from albert_zh.tasks.tagging import TaggingTask
from albert_zh.tasks.task import PublishedScore, Recipe, Task
from albert_zh.tasks.winograd import WinogradTask


def _files(*more_tests: str, train: tuple[str, ...] = ("train.json",)) -> dict[str, tuple[str, ...]]:
    return {
        "train": train,
        "dev": ("dev.json",),
        "test": ("test.json",),
        **{split: (f"{split}.json",) for split in more_tests},
    }


def _scores(tiny: float, base: float, large: float, xlarge: float, xxlarge: float) -> tuple[PublishedScore, ...]:
    """Test scores of the CLUE paper's ALBERT baselines, in percent as printed there (https://arxiv.org/abs/2004.05986)."""
    names = ("ALBERT-tiny", "ALBERT-base", "ALBERT-large", "ALBERT-xlarge", "ALBERT-xxlarge")
    scores = (tiny, base, large, xlarge, xxlarge)
    return tuple(PublishedScore(name, test=round(score / 100, 4)) for name, score in zip(names, scores, strict=True))


def _c3_files(split: str) -> tuple[str | tuple[str, ...], ...]:
    """Dialogues and other texts, under C3's own names or CLUE's; else one file of both, or one of the two alone."""
    pairs = [tuple(f"{before}{part}-{split}.json" for part in "dm") for before in ("c3-", "")]
    return (*pairs, f"{split}.json", *pairs[0], *pairs[1])


def words(text: str) -> dict[str, str]:
    """Label words written "label word label word"."""
    parts = text.split()
    return dict(zip(parts[::2], parts[1::2], strict=True))


#: 意思相同 or 意思不同, before the two sentences.
SAME = Prompt("下面两句话的意思{mask}同：{text_a}；{text_b}", {"0": "不", "1": "相"})
FOLLOWS = Prompt("{text_a}？{mask}，{text_b}", {"entailment": "是的", "neutral": "也许", "contradiction": "不是"})
NEWS = "下面是一条{mask}新闻：{text_a}"
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

CLUE: tuple[Task, ...] = (
    ClassificationTask(
        name="afqmc",
        about="do two customer questions ask the same?",
        kind="pair",
        labels=("0", "1"),
        label_names={"0": "different", "1": "same"},
        files=_files(),
        reader=JsonLines("sentence1", "sentence2"),
        prompt=SAME,
        recipe=Recipe(128, 16, 2e-5, 3, learning_rates=(1e-5, 2e-5, 3e-5, 5e-5)),
        published=_scores(69.92, 72.55, 74.00, 69.96, 75.60),
        submission=Submission({"test": "afqmc_predict.json"}),
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
        files=_files("test1.0"),
        reader=JsonLines("sentence"),
        prompt=Prompt(
            NEWS,
            words(
                "100 故事 101 文化 102 娱乐 103 体育 104 财经 106 房产 107 汽车 108 教育 109 科技 110 军事 112 旅游 "
                "113 国际 114 股票 115 农业 116 游戏"
            ),
        ),
        recipe=Recipe(128, 16, 2e-5, 3, learning_rates=(1e-5, 2e-5, 3e-5, 5e-5)),
        published=_scores(53.35, 55.06, 55.16, 57.36, 59.46),
        submission=Submission({"test": "tnews11_predict.json", "test1.0": "tnews10_predict.json"}),
    ),
    ClassificationTask(
        name="iflytek",
        about="category of an app by its description, 119 classes",
        kind="single",
        labels=tuple(map(str, range(119))),
        names_file="labels.json",
        files=_files(),
        reader=JsonLines("sentence"),
        prompt=Prompt("这是一款{mask}应用：{text_a}", dict(zip(map(str, range(119)), _APPS, strict=True))),
        recipe=Recipe(128, 32, 2e-5, 10),
        published=_scores(48.71, 56.58, 57.00, 59.50, 62.89),
        submission=Submission({"test": "iflytek_predict.json"}),
    ),
    ClassificationTask(
        name="ocnli",
        about="does the first sentence entail, contradict or leave open the second?",
        kind="pair",
        labels=("entailment", "neutral", "contradiction"),
        files=_files(train=("train.50k.json", "train.30k.json", "train.10k.json", "train.3k.json", "train.json")),
        reader=JsonLines("sentence1", "sentence2"),
        no_gold=("-",),
        prompt=FOLLOWS,
        recipe=Recipe(128, 16, 3e-5, 2),
        submission=Submission({"test": "ocnli_50k_predict.json"}),
    ),
    ClassificationTask(
        name="cmnli",
        about="does the first sentence entail, contradict or leave open the second? Translated from English",
        kind="pair",
        labels=("entailment", "neutral", "contradiction"),
        files=_files(),
        reader=JsonLines("sentence1", "sentence2"),
        no_gold=("-",),
        prompt=FOLLOWS,
        recipe=Recipe(128, 64, 3e-5, 2),
        published=_scores(70.61, 77.58, 78.77, 81.13, 83.14),
        submission=Submission({"test": "cmnli_predict.json"}),
    ),
    WinogradTask(
        name="cluewsc2020",
        about="does the pronoun stand for the mention?",
        files=_files("test1.0"),
        prompt=Prompt("{text_a}这句话里，方括号中的词{mask}是指下划线中的词。", {"true": "就", "false": "不"}),
        recipe=Recipe(128, 8, 1e-4, 50),
        published=_scores(58.50, 64.34, 62.24, 64.34, 61.54),
        submission=Submission({"test": "cluewsc11_predict.json", "test1.0": "cluewsc10_predict.json"}),
    ),
    ClassificationTask(
        name="csl",
        about="are all of these the keywords of this abstract?",
        kind="pair",
        labels=("0", "1"),
        label_names={"0": "no", "1": "yes"},
        files=_files(),
        reader=JsonLines("keyword", "abst"),
        prompt=Prompt("{text_a}，这些{mask}是下文的关键词：{text_b}", {"0": "不", "1": "都"}),
        recipe=Recipe(256, 4, 1e-5, 5),
        published=_scores(74.56, 78.50, 80.30, 81.20, 83.63),
        submission=Submission({"test": "csl_predict.json"}),
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
        published=_scores(76.21, 89.66, 90.81, 92.09, 90.77),
        submission=Submission({"test": "cmrc2018_predict.json"}, format="json_object"),
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
        published=_scores(43.53, 71.77, 74.18, 80.57, 83.15),
        submission=Submission({"test": "chid11_predict.json", "test1.0": "chid10_predict.json"}, format="json_object"),
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
        published=_scores(50.26, 59.58, 64.41, 70.32, 73.28),
        submission=Submission({"test": "c311_predict.json", "test1.0": "c310_predict.json"}),
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
        files=_files(),
        recipe=Recipe(128, 16, 1e-4, 5, learning_rates=(5e-5, 1e-4, 2e-4)),
        submission=Submission({"test": "cluener_predict.json"}),
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
)
