"""Scores of answers: the official scripts' definitions, on cases worked out by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.tasks.span_metrics import (
    best_of,
    best_threshold,
    compare_chinese,
    compare_english,
    english_words,
    longest_common_stretch,
    normalised,
    units,
)


@pytest.mark.parametrize(
    ("answer", "gold", "exact", "f1"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1, 1),
        ("a an the", "", 1, 1),  # nothing is left of either
        ("the", "Paris", 0, 0),
        ("in the year 1999", "1999", 0, 2 * (1 / 3) * 1 / (1 / 3 + 1)),  # in year 1999 | 1999
        ("red red blue", "red blue blue", 0, 2 / 3),  # shared with their number: red once, blue once
        ("U.S.A", "USA", 1, 1),
        ("$4.5 million", "4.5 million", 1, 1),
        ("café", "cafe", 0, 0),  # accents are kept
        ("10–12", "10-12", 0, 0),  # the long dash is no ASCII punctuation
        ("banana", "ban an a", 0, 0),  # articles are words of their own only
    ],
)
def test_english_answers_by_hand(answer, gold, exact, f1):
    assert compare_english(answer, gold) == pytest.approx((exact, f1))


def test_normalising_takes_case_punctuation_articles_and_spaces_in_that_order():
    assert normalised("A-the  \t(An) Apple's") == "athe apples"


@pytest.mark.parametrize(
    ("answer", "gold", "exact", "f1"),
    [
        ("1986年", "1986年", 1, 1),
        ("《红楼梦》。", "红楼梦", 1, 1),
        ("红楼梦", "红楼", 0, 2 * (2 / 3) * 1 / (2 / 3 + 1)),
        ("红、楼、梦", "红楼梦", 1, 1),
        ("北京大学", "北京的大学", 0, 2 * (2 / 4) * (2 / 5) / (2 / 4 + 2 / 5)),  # a stretch of two, not four characters
        ("iPhone 4S", "iphone 4s手机", 0, 2 * 1 * (2 / 4) / 1.5),  # two words and two characters
        ("3,000元", "3000元", 0, 0.5),  # the comma is no Chinese one; 元 is shared
        ("是……否", "是否", 0, 2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2)),  # "……" is one word here, left in by the script
        ("４Ｓ", "4S", 0, 0),  # full-width signs are not folded
        ("🙂好", "好", 0, 2 * 0.5 * 1 / 1.5),
        ("", "好", 0, 0),
    ],
)
def test_chinese_answers_by_hand(answer, gold, exact, f1):
    assert compare_chinese(answer, gold) == pytest.approx((exact, f1))


def test_units_are_characters_of_chinese_and_words_of_the_rest():
    assert units("NBA总决赛2-1，OK?") == ["nba", "总", "决", "赛", "21ok", "?"]  # what is left out parts no words
    assert units("。！？") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("good muffins cost $3.88", "good muffins cost $ 3.88"),
        ("they'll save and invest more.", "they 'll save and invest more ."),
        ("hi, my name can't hello,", "hi , my name ca n't hello ,"),
        ("at 12:30, dr. who left (again).", "at 12:30 , dr. who left ( again ) ."),
        ("wait... what--no?", "wait ... what -- no ?"),
        ('say "yes" now', "say `` yes '' now"),
        ("50% of 1,200.5", "50 % of 1,200.5"),
        ("1—2 km", "1 — 2 km"),
        ("the 'dream school' cannot.. wait", "the ' dream school ' can not .. wait"),
        ("rock 'n roll 's", "rock 'n roll 's"),
        ("«bis» 5*3", "« bis » 5 * 3"),
        ("", ""),
    ],
)
def test_english_words_are_those_of_the_penn_treebank(text, words):
    assert english_words(text) == words.split()


def test_the_best_of_several_gold_answers_counts_each_score_by_itself():
    assert best_of(compare_english, "red house", ["red", "a red house", "blue"]) == (1, 1)


def _longest_by_definition(first, second):
    runs = [first[i:j] for i in range(len(first)) for j in range(i + 1, len(first) + 1)]
    held = [second[i:j] for i in range(len(second)) for j in range(i + 1, len(second) + 1)]
    return max((len(run) for run in runs if run in held), default=0)


@given(first=st.text("abc", max_size=8), second=st.text("abc", max_size=8))
def test_the_longest_common_stretch_is_the_longest_run_of_both(first, second):
    assert longest_common_stretch(first, second) == _longest_by_definition(first, second)


ROWS = st.lists(
    st.tuples(st.integers(-3, 3).map(float), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()),
    min_size=1,
    max_size=9,
)


@given(rows=ROWS)
def test_no_threshold_scores_better_than_the_best_one(rows):
    odds, scores, answered = (np.array(values) for values in zip(*rows, strict=True))

    def total(threshold):
        nothing = odds > threshold
        return float(np.where(nothing, ~answered, np.where(answered, scores, 0.0)).sum())

    best = total(best_threshold(odds, scores, answered))
    assert best == pytest.approx(max(map(total, itertools.chain([odds.min() - 1, odds.max() + 1], odds))))
