"""Tags to pieces by every scheme, the exact best tagging, the scores of a set of entities."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from albert_zh.tasks.entities import (
    Entity,
    apart,
    f1_interval,
    marked,
    pieces,
    precision_recall_f1,
    rules,
    runs,
    tags_of,
    tallies,
)
from albert_zh.tasks.viterbi import best_taggings


def written(spans, length, scheme):
    """Tags of a scheme for (type, first, end) pieces."""
    tags = [("O", "")] * length
    for name, first, end in spans:
        letters = {"BIO": "BII", "BIOES": "BIE", "BMES": "BME"}[scheme]
        own = letters[0] + letters[1] * (end - first - 2) + letters[2] * (end - first > 1)
        if end - first == 1 and scheme != "BIO":
            own = "S"
        tags[first:end] = [(letter, name) for letter in own]
    return tags


@st.composite
def spans_of_a_text(draw):
    cuts = sorted(draw(st.sets(st.integers(0, 20), max_size=8)))
    spans = [(draw(st.sampled_from("XYZ")), *pair) for pair in itertools.pairwise(cuts) if draw(st.booleans())]
    return spans


@given(spans_of_a_text(), st.sampled_from(["BIO", "BIOES", "BMES"]))
def test_every_scheme_says_the_same_pieces(spans, scheme):
    assert list(pieces(written(spans, 20, scheme))) == spans


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ("I-X I-X O", [("X", 0, 2)]),  # going on with nothing begins
        ("B-X I-Y", [("X", 0, 1), ("Y", 1, 2)]),
        ("B-X B-X", [("X", 0, 1), ("X", 1, 2)]),
        ("B-X M-X O", [("X", 0, 2)]),  # never ended
        ("E-X E-X", [("X", 0, 1), ("X", 1, 2)]),
        ("S-X I-X", [("X", 0, 1), ("X", 1, 2)]),
        ("O O", []),
        ("", []),
    ],
)
def test_broken_tags_are_read_as_conlleval_reads_them(tags, wanted):
    assert list(pieces((tag[0], tag[2:]) for tag in tags.split())) == wanted


def test_what_overlaps_is_marked_behind_the_text():
    book, company = Entity("book", 1, 6), Entity("company", 2, 4)
    assert apart([company, book]) == ([book], [company])
    assert marked("《招行史话》", [company, book]) == "《[招行史话》|book] + [行史|company]"
    assert marked("无", []) == "无"


# The best tagging


def brute_force(scores, between, first, last):
    """The highest sum of a tagging and every tagging that has it."""
    sums = {
        tags: first[tags[0]]
        + last[tags[-1]]
        + sum(scores[place, tag] for place, tag in enumerate(tags))
        + sum(between[pair] for pair in itertools.pairwise(tags))
        for tags in itertools.product(range(scores.shape[1]), repeat=len(scores))
    }
    return sums, max(sums.values())


@given(
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=5),
    types=st.integers(1, 2),
    learned=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_viterbi_is_the_best_of_all_taggings(seed, lengths, types, learned):
    dice = np.random.default_rng(seed)
    width = 1 + 2 * types
    scores = dice.normal(size=(sum(lengths), width))
    between, first = rules(types)
    last = np.zeros(width)
    if learned:
        between, first, last = (part + dice.normal(size=part.shape) for part in (between, first, last))
    tags = best_taggings(scores, np.array(lengths), between, first, last)
    place = 0
    for length in lengths:
        if length:
            own, mine = scores[place : place + length], tuple(tags[place : place + length].tolist())
            sums, best = brute_force(own, between, first, last)
            assert np.isfinite(best)
            assert sums[mine] == pytest.approx(best)
        place += length
    names = [tag.partition("-")[::2] for tag in np.array(tags_of("XY"[:types]))[tags].tolist()]
    for begin, length in zip(np.cumsum([0, *lengths]), lengths, strict=False):
        own = names[begin : begin + length]
        for (_, before), (letter, name) in itertools.pairwise([("O", ""), *own]):
            assert letter != "I" or name == before


def test_memory_in_parts_changes_nothing(monkeypatch):
    dice = np.random.default_rng(1)
    lengths = dice.integers(0, 30, 40)
    scores = dice.normal(size=(lengths.sum(), 7))
    between, first = rules(3)
    whole = best_taggings(scores, lengths, between, first, np.zeros(7))
    monkeypatch.setattr("albert_zh.tasks.viterbi._AT_ONCE", 500)
    assert (best_taggings(scores, lengths, between, first, np.zeros(7)) == whole).all()


@given(spans_of_a_text())
def test_runs_of_tags_are_the_pieces(spans):
    numbers = [
        0 if letter == "O" else 1 + 2 * "XYZ".index(name) + (letter == "I")
        for letter, name in written(spans, 20, "BIO")
    ]
    found = zip(*(part.tolist() for part in runs(np.array(numbers))), strict=True)
    assert [("XYZ"[number], first, end) for number, first, end in found] == spans


# Scores


def test_the_tallies_are_those_of_conlleval():
    # A worked example: one whole, one of another type, one with another end, one missed, one that is none.
    gold = [[Entity("X", 0, 2), Entity("Y", 3, 5)], [Entity("X", 0, 4), Entity("X", 6, 8)], []]
    mine = [[Entity("X", 0, 2), Entity("X", 3, 5)], [Entity("X", 0, 3)], [Entity("Y", 0, 1)]]
    counts = tallies(gold, mine, ("X", "Y"))
    assert counts.sum(axis=0).tolist() == [[1, 3, 3], [0, 1, 1]]
    assert precision_recall_f1(counts.sum(axis=(0, 1))).tolist() == [1 / 4, 1 / 4, 1 / 4]
    assert precision_recall_f1(counts.sum(axis=0))[1].tolist() == [0, 0, 0]


def test_nothing_right_and_nothing_there_are_0_not_undefined():
    assert precision_recall_f1(np.zeros(3)).tolist() == [0, 0, 0]
    assert f1_interval(np.zeros((4, 3), int)) == (0, 0)


def test_the_interval_is_that_of_drawing_sentences():
    dice = np.random.default_rng(3)
    gold = dice.integers(0, 4, 300)
    right = dice.binomial(gold, 0.7)
    counts = np.stack([right, right + dice.integers(0, 2, 300), gold], axis=1)
    low, high = f1_interval(counts)
    drawn = [precision_recall_f1(counts[dice.integers(0, 300, 300)].sum(axis=0))[2] for _ in range(3000)]
    assert (low, high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.006)
    assert low < precision_recall_f1(counts.sum(axis=0))[2] < high
    assert f1_interval(counts) == (low, high) != f1_interval(counts, seed=1)
