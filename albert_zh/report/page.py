"""One self-contained page: scores beside trivial baselines, curves, confusions, the rows most worth reading.

Nothing is loaded from anywhere: no script, no style sheet, no font and no image. The charts are SVG written here; the
browser's own Chinese fonts show the text.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from albert_zh.files import atomic_writer
from albert_zh.report.charts import escaped, figures
from albert_zh.report.content import BaselineScore, HardRow, Report, Table, TaskReport, printed_score, verdict
from albert_zh.report.style import STYLE
from albert_zh.tasks import metrics

#: Labels a confusion matrix is drawn for; above, the most frequent confusions are listed instead.
MAX_MATRIX_LABELS = 24


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


def render_report(report: Report) -> str:
    """The page as text. Every string of ``report`` but ``masked_example`` is escaped."""
    ids = itertools.count(1)
    sections = [
        ("overview", "总览", "Overview", "".join(map(_data_table, report.overview))),
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
    return (
        '<!DOCTYPE html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(report.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{escaped(report.title)}</h1>"
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
        published = f"{tested[0].model} {printed_score(tested[0].test, task.metric)}" if tested else ""
        rows.append(
            [
                task.name,
                printed_score(task.dev.value, task.metric),
                "–".join(printed_score(end, task.metric).rstrip("%") for end in (task.dev.low, task.dev.high)),
                printed_score(task.test.value, task.metric) if task.test else "",
                _percent(task.macro_f1),
                *(_dev_and_test(baselines.get(name), task.metric) for name in names),
                published,
            ]
        )
    filled = [column for column in range(len(head)) if column < 2 or any(row[column] for row in rows)]
    table = _table([head[column] for column in filled], [[row[column] or "—" for column in filled] for row in rows])
    how = _how_to_read(
        "红条是本模型在开发集上的准确率（或所写的指标），横线是它的 95% 区间；灰条是不用模型的平凡基线，"
        "区间压到灰条，差别就可能出于偶然。蓝条是对比的另一次训练；空心条是已发表成绩，在完整数据集上测得，行不同，"
        "只供参照。模型由开发集选出，测试集从未参与选择。",
        "The red bar is this model's dev accuracy, or the score named, the line on it its 95% interval; grey "
        "bars are trivial rules without a model: where the interval reaches one, the lead may be chance. Blue is "
        "another run; hollow a published score, on the whole data set: other rows, for orientation only. The model was "
        "chosen on dev; test was never used to choose. Baselines in the table: dev / test.",
    )
    return f'<div class="cards">{cards}</div>{how}{table}'


def _score_card(task: TaskReport) -> str:
    level, chinese, english = verdict(task)
    bars = [("本模型 this model", task.dev.value, "model", (task.dev.low, task.dev.high))]
    bars += [(name, value, "other", None) for name, value in task.compared]
    bars += [(baseline.name, baseline.dev, "baseline", None) for baseline in task.baselines]
    for published in [row for row in task.published if row.test or row.dev][:2]:
        split, value = ("test", published.test) if published.test is not None else ("dev", published.dev)
        bars.append((f"{published.model}, {split}", value, "published", None))
    value = printed_score(task.dev.value, task.metric)
    unit = "%" * value.endswith("%")
    return (
        f'<article class="card"><h3>{escaped(task.name)}</h3><p class="about">{escaped(task.about)}</p>'
        f'<p class="big">{value.removesuffix("%")}<small>{unit} dev{_other_metric(task)}</small></p>'
        f'<p class="verdict {level}">{chinese}<span lang="en">{english}</span></p>'
        f'<div class="bars">{"".join(_bar(*bar, task.metric) for bar in bars)}</div></article>'
    )


def _other_metric(task: TaskReport) -> str:
    """The metric's name where it is not what the page calls accuracy."""
    return "" if task.metric == "accuracy" else f" {escaped(task.metric)}"


def _bar(name: str, value: float, kind: str, interval: tuple[float, float] | None, metric: str) -> str:
    whisker = ""
    if interval:
        low, high = (100 * edge for edge in interval)
        low = max(low, 0.0)  # a correlation may be below
        whisker = f'<i class="whisker" style="left:{low:.1f}%;width:{max(high - low, 0.3):.1f}%"></i>'
    return (
        f'<span class="name">{escaped(name)}</span><span class="track">'
        f'<i class="fill {kind}" style="width:{100 * max(value, 0.0):.1f}%"></i>{whisker}</span>'
        f'<span class="value">{printed_score(value, metric)}</span>'
    )


def _pretraining(report: Report, ids: Iterator[int]) -> str:
    parts = [figures(report.pretraining, ids)]
    if parts[0]:
        parts.append(
            _how_to_read(
                "虚线是不看上下文、只凭字频猜的成绩；损失降到虚线以下，才是从上下文里学到了东西。句序随机猜是 50%。",
                "The dashed line is guessing by frequency alone, context unseen: only a loss below it was learned from "
                "context. Guessing the order of two segments gives 50%.",
            )
        )
    if report.masked_example:
        legend = (
            '<p class="masked-example legend"><span class="mask">盖住 masked</span>'
            '<span class="random">随机替换 replaced at random</span><span class="kept">保留 kept</span>'
            "原字在上方 the original stands above</p>"
        )
        parts.append(
            f"<h3>掩码示例{_english('A masked example')}</h3>"
            f'<div class="example">{_checked_fragment(report.masked_example)}{legend}</div>'
        )
    return "".join(parts)


def _task(task: TaskReport, ids: Iterator[int]) -> str:
    parts = []
    about = [task.about] if task.about else []
    about += [f"{split} {count:,}" for split, count in task.rows]
    if about:
        parts.append(f'<p class="note">{escaped(" · ".join(about))}</p>')
    parts.append(figures(task.charts, ids))
    rules = [
        f"{row.name} {printed_score(row.dev, task.metric)}" + (f": {row.rule}" if row.rule else "")
        for row in task.baselines
    ]
    notes = "".join(f"<li>{escaped(note)}</li>" for note in (*rules, *task.notes))
    if notes:
        parts.append(f'<ul class="note">{notes}</ul>')
    if task.confusion is not None:
        parts.append(_confusion(task.labels, np.asarray(task.confusion)))
    if task.breakdown:
        head, *rows = task.breakdown
        parts.append(f"<h3>分项{_english('In parts, dev')}</h3>{_table(head, rows)}")
    sure = any(row.told.confidence is not None for row in task.mistakes)
    if task.mistakes or task.uncertain:
        pair = any(row.told.text_b is not None for row in (*task.mistakes, *task.uncertain))
        parts.append(
            _how_to_read(
                f"下面的句子：{'概率是模型给自己答案的概率，' if sure else ''}最右是文件与行号。"
                + ("下划线是两句不同之处。" if pair else ""),
                f"The rows below: {'p is what the model gives its own answer; ' if sure else ''}at the right, file "
                "and line." + (" What the two texts do not share is underlined." if pair else ""),
            )
        )
    if sure:
        parts.append(_hard_rows("最有把握的错误", "Most confident mistakes", task.mistakes))
    else:
        parts.append(_hard_rows("误差最大的行", "Largest errors", task.mistakes))
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
        told = row.told
        texts = [escaped(told.text_a)] if told.text_b is None else _marked_pair(told.text_a, told.text_b)
        wrong = told.gold is not None and told.gold != told.answer
        gold = "" if told.gold is None else f'<span class="gold">真实 gold <b>{escaped(told.gold)}</b></span>'
        items += (
            f'<li><div class="texts">{"".join(f"<p>{text}</p>" for text in texts)}</div>'
            f'<div class="labels">{gold}<span class="{"wrong" if wrong else "right"}">预测 predicted '
            f"<b>{escaped(told.answer)}</b></span>"
            f"{_probability(told.confidence)}"
            f'<span class="where">{escaped(row.where)}</span></div></li>'
        )
    return f'<h3>{chinese}{_english(english)}</h3><ol class="hard">{items}</ol>'


def _probability(share: float | None) -> str:
    if share is None:
        return ""
    return f'<span class="probability"><small>概率 p</small> {_percent(share)}</span>'


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


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}%"


def _dev_and_test(baseline: BaselineScore | None, metric: str) -> str:
    if baseline is None:
        return ""
    return " / ".join(printed_score(value, metric) for value in (baseline.dev, baseline.test) if value is not None)


def _how_to_read(chinese: str, english: str) -> str:
    return (
        f'<p class="note"><b>怎么读</b> {escaped(chinese)} <span lang="en"><b>How to read</b> '
        f"{escaped(english)}</span></p>"
    )


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
