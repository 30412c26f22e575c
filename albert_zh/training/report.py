"""One self-contained report.html of a run: scores beside trivial baselines, curves, confusions, the hardest rows.

Nothing is loaded from anywhere: no script, no style sheet, no font and no image. The charts are SVG written here; the
browser's own Chinese fonts show the text.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from albert_zh.files import atomic_writer
from albert_zh.tasks import metrics
from albert_zh.tasks.baselines import majority_baseline, overlap_baseline
from albert_zh.tasks.classification import ClassificationTask, hardest_rows
from albert_zh.tasks.task import Prediction, PublishedScore, Row
from albert_zh.training.charts import Chart, Curve, ReferenceLine, escaped, figures, pretraining_charts

__all__ = [
    "BaselineScore",
    "Chart",
    "Curve",
    "HardRow",
    "ReferenceLine",
    "Report",
    "Score",
    "Table",
    "TaskReport",
    "baseline_scores",
    "finetuning_charts",
    "pretraining_charts",
    "render_report",
    "task_report",
    "verdict",
    "write_report",
]

#: Labels a confusion matrix is drawn for; above, the most frequent confusions are listed instead.
MAX_MATRIX_LABELS = 24

# What goes in


@dataclass(frozen=True)
class Score:
    """A share from 0 to 1, its 95% interval, and the number of rows it was measured on."""

    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True)
class BaselineScore:
    """What a trivial rule scores, as a share; ``rule`` says in words what it does."""

    name: str
    dev: float
    test: float | None = None
    rule: str = ""


@dataclass(frozen=True)
class HardRow:
    """One row to read: its texts, gold label (None: unknown), answer, the answer's probability, and ``file:line``."""

    text_a: str
    text_b: str | None
    gold: str | None
    predicted: str
    probability: float
    where: str = ""


@dataclass(frozen=True)
class TaskReport:
    """Everything shown of one task.

    Attributes:
        name: the task's name.
        about: what it asks, one line.
        dev: score of the main metric on dev, by which the model was chosen.
        baselines: trivial rules; the verdict compares ``dev`` with the best of them.
        test: score on test, where the gold labels are known.
        macro_f1: mean F1 of the classes on dev, as a share.
        compared: (name, dev share) of other runs on the same rows, such as one from random weights.
        published: published scores.
        rows: (split, number of rows).
        charts: fine-tuning curves.
        labels: label names in the order of ``confusion``.
        confusion: counts on dev (C, C), gold down, predicted across.
        mistakes: the most confident mistakes on dev.
        uncertain: the least certain answers on dev.
        notes: further sentences.
    """

    name: str
    dev: Score
    baselines: tuple[BaselineScore, ...]
    about: str = ""
    test: Score | None = None
    macro_f1: float | None = None
    compared: tuple[tuple[str, float], ...] = ()
    published: tuple[PublishedScore, ...] = ()
    rows: tuple[tuple[str, int], ...] = ()
    charts: tuple[Chart, ...] = ()
    labels: tuple[str, ...] = ()
    confusion: np.ndarray | None = None
    mistakes: tuple[HardRow, ...] = ()
    uncertain: tuple[HardRow, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of counts: whole numbers get thousands separators, numbers are set flush right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]


@dataclass(frozen=True)
class Report:
    """The whole page.

    Attributes:
        title: the heading.
        facts: (name, value) of what was run: model, parameters, steps, device, seed, time.
        tasks: one entry a fine-tuned task.
        pretraining: charts of the pretraining, see ``pretraining_charts``.
        masked_example: an HTML fragment of one masked instance (``pretrain.inspect.masked_example_html``); plain
            elements and styles that load nothing.
        data: tables of counts.
        commands: (what it does, command line) that repeat the run.
        next_steps: (what it does, command line) worth typing next.
        summary: one or two sentences under the heading.
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    tasks: tuple[TaskReport, ...] = ()
    pretraining: tuple[Chart, ...] = ()
    masked_example: str = ""
    data: tuple[Table, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    next_steps: tuple[tuple[str, str], ...] = ()
    summary: str = ""


# Making the parts from a run


def finetuning_charts(
    train_loss: Curve, dev_accuracy: Curve, dev_loss: Curve | None = None, baselines: Sequence[BaselineScore] = ()
) -> tuple[Chart, ...]:
    """The two charts of a fine-tuning: loss, and dev accuracy with the baselines as lines and the kept model ringed."""
    lines = tuple(ReferenceLine(baseline.name, baseline.dev) for baseline in baselines)
    losses = (train_loss,) if dev_loss is None else (train_loss, dev_loss)
    return (
        Chart("损失 Loss", losses),
        Chart("开发集准确率 Dev accuracy", (dev_accuracy,), lines, percent=True, best_of=dev_accuracy.name),
    )


def baseline_scores(
    train: Sequence[Row], dev: Sequence[Row], test: Sequence[Row] | None = None
) -> tuple[BaselineScore, ...]:
    """Majority class and, for pairs, character overlap, on dev and on test where that has gold.

    The majority class counts as the most frequent label of the scored rows themselves, the strictest constant answer;
    the overlap threshold is chosen on train.
    """
    majority = majority_baseline(train, dev)
    scores = [
        BaselineScore(
            "多数类 majority class",
            majority.best_accuracy,
            None if test is None else majority_baseline(train, test).best_accuracy,
            "always the most frequent label",
        )
    ]
    if dev[0].text_b is not None:
        overlap = overlap_baseline(train, dev)
        scores.append(
            BaselineScore(
                "字符重合 character overlap",
                overlap.accuracy,
                None if test is None else overlap_baseline(train, test).accuracy,
                f"{overlap.label_from} from an overlap of {overlap.threshold:.2f} on, else {overlap.label_below}; the "
                f"threshold is the best of train (chosen on dev itself it would give {overlap.best_accuracy:.1%})",
            )
        )
    return tuple(scores)


def task_report(
    task: ClassificationTask,
    train: Sequence[Row],
    dev: Sequence[Row],
    dev_predictions: Sequence[Prediction],
    test: Sequence[Row] = (),
    test_predictions: Sequence[Prediction] = (),
    charts: tuple[Chart, ...] = (),
    compared: tuple[tuple[str, float], ...] = (),
    notes: tuple[str, ...] = (),
    hardest: int = 8,
) -> TaskReport:
    """The report of a classification task from its rows and predictions; test is scored where every row has gold."""
    test_has_gold = bool(test) and len(test_predictions) == len(test) and all(row.label is not None for row in test)
    scores = task.score(dev_predictions, dev)
    mistakes, uncertain = hardest_rows(dev, dev_predictions, hardest)

    def hard(place: int) -> HardRow:
        row, prediction = dev[place], dev_predictions[place]
        return HardRow(
            row.text_a,
            row.text_b,
            None if row.label is None else task.name_of(row.label),
            task.name_of(prediction.label),
            prediction.confidence,
            f"{Path(row.where).name}",
        )

    return TaskReport(
        name=task.name,
        about=task.about,
        dev=_score(scores),
        baselines=baseline_scores(train, dev, test if test_has_gold else None),
        test=_score(task.score(test_predictions, test)) if test_has_gold else None,
        macro_f1=scores["macro_f1"],
        compared=compared,
        published=task.published,
        rows=(("train", len(train)), ("dev", len(dev)), *([("test", len(test))] if test else [])),
        charts=charts,
        labels=tuple(task.name_of(label) for label in task.labels),
        confusion=task.confusion(dev_predictions, dev),
        mistakes=tuple(hard(place) for place in mistakes),
        uncertain=tuple(hard(place) for place in uncertain),
        notes=notes,
    )


def _score(scores: dict[str, float]) -> Score:
    return Score(scores["accuracy"], scores["accuracy_low"], scores["accuracy_high"], int(scores["rows"]))


def verdict(task: TaskReport) -> tuple[str, str, str]:
    """(level, Chinese, English): is the dev score above the best trivial baseline, beyond its 95% interval?"""
    best = max((baseline.dev for baseline in task.baselines), default=0.0)
    if task.dev.low > best:
        return "good", "明显高于平凡基线", "clearly above the trivial baselines"
    if task.dev.value > best:
        return "unsure", "略高于平凡基线，可能出于偶然", "above the trivial baselines, but perhaps by chance"
    return "bad", "未高于平凡基线", "not above the trivial baselines"


def write_report(path: str | os.PathLike[str], report: Report) -> Path:
    """Writes the page, atomically, and returns its path.

    Raises:
        InputError: the folder cannot be written.
        ValueError: ``masked_example`` holds a script or would load something.
    """
    page = render_report(report)
    with atomic_writer(path) as stream:
        stream.write(page)
    return Path(path)


# The page


def render_report(report: Report) -> str:
    """The page as text. Every string of ``report`` but ``masked_example`` is escaped."""
    ids = itertools.count(1)
    sections = [
        ("scores", "成绩", "Scores", _scores(report.tasks)),
        ("pretraining", "预训练", "Pretraining", _pretraining(report, ids)),
        *((f"task-{n}", task.name, "", _task(task, ids)) for n, task in enumerate(report.tasks, 1)),
        ("data", "数据", "Data", "".join(map(_data_table, report.data))),
        ("commands", "复现", "Reproduce", _commands(report.commands)),
        ("next", "下一步", "Next steps", _commands(report.next_steps)),
    ]
    sections = [section for section in sections if section[3]]
    links = "".join(f'<a href="#{anchor}">{escaped(chinese)}</a>' for anchor, chinese, _, _ in sections)
    body = "".join(
        f'<section id="{anchor}"><h2>{escaped(chinese)}{_english(english)}</h2>{content}</section>\n'
        for anchor, chinese, english, content in sections
    )
    facts = "".join(f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in report.facts)
    summary = f'<p class="lead">{escaped(report.summary)}</p>' if report.summary else ""
    return (
        '<!DOCTYPE html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(report.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{escaped(report.title)}</h1>{summary}"
        f"{f'<dl class=facts>{facts}</dl>' if facts else ''}<nav>{links}</nav></header>\n"
        f"<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _scores(tasks: Sequence[TaskReport]) -> str:
    if not tasks:
        return ""
    cards = "".join(map(_score_card, tasks))
    # A column is shown when at least one task fills it; the names of the baselines are the columns' names.
    names = list(dict.fromkeys(baseline.name for task in tasks for baseline in task.baselines))
    head = ["任务 task", "dev", "95%", "test", "macro-F1", *names, "已发表 published (test)"]
    rows = []
    for task in tasks:
        baselines = {baseline.name: baseline for baseline in task.baselines}
        tested = [row for row in task.published if row.test is not None]
        published = f"{tested[0].model} {_percent(tested[0].test)}" if tested else ""
        rows.append(
            [
                task.name,
                _percent(task.dev.value),
                f"{task.dev.low * 100:.1f}–{task.dev.high * 100:.1f}",
                _percent(task.test and task.test.value),
                _percent(task.macro_f1),
                *(_dev_and_test(baselines.get(name)) for name in names),
                published,
            ]
        )
    filled = [column for column in range(len(head)) if column < 2 or any(row[column] for row in rows)]
    table = _table([head[column] for column in filled], [[row[column] or "—" for column in filled] for row in rows])
    legend = (
        '<p class="note">准确率；区间为自助法 95%；基线为 dev / test。'
        '<span lang="en">Accuracy; 95% bootstrap intervals; baselines are dev / test. '
        "The model was chosen on dev; test was never used to choose.</span></p>"
    )
    return f'<div class="cards">{cards}</div>{table}{legend}'


def _score_card(task: TaskReport) -> str:
    level, chinese, english = verdict(task)
    bars = [("本模型 this model", task.dev.value, "model", (task.dev.low, task.dev.high))]
    bars += [(name, value, "other", None) for name, value in task.compared]
    bars += [(baseline.name, baseline.dev, "baseline", None) for baseline in task.baselines]
    for published in [row for row in task.published if row.test or row.dev][:2]:
        split, value = ("test", published.test) if published.test is not None else ("dev", published.dev)
        bars.append((f"{published.model}, {split}", value, "published", None))
    return (
        f'<article class="card"><h3>{escaped(task.name)}</h3><p class="about">{escaped(task.about)}</p>'
        f'<p class="big">{task.dev.value * 100:.1f}<small>% dev</small></p>'
        f'<p class="verdict {level}">{chinese}<span lang="en">{english}</span></p>'
        f'<div class="bars">{"".join(_bar(*bar) for bar in bars)}</div></article>'
    )


def _bar(name: str, value: float, kind: str, interval: tuple[float, float] | None) -> str:
    whisker = ""
    if interval:
        low, high = (100 * edge for edge in interval)
        whisker = f'<i class="whisker" style="left:{low:.1f}%;width:{max(high - low, 0.3):.1f}%"></i>'
    return (
        f'<span class="name">{escaped(name)}</span><span class="track">'
        f'<i class="fill {kind}" style="width:{100 * value:.1f}%"></i>{whisker}</span>'
        f'<span class="value">{_percent(value)}</span>'
    )


def _pretraining(report: Report, ids: Iterator[int]) -> str:
    charts = figures(report.pretraining, ids)
    if report.masked_example:
        legend = (
            '<p class="masked-example legend"><span class="mask">盖住 masked</span>'
            '<span class="random">随机替换 replaced at random</span><span class="kept">保留 kept</span>'
            "原字在上方 the original stands above</p>"
        )
        charts += (
            f"<h3>掩码示例{_english('A masked example')}</h3>"
            f'<div class="example">{_checked_fragment(report.masked_example)}{legend}</div>'
        )
    return charts


def _task(task: TaskReport, ids: Iterator[int]) -> str:
    parts = []
    about = [task.about] if task.about else []
    about += [f"{split} {count:,}" for split, count in task.rows]
    if about:
        parts.append(f'<p class="note">{escaped(" · ".join(about))}</p>')
    parts.append(figures(task.charts, ids))
    rules = [f"{row.name} {_percent(row.dev)}" + (f": {row.rule}" if row.rule else "") for row in task.baselines]
    notes = "".join(f"<li>{escaped(note)}</li>" for note in (*rules, *task.notes))
    if notes:
        parts.append(f'<ul class="note">{notes}</ul>')
    if task.confusion is not None:
        parts.append(_confusion(task.labels, np.asarray(task.confusion)))
    parts.append(_hard_rows("最有把握的错误", "Most confident mistakes", task.mistakes))
    parts.append(_hard_rows("最没把握的回答", "Least certain answers", task.uncertain))
    return "".join(parts)


def _confusion(labels: Sequence[str], confusion: np.ndarray) -> str:
    heading = f"<h3>混淆矩阵{_english('Confusion matrix, dev')}</h3>"
    scores = metrics.class_scores(confusion)
    if len(labels) > MAX_MATRIX_LABELS:
        off = confusion - np.diag(np.diag(confusion))
        worst = [place for place in np.argsort(-off, axis=None, kind="stable")[:15] if off.flat[place]]
        rows = []
        for place in worst:
            gold, answer = divmod(int(place), len(labels))
            rows.append([labels[gold], labels[answer], f"{off[gold, answer]:,}", f"{scores.support[gold]:,}"])
        return heading + _table(
            ["真实 gold", "预测 predicted", "次数 count", "真实共有 gold rows"], rows, text_columns=2
        )
    short = [label.split(" ", 1)[0] for label in labels] if len(labels) > 4 else list(labels)
    head = "".join(f'<th scope="col">{escaped(label)}</th>' for label in short)
    body = ""
    for row, label in enumerate(labels):
        cells = ""
        for column in range(len(labels)):
            count = int(confusion[row, column])
            share = count / max(1, int(scores.support[row]))
            kind = "hit" if row == column else "miss"
            dark = " dark" if share > 0.75 else "" if count else " zero"
            cells += (
                f'<td class="{kind}{dark}" style="--share:{100 * share:.0f}%" title="{escaped(label)} → '
                f'{escaped(labels[column])}: {count}">{count if count else "·"}</td>'
            )
        shares = (scores.recall[row], scores.precision[row], scores.f1[row])
        sides = "".join(f'<td class="side">{_percent(share)}</td>' for share in shares)
        body += f'<tr><th scope="row">{escaped(label)}</th>{cells}{sides}</tr>'
    return (
        f'{heading}<div class="scroll"><table class="heat"><thead><tr><th scope="col" class="corner">真实 gold ↓ '
        f'预测 predicted →</th>{head}<th scope="col" class="side">召回 recall</th><th scope="col" class="side">精确 '
        f'precision</th><th scope="col" class="side">F1</th></tr></thead><tbody>{body}</tbody></table></div>'
    )


def _hard_rows(chinese: str, english: str, rows: Sequence[HardRow]) -> str:
    if not rows:
        return ""
    items = ""
    for row in rows:
        texts = [escaped(row.text_a)] if row.text_b is None else _marked_pair(row.text_a, row.text_b)
        wrong = row.gold is not None and row.gold != row.predicted
        gold = "" if row.gold is None else f'<span class="gold">真实 gold <b>{escaped(row.gold)}</b></span>'
        items += (
            f'<li><div class="texts">{"".join(f"<p>{text}</p>" for text in texts)}</div>'
            f'<div class="labels">{gold}<span class="{"wrong" if wrong else "right"}">预测 predicted '
            f"<b>{escaped(row.predicted)}</b></span>"
            f'<span class="probability"><small>概率 p</small> {_percent(row.probability)}</span>'
            f'<span class="where">{escaped(row.where)}</span></div></li>'
        )
    return f'<h3>{chinese}{_english(english)}</h3><ol class="hard">{items}</ol>'


def _marked_pair(first: str, second: str) -> list[str]:
    """Both texts as HTML, the stretches that the other lacks underlined."""
    marked: list[list[str]] = [[], []]
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for kind, start_a, end_a, start_b, end_b in matcher.get_opcodes():
        for side, piece in enumerate((first[start_a:end_a], second[start_b:end_b])):
            if piece:
                marked[side].append(escaped(piece) if kind == "equal" else f"<u>{escaped(piece)}</u>")
    return ["".join(side) for side in marked]


def _data_table(table: Table) -> str:
    rows = [[f"{cell:,}" if isinstance(cell, int | float) else cell for cell in row] for row in table.rows]
    numbers = [place for place, cell in enumerate(table.rows[0]) if isinstance(cell, int | float)] if rows else []
    text_columns = min(numbers, default=len(table.header))
    return f"<h3>{escaped(table.title)}</h3>{_table(table.header, rows, text_columns)}"


def _commands(commands: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f"<li>{escaped(what)}{f'<pre><code>{escaped(line)}</code></pre>' if line else ''}</li>"
        for what, line in commands
    )
    return f'<ul class="commands">{items}</ul>' if items else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    """A table whose first ``text_columns`` columns are text and the others numbers."""
    kinds = ["" if column < text_columns else ' class="number"' for column in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{escaped(cell)}</th>' for kind, cell in zip(kinds, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escaped(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


# Text


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}%"


def _dev_and_test(baseline: BaselineScore | None) -> str:
    if baseline is None:
        return ""
    return _percent(baseline.dev) + ("" if baseline.test is None else f" / {_percent(baseline.test)}")


def _english(words: str) -> str:
    return f' <span lang="en">{escaped(words)}</span>' if words else ""


#: What in a style can load a file, or hide that it does.
_LOADS = re.compile(r"url\(|@import|\\", re.IGNORECASE)


class _FragmentCheck(HTMLParser):
    """Finds whatever in a fragment runs, loads or links."""

    tags = frozenset(
        "b br caption code dd div dl dt em i li mark ol p pre rb rp rt ruby s section small span strong sub style "
        "sup table tbody td th thead tr u ul wbr h3 h4 h5 h6".split()
    )
    attributes = frozenset("class style title lang colspan rowspan scope role aria-label aria-hidden id".split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.tags:
            raise ValueError(f"masked_example: <{tag}> is not allowed in the report; give plain elements and styles.")
        for name, value in attrs:
            if name not in self.attributes or (name == "style" and _LOADS.search(value or "")):
                raise ValueError(f"masked_example: {name}={value!r} is not allowed in the report.")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style" and _LOADS.search(data):
            raise ValueError("masked_example: its style would load something, which the report does not.")


def _checked_fragment(fragment: str) -> str:
    check = _FragmentCheck()
    check.feed(fragment)
    check.close()
    return fragment


_STYLE = """
:root {
  color-scheme: light dark; --paper: #faf8f3; --card: #fffefb; --ink: #1d1b18; --soft: #686157;
  --rule: #e4ded2; --grid: #ece7dc; --c0: #3c6e91; --c1: #b8392a; --c2: #8a6d1f; --c3: #5c7a3f;
  --base: #a8a091; --good: #2c7a4b; --unsure: #9a6b00; --bad: #b8392a;
  --sans: "Noto Sans CJK SC","Source Han Sans SC","PingFang SC","Microsoft YaHei","WenQuanYi Zen Hei",sans-serif;
  --serif: "Noto Serif CJK SC","Source Han Serif SC","Songti SC","SimSun",serif;
  --mono: ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono","Noto Sans Mono CJK SC",monospace;
}
@media (prefers-color-scheme:dark) {
  :root {
    --paper: #151412; --card: #1e1c19; --ink: #ebe6db; --soft: #a59d8f; --rule: #37332c; --grid: #2b2823;
    --c0: #7fb2d6; --c1: #ec7864; --c2: #d4b45a; --c3: #9dc07a; --base: #7d766a; --good: #6cc48f;
    --unsure: #dcae4e; --bad: #ec7864;
  }
}
@media (prefers-color-scheme:dark) {
  .example .masked-example .mask { background: #5e211c; color: #ffd2cb }
  .example .masked-example .random { background: #54430f }
  .example .masked-example .kept { background: #1f4a2b }
}
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth }
body {
  margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.65 var(--sans);
  font-variant-numeric: tabular-nums;
}
header,main { max-width: 1120px; margin: 0 auto; padding: 0 clamp(16px,4vw,40px) }
header { padding-top: clamp(28px,5vw,56px) }
h1 { font: 700 clamp(26px,4.2vw,38px)/1.25 var(--serif); margin: 0 0 10px; text-wrap: balance }
h2 {
  font: 700 23px/1.3 var(--serif); margin: 56px 0 18px; padding-top: 14px; border-top: 2px solid var(--ink);
  overflow-wrap: anywhere;
}
h3 { font-size: 16px; line-height: 1.4; margin: 32px 0 10px }
h2 [lang=en],h3 [lang=en] { font: 400 .72em var(--sans); color: var(--soft); margin-left: .45em }
.lead { font-size: 17px; max-width: 46em; margin: 0 0 22px; color: var(--soft) }
dl.facts {
  display: flex; flex-wrap: wrap; gap: 1px; margin: 22px 0; background: var(--rule); border: 1px solid var(--rule);
  border-radius: 8px; overflow: hidden;
}
dl.facts div { flex: 1 1 200px; background: var(--card); padding: 10px 14px }
dt { font-size: 12px; color: var(--soft) }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere }
nav { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 6px 0 -18px }
nav a { color: var(--soft); text-decoration: none; border-bottom: 1px solid var(--rule) }
nav a:hover,nav a:focus-visible { color: var(--c1); border-color: currentColor }
.note { color: var(--soft); font-size: 13px; margin: 10px 0 }
ul.note { padding-left: 1.3em }
.note [lang=en] { margin-left: .3em }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit,minmax(min(100%,420px),1fr)); gap: 18px;
  margin-bottom: 24px;
}
.card,figure,.example { background: var(--card); border: 1px solid var(--rule); border-radius: 10px }
.card { padding: 20px 22px }
.card h3 { margin: 0; font-size: 17px }
.about { margin: 0; color: var(--soft); font-size: 13px }
.big { font: 700 46px/1.1 var(--serif); margin: 12px 0 4px }
.big small { font: 400 15px var(--sans); color: var(--soft); margin-left: 4px }
.verdict { margin: 0 0 14px; font-weight: 600 }
.verdict::before {
  content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 50%; background: currentColor;
  margin-right: 8px;
}
.verdict [lang=en] { font-weight: 400; margin-left: .6em; font-size: 13px; display: inline-block }
.good { color: var(--good) }
.unsure { color: var(--unsure) }
.bad { color: var(--bad) }
.bars {
  display: grid; grid-template-columns: minmax(0,max-content) 1fr max-content; gap: 7px 12px;
  align-items: center; font-size: 13px;
}
.bars .value { text-align: right }
.track { position: relative; height: 10px; background: var(--grid); border-radius: 2px }
.track i { position: absolute; display: block }
.fill { left: 0; top: 0; bottom: 0; border-radius: 2px; background: var(--base) }
.fill.model { background: var(--c1) }
.fill.other { background: var(--c0) }
.fill.published { background: none; border: 1px solid var(--base) }
.whisker { top: 4px; height: 2px; background: var(--ink) }
.whisker::before,.whisker::after {
  content: ""; position: absolute; top: -3px; width: 2px; height: 8px; background: inherit;
}
.whisker::before { left: 0 }
.whisker::after { right: 0 }
.charts {
  display: grid; grid-template-columns: repeat(auto-fit,minmax(min(100%,400px),1fr)); gap: 18px;
  margin: 14px 0;
}
figure { margin: 0; padding: 14px 16px 10px; min-width: 0 }
figcaption {
  display: flex; flex-wrap: wrap; gap: 2px 16px; align-items: baseline; margin-bottom: 6px; font-size: 13px;
}
figcaption .title { font-weight: 600; font-size: 14px; margin-right: auto }
.key { color: var(--soft) }
.key b { color: var(--ink); font-weight: 600 }
.key::before {
  content: ""; display: inline-block; width: 14px; height: 3px; border-radius: 2px; vertical-align: middle;
  margin-right: 6px; background: var(--c);
}
svg { display: block; width: 100%; height: auto; font-family: var(--sans) }
.c0 { --c: var(--c0) }
.c1 { --c: var(--c1) }
.c2 { --c: var(--c2) }
.c3 { --c: var(--c3) }
.grid { stroke: var(--grid) }
.tick { fill: var(--soft); font-size: 12px }
.line { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round }
.dot { fill: var(--c) }
.ring { fill: none; stroke: var(--c); stroke-width: 1.5 }
.reference { stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 5 4 }
.halo {
  fill: var(--soft); font-size: 12px; paint-order: stroke; stroke: var(--card); stroke-width: 4px;
  stroke-linejoin: round;
}
.example { padding: 6px 20px; overflow-x: auto; font-size: 16px; line-height: 2 }
.example .masked-example { color: var(--ink); font-family: var(--sans) }
.example .masked-example .facts, .example .masked-example .special { color: var(--soft) }
.example .masked-example rt { color: var(--ink) }
.example .masked-example .word { border-bottom-color: var(--rule) }
.example .legend {
  font-size: 13px; line-height: 1.9; border-top: 1px solid var(--rule); padding-top: 8px; margin: 0 0 4px;
}
.example .legend span {
  padding: 1px 6px; margin-right: 10px; border-radius: 3px; font-size: 13px; white-space: nowrap; display: inline-block;
}
.scroll { overflow-x: auto; margin: 8px 0 }
table { border-collapse: collapse; font-size: 14px; min-width: min(100%,360px) }
th,td { padding: 7px 14px 7px 0; text-align: left; border-bottom: 1px solid var(--rule); vertical-align: top }
thead th {
  font-size: 12px; font-weight: 500; color: var(--soft); border-bottom: 1px solid var(--ink);
  vertical-align: bottom;
}
.number { text-align: right; padding: 7px 0 7px 18px; white-space: nowrap }
thead .number { white-space: normal }
#scores table { width: 100% }
#scores td:first-child { font-weight: 600 }
.heat { border-collapse: separate; border-spacing: 2px }
.heat th,.heat td { border: 0; padding: 5px 8px; text-align: center; white-space: nowrap }
.heat tbody th { text-align: right; font-weight: 500; font-size: 13px; padding-left: 0 }
.heat .corner { text-align: right; font-weight: 400 }
.heat td { min-width: 38px; border-radius: 3px; background: var(--grid) }
.heat .hit { background: color-mix(in srgb,var(--c0) var(--share),var(--grid)) }
.heat .miss { background: color-mix(in srgb,var(--c1) var(--share),var(--grid)) }
.heat .zero { color: var(--base) }
.heat .dark { color: var(--card); font-weight: 600 }
.heat .side { background: none; color: var(--soft); font-size: 13px; text-align: right; padding-left: 12px }
.hard { list-style: none; margin: 0; padding: 0 }
.hard li {
  display: grid; grid-template-columns: minmax(0,1fr) 350px; gap: 4px 28px; padding: 10px 0;
  border-bottom: 1px solid var(--rule);
}
.hard li:first-child { border-top: 1px solid var(--ink) }
.texts p {
  margin: 0; overflow-wrap: anywhere; display: -webkit-box; -webkit-line-clamp: 4;
  -webkit-box-orient: vertical; overflow: hidden;
}
u { text-decoration-color: var(--c1); text-decoration-thickness: 2px; text-underline-offset: 4px }
.labels {
  display: grid; grid-template-columns: 1fr auto; gap: 0 16px; font-size: 13px; color: var(--soft);
  align-content: start;
}
.labels b { color: var(--ink); font-weight: 600 }
.labels .gold { grid-column: 1 }
.labels .wrong b { color: var(--bad) }
.labels .right b { color: var(--good) }
.labels .wrong,.labels .right { grid-column: 1 }
.probability { grid-column: 2; grid-row: 1; text-align: right; font-weight: 600; color: var(--ink) }
.probability small { font-weight: 400; color: var(--soft) }
.where { grid-column: 2; grid-row: 2; text-align: right; font-size: 12px }
.commands { list-style: none; padding: 0; margin: 0 }
.commands li { margin: 0 0 12px }
pre {
  margin: 4px 0 0; padding: 10px 14px; background: var(--card); border: 1px solid var(--rule);
  border-radius: 6px; overflow-x: auto;
}
code { font: 13px/1.6 var(--mono) }
main { padding-bottom: 80px }
@media (max-width:620px) {
  dl.facts div { flex-basis: 140px }
  .hard li { grid-template-columns: minmax(0,1fr) }
  .tick,.halo { font-size: 16px }
  .axis { display: none }
  figcaption .title { flex-basis: 100% }
  .bars { grid-template-columns: minmax(0,1fr) max-content; grid-auto-flow: row dense; gap: 3px 12px }
  .bars .track { grid-column: 1/-1; margin-bottom: 7px }
  .bars .value { grid-column: 2 }
}
@media print {
  .card,figure,.hard li,tr { break-inside: avoid }
  nav { display: none }
}
"""
