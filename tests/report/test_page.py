"""The report stands alone: no script, nothing loaded, every text escaped, every score beside its baselines."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from albert_zh.report.charts import Curve
from albert_zh.report.content import (
    BaselineScore,
    HardRow,
    Report,
    Score,
    Table,
    TaskReport,
    finetuning_charts,
    pretraining_charts,
)
from albert_zh.report.page import render_report, write_report
from albert_zh.tasks import PublishedScore
from albert_zh.tasks.task import Told

EVIL = '<script src="https://evil.example/x.js">alert(1)</script>'
VOID = {"meta", "br", "wbr"}


def topic(**changes):
    values = {
        "name": "topic",
        "about": "新闻标题",
        "dev": Score(0.823, 0.78, 0.86, 150),
        "test": Score(0.811, 0.77, 0.85, 150),
        "macro_f1": 0.807,
        "baselines": (BaselineScore("多数类 majority class", 0.113, 0.107, "always the most frequent"),),
        "compared": (("随机权重 random weights", 0.402),),
        "published": (PublishedScore("ALBERT-tiny", test=0.534),),
        "rows": (("train", 1200), ("dev", 150)),
        "charts": finetuning_charts(
            Curve("train", (1, 2, 3), (2.7, 1.9, 1.2)),
            Curve("dev", (2, 3), (0.6, 0.823), dev=True),
            baselines=(BaselineScore("majority", 0.113),),
        ),
        "labels": ("100 story", "101 <culture>", "102 & more"),
        "confusion": np.array([[9, 1, 0], [2, 7, 1], [0, 3, 27]]),
        "mistakes": (HardRow(Told(f"上联：{EVIL}", None, "100 story", "101 <culture>", 0.987), "dev.json:17"),),
        "uncertain": (HardRow(Told("花呗怎么开", "怎么关花呗", "1", "0", 0.501), "dev.txt:3"),),
        "notes": (f"note {EVIL}",),
    }
    return TaskReport(**(values | changes))


def whole_report(**changes):
    values = {
        "title": f"训练报告 {EVIL}",
        "facts": (("模型 Model", "tiny"), ("种子 Seed", f"7 {EVIL}")),
        "tasks": (topic(), topic(name=EVIL)),
        "pretraining": pretraining_charts(masked_lm_loss=(Curve("train", (1, 2), (9.5, 7.25)),), unigram_loss=6.6),
        "masked_example": '<style>.mask{color:red}</style><p><ruby class="mask">[MASK]<rt>生</rt></ruby><wbr>命</p>',
        "data": (Table(f"数据 {EVIL}", ("项目", EVIL), (("文档", 12345), (EVIL, 0.5))),),
        "commands": ((f"再来 {EVIL}", f"bash quickstart.sh {EVIL}"),),
        "next_steps": (("预测", "albert-zh predict"),),
    }
    return Report(**(values | changes))


class Page(HTMLParser):
    """Remembers tags, attributes and text, and that every tag is closed in order."""

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


def test_the_page_loads_nothing_and_runs_nothing():
    source = render_report(whole_report())
    page = Page(source)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "use", "image"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "srcset", "xlink:href", "action"}
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    styles = " ".join(re.findall(r"<style>.*?</style>", source, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_every_text_is_escaped_and_shown_as_written():
    source = render_report(whole_report())
    assert "<script" not in source
    assert Page(source).text.count(EVIL) >= 10


def test_every_svg_is_well_formed():
    found = re.findall(r"<svg.*?</svg>", render_report(whole_report()), re.DOTALL)
    assert len(found) == 5
    titles = [ElementTree.fromstring(svg).find("title").get("id") for svg in found]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    "shown",
    [
        "82.3%",
        "78.0–86.0",
        "81.1%",
        "80.7%",
        "11.3% / 10.7%",
        "40.2%",
        "53.4%",
        "98.7%",
        "50.1%",
        "12,345",
        "dev.json:17",
        "随机权重 random weights",
        "多数类 majority class",
        "明显高于平凡基线",
        "clearly above",
        "6.600",
        "albert-zh predict",
    ],
)
def test_scores_stand_beside_their_baselines(shown):
    assert shown in Page(render_report(whole_report())).text


def test_a_correlation_is_a_number_and_no_percentage():
    cola = topic(
        dev=Score(0.4567, -0.0123, 0.6, 100),
        test=Score(0.4321, 0.3, 0.5, 100),
        baselines=(BaselineScore("多数类 majority class", 0.0, 0.0, "always the most frequent"),),
        compared=(("随机权重 random weights", 0.1111),),
        published=(PublishedScore("ALBERT-xxlarge", dev=0.714),),
        macro_f1=None,
        confusion=None,
        metric="matthews",
    )
    source = render_report(whole_report(tasks=(cola,), pretraining=()))
    text = Page(source).text
    for shown in ("0.457", "-0.012–0.600", "0.432", "0.000 / 0.000", "0.111", "0.714", "0.457 dev matthews"):
        assert shown in text
    scores = source[source.index('<section id="scores">') : source.index('<section id="task-1">')]
    assert "%" not in re.sub(r"<[^>]*>|95%", "", scores)


def test_the_verdict_stands_with_the_score():
    unsure = topic(dev=Score(0.7, 0.64, 0.76, 200), baselines=(BaselineScore("b", 0.65),))
    assert "perhaps by chance" in render_report(whole_report(tasks=(unsure,)))


def test_another_run_has_a_bar_beside_the_model_and_the_baselines():
    card = re.search(r'<article class="card">.*?</article>', render_report(whole_report()), re.DOTALL).group()
    bars = re.findall(r'<span class="name">(.*?)</span>.*?<i class="fill (\w+)" style="width:([\d.]+)%">', card)
    assert bars[:3] == [
        ("本模型 this model", "model", "82.3"),
        ("随机权重 random weights", "other", "40.2"),
        ("多数类 majority class", "baseline", "11.3"),
    ]


def test_every_kind_of_figure_says_how_to_read_it():
    assert Page(render_report(whole_report(tasks=(topic(),)))).text.count("怎么读") == 3
    assert "怎么读" not in render_report(Report(title="空"))


def test_the_confusion_matrix_shows_every_count_beside_recall_precision_and_f1():
    heat = re.search(r'<table class="heat">.*?</table>', render_report(whole_report()), re.DOTALL).group()
    cells = re.findall(r"<td[^>]*>(.*?)</td>", heat)
    assert cells[:6] == ["9", "1", "·", "90.0%", "81.8%", "85.7%"]
    assert "101 &lt;culture&gt; → 100 story: 2" in heat


def test_many_classes_are_shown_by_their_most_frequent_confusions():
    confusion = np.eye(119, dtype=int) * 5
    confusion[3, 7] = 4
    labels = tuple(f"label{n}" for n in range(119))
    source = render_report(whole_report(tasks=(topic(labels=labels, confusion=confusion),)))
    assert 'class="heat"' not in source
    assert re.search(r"<td>label3</td><td>label7</td><td class=\"number\">4</td><td class=\"number\">9</td>", source)
    assert "label50" not in source


def test_what_a_pair_does_not_share_is_underlined():
    source = render_report(whole_report())
    marked = re.findall(r'<div class="texts">(.*?)</div>', source)
    pair = next(texts for texts in marked if "<u>" in texts)
    assert re.sub(r"<.*?>", "", pair) == "花呗怎么开怎么关花呗"


def test_an_empty_report_is_a_page():
    page = Page(render_report(Report(title="空")))
    assert "空" in page.text
    assert "section" not in page.tags


def test_a_task_without_curves_or_texts_is_a_page():
    bare = TaskReport("bare", Score(0.5, 0.4, 0.6, 10), (BaselineScore("a", 0.5),))
    assert "50.0" in Page(render_report(Report("t", tasks=(bare,)))).text


@pytest.mark.parametrize(
    "fragment",
    [
        EVIL,
        '<img src="x.png">',
        '<span onclick="x()">',
        '<p style="background:url(http://x)">',
        "<style>@import 'x'</style>",
        "<style>p{background:URL(x)}</style>",
        '<a href="http://x">',
    ],
)
def test_a_masked_example_that_would_run_or_load_is_refused(tmp_path, fragment):
    with pytest.raises(ValueError, match="masked_example"):
        write_report(tmp_path / "report.html", whole_report(masked_example=fragment))
    assert not list(tmp_path.iterdir())


def test_the_file_is_utf8_and_stays_small_for_long_curves(tmp_path):
    steps = np.arange(100_000)
    loss = pretraining_charts(masked_lm_loss=(Curve("train", steps, 10 / (1 + steps)),))
    path = write_report(tmp_path / "report.html", whole_report(pretraining=loss))
    assert path == tmp_path / "report.html"
    assert "训练报告" in path.read_text(encoding="utf-8")
    assert path.stat().st_size < 100_000
