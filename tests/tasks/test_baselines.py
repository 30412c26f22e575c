"""The trivial baselines against numbers worked out by hand and against trying every threshold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.tasks.baselines import character_overlap, majority_baseline, overlap_baseline, trivial_baselines
from albert_zh.tasks.task import Row


def pair(first, second, label):
    return Row("file:1", first, second, label)


def test_the_majority_label_comes_from_train_and_is_scored_elsewhere():
    train = [Row("t:1", "a", label=label) for label in "1101"]
    dev = [Row("d:1", "a", label=label) for label in "00010"]
    baseline = majority_baseline(train, dev)
    assert (baseline.label, baseline.accuracy, baseline.best_accuracy) == ("1", 0.2, 0.8)


def test_a_tie_of_the_majority_goes_to_the_label_that_sorts_first():
    rows = [Row("t:1", "a", label=label) for label in "10"]
    assert majority_baseline(rows, rows).label == "0"


def test_rows_without_gold_do_not_count():
    rows = [Row("t:1", "a", label="1"), Row("t:2", "a")]
    assert majority_baseline(rows, rows).accuracy == 1.0
    with pytest.raises(ValueError, match="gold"):
        majority_baseline([Row("t:2", "a")], rows)


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [("花呗", "借呗", 0.5), ("哈哈哈", "哈", 0.5), ("iPhone 8", "IPHONE8", 1.0), ("春", "秋", 0.0), ("", "", 0.0)],
)
def test_the_overlap_counts_shared_characters_with_their_number(first, second, overlap):
    assert character_overlap(first, second) == overlap
    assert character_overlap(second, first) == overlap


def test_the_threshold_is_chosen_on_train_and_scored_on_dev():
    train = [pair("春天来了", "春天来了", "1"), pair("春天来了", "春天去了", "1"), pair("春天来了", "秋天", "0")]
    dev = [pair("买车", "买车", "1"), pair("买车", "买房", "1"), pair("买车", "看海", "0"), pair("买", "买", "0")]
    baseline = overlap_baseline(train, dev)
    assert baseline.threshold == pytest.approx(0.75)
    assert (baseline.label_below, baseline.label_from) == ("0", "1")
    assert baseline.train_accuracy == 1.0
    assert baseline.accuracy == 0.5  # 买车 买房 overlaps by 0.5 and 买 买 by 1
    assert baseline.best_accuracy == 0.75


def test_more_overlap_may_mean_no():
    rows = [pair("甲乙", "甲乙", "0"), pair("甲乙", "丙丁", "1")]
    baseline = overlap_baseline(rows, rows)
    assert (baseline.label_below, baseline.label_from, baseline.accuracy) == ("1", "0", 1.0)


@given(
    st.lists(
        st.tuples(st.text("甲乙丙", max_size=4), st.text("甲乙丙", max_size=4), st.sampled_from("012")), min_size=1
    )
)
def test_no_threshold_beats_the_one_chosen(values):
    rows = [pair(*value) for value in values]
    baseline = overlap_baseline(rows, rows)
    best = 0
    overlaps = [character_overlap(row.text_a, row.text_b) for row in rows]
    for threshold in overlaps:
        sides = [
            [r.label for r, o in zip(rows, overlaps, strict=True) if (o >= threshold) == up] for up in (False, True)
        ]
        best = max(best, sum(max((side.count(label) for label in "012"), default=0) for side in sides))
    assert baseline.accuracy == baseline.train_accuracy == baseline.best_accuracy == pytest.approx(best / len(rows))


def test_single_sentences_have_no_overlap():
    rows = [Row("t:1", "a", label="1")]
    with pytest.raises(ValueError, match="pairs"):
        overlap_baseline(rows, rows)


def test_pairs_have_both_trivial_baselines_and_single_sentences_the_majority_alone():
    pairs = [pair("春天", "春天", "1"), pair("春天", "秋月", "0"), pair("买车", "看海", "0")]
    majority, overlap = trivial_baselines(pairs, pairs)
    assert (majority.score, overlap.score) == (pytest.approx(2 / 3), 1.0)
    assert overlap.rule.startswith("1 from an overlap of 1.00 on, else 0;")
    rows = [Row("t:1", "甲", label="1"), Row("t:2", "乙", label="0"), Row("t:3", "丙", label="0")]
    assert len(trivial_baselines(rows, rows)) == 1


def test_rules_are_measured_by_the_main_metric():
    train = [pair("春天", "春天", "1"), pair("春天", "秋月", "0")]
    dev = [pair("买车", "买车", "1"), pair("买车", "看海", "1"), pair("买车", "买车", "0"), pair("出门", "回家", "0")]
    seen = []

    def score(answers):
        seen.append(list(answers))
        return 0.25

    assert [rule.score for rule in trivial_baselines(train, dev, score)] == [0.25, 0.25]
    assert seen == [["0"] * 4, ["1", "0", "1", "0"]]


def test_the_majority_shown_beside_a_score_is_that_of_the_scored_rows():
    train, dev = ([Row("f:1", "甲", label=label) for label in labels] for labels in ("1110", "10000"))
    assert trivial_baselines(train, dev)[0].score == 0.8
