"""Numbers as answers: scores against hand-computed ones, the unit of the files kept, rows without numbers named."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.files import InputError
from albert_zh.tasks import metrics
from albert_zh.tasks.baselines import regression_baselines
from albert_zh.tasks.custom import custom_task
from albert_zh.tasks.regression import NumberPrediction
from albert_zh.tasks.task import Row


@pytest.fixture
def task(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("s1\ts2\tscore\n甲\t乙\t1\n丙\t丁\t2\n戊\t己\t4.5\n", encoding="utf-8")
    return custom_task({"train": str(path)}, regression=True)


def rows(*numbers, pair=("甲乙", "甲乙")):
    return [Row(f"dev.tsv:{n}", *pair, label=number, id=n) for n, number in enumerate(numbers, 1)]


def answered(*values):
    return [NumberPrediction(value) for value in values]


# Metrics


def test_correlations_equal_hand_computed_ones():
    gold, answers = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 9])
    # deviations (-1.5 -0.5 0.5 1.5), (-2.75 -0.75 -1.75 5.25): 11.5 / sqrt(5 * 38.75)
    assert metrics.pearson(gold, answers) == pytest.approx(11.5 / np.sqrt(5 * 38.75))
    assert metrics.spearman(gold, answers) == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    assert metrics.spearman(np.array([1.0, 2, 2, 3]), np.array([1.0, 2, 2, 3])) == pytest.approx(1)


def test_equal_numbers_share_the_mean_of_their_ranks():
    # ranks 1 2.5 2.5 4 and 1 2 3 4
    expected = np.corrcoef([1, 2.5, 2.5, 4], [1, 2, 3, 4])[0, 1]
    assert metrics.spearman(np.array([1.0, 5, 5, 9]), np.array([0.1, 0.2, 0.3, 0.4])) == pytest.approx(expected)


def test_answers_that_are_all_the_same_correlate_with_nothing():
    assert metrics.pearson(np.array([1.0, 2, 3]), np.array([0.1, 0.1, 0.1])) == 0
    assert metrics.spearman(np.array([1.0, 1, 1]), np.array([3.0, 1, 2])) == 0


@given(st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 2), min_size=2, max_size=30))
def test_correlations_lie_between_minus_one_and_one_whatever_the_numbers(pairs):
    gold, answers = np.array(pairs).T
    for correlation in (metrics.pearson(gold, answers), metrics.spearman(gold, answers)):
        assert -1 <= correlation <= 1
    low, high = metrics.correlation_interval(metrics.pearson(gold, answers), len(gold))
    assert -1 <= low <= high <= 1


def test_the_interval_is_fishers():
    assert metrics.correlation_interval(0.5, 103) == pytest.approx((0.3393, 0.6323), abs=1e-4)
    assert metrics.correlation_interval(0.9, 3) == (-1, 1)


# Rows


@pytest.mark.parametrize("text", ["高", "1,5", "nan", "inf", "true"])
def test_what_is_no_number_is_named_by_file_line_and_column(tmp_path, text):
    path = tmp_path / "train.jsonl"
    value = "true" if text == "true" else json.dumps(text)
    path.write_text(f'{{"text": "甲", "score": 1}}\n{{"text": "乙", "score": {value}}}\n', encoding="utf-8")
    task = custom_task({"train": str(path)}, regression=True)
    with pytest.raises(InputError, match=r"train.jsonl:2: column 'score': '.*' is not a number, such as 3.5"):
        task.read("train", "")


def test_only_test_rows_may_lack_a_number(tmp_path):
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text("text,score\n甲,\n", encoding="utf-8")
    task = custom_task({"train": "train.csv", "test": "test.csv"}, tmp_path, regression=True)
    assert task.read("test", tmp_path)[0].label is None
    with pytest.raises(InputError, match=r"train.csv:2: column 'score': no number in a train row"):
        task.read("train", tmp_path)


def test_numbers_that_are_all_the_same_teach_nothing(task):
    with pytest.raises(InputError, match="all 3 training rows hold 2: nothing to learn"):
        task.fitted(rows("2", "2", "2"))


# The head's unit and that of the files


def test_what_is_learned_has_mean_zero_and_spread_one_and_decodes_to_the_unit_of_the_files(task):
    given = rows("1", "2", "4.5")
    fitted = task.fitted(given)
    targets = fitted.targets(given)
    assert targets.dtype == np.float32
    assert (targets.mean(), targets.std()) == pytest.approx((0, 1), abs=1e-6)
    assert [p.value for p in fitted.decode(targets[:, None])] == pytest.approx([1, 2, 4.5], abs=1e-5)
    assert [p.value for p in task.decode(np.array([[1.0], [4.5]]))] == [1, 4.5]
    assert np.isnan(task.targets([Row("t:1", "甲", "乙")])).all()


@pytest.mark.parametrize(("logits", "message"), [(np.zeros((2, 2)), "not .rows, 1."), (np.array([[np.nan]]), "finite")])
def test_logits_of_another_head_or_of_a_diverged_model_are_refused(task, logits, message):
    with pytest.raises(ValueError, match=message):
        task.decode(logits)


# Scores


def test_scores_equal_hand_computed_ones(task):
    scores = task.score(answered(1, 3, 2, 9), rows("1", "2", "3", "4"))
    assert scores["pearson"] == pytest.approx(11.5 / np.sqrt(5 * 38.75))
    assert scores["spearman"] == pytest.approx(0.8)
    assert scores["mse"] == pytest.approx((0 + 1 + 1 + 25) / 4)
    assert scores["pearson_low"] <= scores["pearson"] <= scores["pearson_high"]
    assert task.main_metric == "pearson"
    assert task.shown(0.5) == "0.5000"
    with pytest.raises(InputError, match=r"t:1: no gold number"):
        task.score(answered(1), [Row("t:1", "甲", "乙")])


def test_the_largest_errors_come_first(task):
    assert task.largest_errors(rows("1", "2", "3", "4"), answered(1, 5, 3, -9), 2) == [3, 1]


def test_the_trivial_rules_are_the_mean_and_for_pairs_the_overlap_in_the_direction_of_train():
    train = [*rows("5", pair=("春天来了", "春天来了")), *rows("1", pair=("春天", "秋月"))]
    dev = [*rows("4", pair=("买车", "买车")), *rows("3", pair=("买车", "买房")), *rows("0", pair=("买", "看"))]
    mean, overlap = regression_baselines(train, dev)
    assert (mean.score, overlap.score) == (0, pytest.approx(np.corrcoef([4, 3, 0], [1, 0.5, 0])[0, 1]))
    assert "always 3" in mean.rule
    flipped = [Row(row.where, row.text_a, row.text_b, str(6 - float(row.label))) for row in train]
    assert regression_baselines(flipped, dev)[1].score == pytest.approx(-overlap.score)
    single = [Row("t:1", "甲", label="1"), Row("t:2", "乙", label="2")]
    assert len(regression_baselines(single, single)) == 1


# Writing


def test_predictions_are_written_and_read_back(task, tmp_path):
    given, predictions = rows("1.5", None), answered(1.23456789, -4e-7)
    path = task.write_predictions(tmp_path / "dev.tsv", given, predictions)
    assert path.read_text(encoding="utf-8").splitlines() == [
        "id\ttext_a\ttext_b\tgold\tvalue",
        "1\t甲乙\t甲乙\t1.5\t1.23456789",
        "2\t甲乙\t甲乙\t\t-4e-07",
    ]
    assert [p.value for p in task.read_predictions(path)] == [1.23456789, -4e-7]
    lines = task.write_predictions(tmp_path / "dev.json", given, predictions).read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {"id": 1, "text_a": "甲乙", "text_b": "甲乙", "gold": "1.5", "value": 1.23456789}
    with pytest.raises(InputError, match="no leaderboard"):
        task.write_submission(tmp_path, given, predictions)
