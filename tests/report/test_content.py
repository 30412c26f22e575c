"""What a run's rows and predictions become: scores, baselines, verdicts, the rows worth reading."""

import pytest

from albert_zh.report.charts import Curve
from albert_zh.report.content import (
    BaselineScore,
    Score,
    TaskReport,
    baseline_scores,
    finetuning_charts,
    pretraining_charts,
    sweep_charts,
    task_report,
    verdict,
)
from albert_zh.tasks import TASKS, Prediction, Row


def pairs(name, *values):
    return [Row(f"data/{name}.txt:{n}", first, second, label, n) for n, (first, second, label) in enumerate(values, 1)]


TRAIN = pairs("train", ("春天", "春天", "1"), ("春天", "秋天", "0"), ("买车", "看海", "0"))
DEV = pairs("dev", ("下雨", "下雨", "1"), ("下雨", "下雪", "1"), ("下雨", "开花", "0"), ("出门", "回家", "0"))


def answers(*labels):
    return [Prediction(label, (0.2, 0.8) if label == "1" else (0.9, 0.1)) for label in labels]


def test_a_task_report_holds_scores_baselines_confusion_and_hard_rows():
    report = task_report(TASKS["lcqmc"], TRAIN, DEV, answers(*"1010"), DEV, answers(*"1100"))
    assert (report.dev.value, report.dev.rows, report.test.value) == (0.5, 4, 1.0)
    assert [round(baseline.dev, 3) for baseline in report.baselines] == [0.5, 0.75]
    assert [round(baseline.test, 3) for baseline in report.baselines] == [0.5, 0.75]
    assert report.confusion.tolist() == [[1, 1], [1, 1]]
    assert [(row.where, row.told.gold, row.told.answer) for row in report.mistakes] == [
        ("dev.txt:2", "1 same", "0 different"),
        ("dev.txt:3", "0 different", "1 same"),
    ]
    assert report.rows == (("train", 3), ("dev", 4), ("test", 4))


def test_test_rows_without_gold_are_counted_and_not_scored():
    unlabelled = [Row("test.txt:1", "甲", "乙")]
    report = task_report(TASKS["lcqmc"], TRAIN, DEV, answers(*"1010"), unlabelled, answers("1"))
    assert report.test is None
    assert report.baselines[0].test is None
    assert report.rows[-1] == ("test", 1)


def test_single_sentences_have_the_majority_baseline_alone():
    rows = [Row("d:1", "甲", label="a"), Row("d:2", "乙", label="b"), Row("d:3", "丙", label="b")]
    (majority,) = baseline_scores(TASKS["tnews"], rows[:1], rows)
    assert majority.dev == pytest.approx(2 / 3)  # the most frequent of the scored rows, whatever train says


def test_metrics_beside_the_main_one_are_told():
    report = task_report(TASKS["mrpc"], TRAIN, DEV, answers(*"1010"))
    assert report.notes == ("Dev: accuracy 50.0%, f1 50.0%.",)


@pytest.mark.parametrize(
    ("score", "level", "words"),
    [
        (Score(0.7, 0.66, 0.74, 500), "good", "clearly above the trivial baselines"),
        (Score(0.7, 0.64, 0.76, 200), "unsure", "perhaps by chance"),
        (Score(0.65, 0.6, 0.7, 200), "bad", "not above the trivial baselines"),
        (Score(0.5, 0.45, 0.55, 200), "bad", "not above the trivial baselines"),
    ],
)
def test_the_verdict_compares_the_interval_with_the_best_baseline(score, level, words):
    found = verdict(TaskReport("topic", score, (BaselineScore("a", 0.5), BaselineScore("b", 0.65))))
    assert found[0] == level
    assert words in found[2]


def test_without_training_rows_there_are_no_baselines_and_no_praise():
    report = task_report(TASKS["lcqmc"], [], DEV, answers(*"1100"))
    assert (report.dev.value, report.baselines) == (1.0, ())
    assert verdict(report)[0] == "unsure"


def test_the_charts_of_a_sweep_show_rates_in_order_other_seeds_apart_and_every_run():
    scores = [(1e-3, 7, 0.6), (1e-4, 7, 0.8), (1e-4, 8, 0.7)]
    curves = [Curve(str(number), (1, 2), (0.5, score)) for number, (_, _, score) in enumerate(scores)]
    rates, runs = sweep_charts(scores, curves, (1e-4, 0.8))
    first, others = rates.curves
    assert (list(first.steps), list(first.values)) == ([1e-4, 1e-3], [0.8, 0.6])
    assert (list(others.steps), list(others.values), others.joined) == ([1e-4], [0.7], False)
    assert (rates.kept, rates.logarithmic, len(runs.curves)) == ((1e-4, 0.8), True, 3)


def test_the_charts_of_a_run_hold_its_baselines_as_lines():
    curve = Curve("dev", (1, 2), (0.4, 0.6), dev=True)
    loss, accuracy = finetuning_charts(Curve("train", (1,), (2.0,)), curve, curve, (BaselineScore("a", 0.5),))
    assert [line.value for line in accuracy.references] == [0.5]
    assert (accuracy.kept, loss.references, len(loss.curves)) == ((2, 0.6), (), 2)
    masked, order = pretraining_charts(masked_lm_loss=(curve,), sentence_order_accuracy=(curve,), unigram_loss=6.5)
    assert [line.value for line in (*masked.references, *order.references)] == [6.5, 0.5]
