"""What the report shows, as data, and how a run's rows, predictions and curves become it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from albert_zh.report.charts import Chart, Curve, ReferenceLine
from albert_zh.tasks.baselines import level
from albert_zh.tasks.classification import ClassificationTask
from albert_zh.tasks.metrics import CORRELATIONS
from albert_zh.tasks.regression import RegressionTask
from albert_zh.tasks.task import PublishedScore, Task, Told


@dataclass(frozen=True)
class Score:
    """A share from 0 to 1 (a correlation from -1), its 95% interval, and the number of rows it was measured on."""

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
    """One row to read, and where it stands: ``file:line``."""

    told: Told
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
        breakdown: the dev scores in parts: a head and its rows.
        mistakes: the most confident mistakes on dev, or of numbers the largest errors.
        uncertain: the least certain answers on dev.
        notes: further sentences.
        metric: the main metric.
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
    breakdown: tuple[tuple[str, ...], ...] = ()
    mistakes: tuple[HardRow, ...] = ()
    uncertain: tuple[HardRow, ...] = ()
    notes: tuple[str, ...] = ()
    metric: str = "accuracy"


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
        overview: tables over all tasks.
        facts: (name, value) of what was run: model, parameters, steps, device, seed, time.
        tasks: one entry a fine-tuned task.
        pretraining: charts of the pretraining, see ``pretraining_charts``.
        masked_example: an HTML fragment of one masked instance (``pretrain.inspect.masked_example_html``); plain
            elements and styles that load nothing.
        data: tables of counts.
        commands: (what it does, command line) that repeat the run.
        next_steps: (what it does, command line) worth typing next.
    """

    title: str
    overview: tuple[Table, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tasks: tuple[TaskReport, ...] = ()
    pretraining: tuple[Chart, ...] = ()
    masked_example: str = ""
    data: tuple[Table, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    next_steps: tuple[tuple[str, str], ...] = ()


# Making the parts from a run


def pretraining_charts(
    masked_lm_loss: Sequence[Curve] = (),
    masked_lm_accuracy: Sequence[Curve] = (),
    sentence_order_accuracy: Sequence[Curve] = (),
    unigram_loss: float | None = None,
    unigram_accuracy: float | None = None,
) -> tuple[Chart, ...]:
    """The charts of a pretraining, those without a curve left out; each sequence is train and dev.

    ``unigram_loss`` (nats a token) and ``unigram_accuracy`` (a share) are what guessing by frequency alone, without
    the context, gives on dev.
    """

    def by_frequency(value: float | None) -> tuple[ReferenceLine, ...]:
        return () if value is None else (ReferenceLine("只凭字频 frequency alone", value),)

    charts = (
        Chart("掩码损失 Masked-LM loss", tuple(masked_lm_loss), by_frequency(unigram_loss)),
        Chart("掩码准确率 Masked-LM accuracy", tuple(masked_lm_accuracy), by_frequency(unigram_accuracy), percent=True),
        Chart(
            "句序准确率 Sentence-order accuracy",
            tuple(sentence_order_accuracy),
            (ReferenceLine("随机 chance", 0.5),),
            percent=True,
        ),
    )
    return tuple(chart for chart in charts if any(len(curve.values) for curve in chart.curves))


def finetuning_charts(
    train_loss: Curve,
    dev_score: Curve,
    dev_loss: Curve | None = None,
    baselines: Sequence[BaselineScore] = (),
    metric: str = "accuracy",
) -> tuple[Chart, ...]:
    """The two charts of a fine-tuning: loss, and dev score with the baselines as lines and the kept model ringed."""
    lines = tuple(ReferenceLine(baseline.name, baseline.dev) for baseline in baselines)
    losses = (train_loss,) if dev_loss is None else (train_loss, dev_loss)
    accuracy = metric == "accuracy"
    title = "开发集准确率 Dev accuracy" if accuracy else f"开发集 Dev {metric}"
    return (
        Chart("损失 Loss", losses),
        Chart(title, (dev_score,), lines, percent=metric not in CORRELATIONS, kept=_highest(dev_score)),
    )


def _highest(curve: Curve) -> tuple[float, float] | None:
    """The highest point of a curve, the first of several; None where it has none."""
    points = [(step, value) for step, value in zip(curve.steps, curve.values, strict=True) if np.isfinite(value)]
    return max(points, key=lambda point: point[1], default=None)


def sweep_charts(
    scores: Sequence[tuple[float, int, float]],
    curves: Sequence[Curve],
    kept: tuple[float, float],
    metric: str = "accuracy",
) -> tuple[Chart, ...]:
    """The two charts of a sweep: dev scores against learning rates, and the dev score of every run over its updates.

    Args:
        scores: (learning rate, seed, dev score) of each run; the first one's seed is that of all rates.
        curves: of each run.
        kept: learning rate and dev score of the run that was kept.
    """
    seed = scores[0][1]
    by_rate = sorted((rate, score) for rate, number, score in scores if number == seed)
    others = [(rate, score) for rate, number, score in scores if number != seed]
    accuracy = metric == "accuracy"
    name = f"种子 seed {seed}"
    points = [Curve(name, *zip(*by_rate, strict=True), dev=True)]
    if others:
        points.append(Curve("其他种子 other seeds", *zip(*others, strict=True), joined=False))
    said = "准确率" if accuracy else ""
    return (
        Chart(
            f"学习率与开发集{said} Learning rate against dev {metric}",
            tuple(points),
            percent=metric not in CORRELATIONS,
            kept=kept,
            across="学习率 rate",
            logarithmic=True,
        ),
        Chart(f"每次训练的开发集{said} Dev {metric} of every run", tuple(curves), percent=metric not in CORRELATIONS),
    )


def baseline_scores(
    task: Task, train: Sequence[Any], dev: Sequence[Any], test: Sequence[Any] | None = None
) -> tuple[BaselineScore, ...]:
    """The trivial baselines on dev, and on test where that has gold (else None); none without training rows."""
    if not train:
        return ()
    on_dev = task.trivial_baselines(train, dev)
    on_test = [None] * len(on_dev) if test is None else [rule.score for rule in task.trivial_baselines(train, test)]
    return tuple(
        BaselineScore(rule.name, rule.score, score, rule.rule) for rule, score in zip(on_dev, on_test, strict=True)
    )


def task_report(
    task: Task,
    train: Sequence[Any],
    dev: Sequence[Any],
    dev_predictions: Sequence[Any],
    test: Sequence[Any] = (),
    test_predictions: Sequence[Any] = (),
    charts: tuple[Chart, ...] = (),
    compared: tuple[tuple[str, float], ...] = (),
    notes: tuple[str, ...] = (),
    hardest: int = 8,
) -> TaskReport:
    """The report of a task from its rows and predictions; test is scored where every row has gold."""
    test_has_gold = bool(test) and len(test_predictions) == len(test) and all(map(task.has_gold, test))
    scores = task.score(dev_predictions, dev)
    mistakes, uncertain = task.hardest(dev, dev_predictions, hardest)
    classes = isinstance(task, ClassificationTask)

    def hard(place: int) -> HardRow:
        return HardRow(task.told(dev[place], dev_predictions[place]), Path(dev[place].where).name)

    return TaskReport(
        name=task.name,
        about=task.about,
        metric=task.main_metric,
        dev=_score(scores, task.main_metric),
        baselines=baseline_scores(task, train, dev, test if test_has_gold else None),
        test=_score(task.score(test_predictions, test), task.main_metric) if test_has_gold else None,
        macro_f1=scores.get("macro_f1"),
        compared=compared,
        published=task.published,
        rows=(("train", len(train)), ("dev", len(dev)), *([("test", len(test))] if test else [])),
        charts=charts,
        labels=tuple(task.name_of(label) for label in task.labels) if classes else (),
        confusion=task.confusion(dev_predictions, dev) if classes else None,
        breakdown=task.breakdown(dev_predictions, dev),
        mistakes=tuple(hard(place) for place in mistakes),
        uncertain=tuple(hard(place) for place in uncertain),
        notes=(*notes, *_further_scores(task, scores)),
    )


def _score(scores: dict[str, float], metric: str) -> Score:
    return Score(scores[metric], scores[f"{metric}_low"], scores[f"{metric}_high"], int(scores["rows"]))


def _further_scores(task: Task, scores: dict[str, float]) -> tuple[str, ...]:
    """What is known of dev beside the main metric and what a confusion matrix shows."""
    if isinstance(task, RegressionTask):
        return (f"Dev: Pearson {scores['pearson']:.4f}, Spearman {scores['spearman']:.4f}, MSE {scores['mse']:.4g}.",)
    if isinstance(task, ClassificationTask) and task.more_metrics:
        names = ("accuracy", *task.more_metrics)
        return (f"Dev: {', '.join(f'{name} {printed_score(scores[name], name)}' for name in names)}.",)
    return ()


def printed_score(value: float, metric: str) -> str:
    """A score as the page prints it: a correlation as a number, a share in percent.

    >>> printed_score(0.714, "matthews"), printed_score(0.909, "accuracy")
    ('0.714', '90.9%')
    """
    return f"{value:.3f}" if metric in CORRELATIONS else f"{value:.1%}"


def verdict(task: TaskReport) -> tuple[str, str, str]:
    """(level, Chinese, English): is the dev score above the best trivial baseline, beyond its 95% interval?"""
    if not task.baselines:
        return "unsure", "没有训练数据，无从比较平凡基线", "no training rows, so no trivial baselines to compare with"
    return {
        "above": ("good", "明显高于平凡基线", "clearly above the trivial baselines"),
        "unsure": ("unsure", "略高于平凡基线，可能出于偶然", "above the trivial baselines, but perhaps by chance"),
        "below": ("bad", "未高于平凡基线", "not above the trivial baselines"),
    }[level(task.dev.value, task.dev.low, max(baseline.dev for baseline in task.baselines))]
