import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from albert_zh.pretrain.masking import (
    MaskingRule,
    Packed,
    draw_ngram_lengths,
    legacy_subword_labels,
    mask_words,
    pack,
    random_token_ids,
)
from albert_zh.pretrain.segments import Pair

CLS, SEP, MASK = 2, 3, 4
RANDOM_IDS = np.arange(100, 200, dtype=np.int32)


def make_rule(**changes):
    return dataclasses.replace(MaskingRule(0.15, 20, 3, True, MASK, RANDOM_IDS), **changes)


def make_packed(lengths_first, lengths_second, swapped=False):
    """A packed pair of words with the given lengths; ids count up from 1000."""
    first, second = sum(lengths_first), sum(lengths_second)
    size = first + second + 3
    ids = np.arange(1000, 1000 + size, dtype=np.int32)
    ids[[0, first + 1, -1]] = CLS, SEP, SEP
    starts = np.zeros(size, bool)
    starts[[0, first + 1, size - 1]] = True
    starts[1 + np.cumsum([0, *lengths_first[:-1]])] = True
    starts[first + 2 + np.cumsum([0, *lengths_second[:-1]])] = True
    return Packed(ids, (np.arange(size) > first + 1).astype(np.int32), starts, first, swapped)


word_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=60)


@settings(max_examples=200)
@given(
    word_lengths,
    word_lengths,
    st.integers(1, 4),
    st.integers(1, 40),
    st.sampled_from([0.05, 0.1, 0.15, 0.4, 0.9]),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_a_word_is_masked_whole_or_not_at_all(first, second, ngram, most, share, whole_words, seed):
    packed = make_packed(first, second)
    rule = make_rule(ngram=ngram, max_predictions=most, masked_lm_prob=share, whole_words=whole_words)
    instance = mask_words(packed, rule, np.random.default_rng(seed))
    positions, size = instance.positions, len(packed.ids)
    assert (np.diff(positions) > 0).all()
    assert not np.isin(positions, [0, packed.first_length + 1, size - 1]).any()  # special tokens never
    np.testing.assert_array_equal(instance.labels, packed.ids[positions])
    np.testing.assert_array_equal(instance.original_ids, packed.ids)
    untouched = np.setdiff1d(np.arange(size), positions)
    np.testing.assert_array_equal(instance.input_ids[untouched], packed.ids[untouched])
    allowed = set(RANDOM_IDS.tolist()) | {MASK}
    assert all(new == old or new in allowed for new, old in zip(instance.input_ids[positions], instance.labels))  # noqa: B905
    budget = min(most, max(1, round(size * share)))
    shortest = min(*first, *second) if whole_words else 1
    assert len(positions) <= max(budget, shortest if shortest <= most else 0)
    assert len(positions) <= most
    if shortest <= most:
        assert len(positions) >= 1
    words = np.cumsum(packed.word_starts)
    if whole_words:
        assert set(np.flatnonzero(np.isin(words, words[positions]))) == set(positions)
    else:
        assert len(positions) == min(budget, size - 3)


def test_the_budget_is_used_up_when_short_words_are_there():
    packed = make_packed([1] * 250, [1, 2] * 86)
    for seed in range(50):
        instance = mask_words(packed, make_rule(masked_lm_prob=0.1, max_predictions=51), np.random.default_rng(seed))
        assert len(instance.positions) == min(51, round(0.1 * len(packed.ids)))


@pytest.mark.parametrize("ngram", [1, 2, 3, 5])
def test_ngram_lengths_follow_one_over_n(ngram):
    count = 60_000
    lengths = draw_ngram_lengths(count, ngram, np.random.default_rng(0))
    expected = 1 / np.arange(1, ngram + 1)
    expected /= expected.sum()
    shares = np.bincount(lengths, minlength=ngram + 1)[1:] / count
    assert shares == pytest.approx(expected, abs=4 * np.sqrt(0.25 / count))


def test_masked_runs_are_as_long_as_the_drawn_ngrams():
    # few masks far apart, so that neighbours seldom touch: runs are n-grams
    packed = make_packed([1] * 250, [1] * 250)
    rule = make_rule(masked_lm_prob=0.02, max_predictions=10)
    runs = []
    for seed in range(800):
        positions = mask_words(packed, rule, np.random.default_rng(seed)).positions
        runs += [len(run) for run in np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1)]
    shares = np.bincount(runs, minlength=4)[1:4] / len(runs)
    assert shares == pytest.approx([6 / 11, 3 / 11, 2 / 11], abs=0.06)


def test_every_word_is_as_likely_to_be_masked_as_another():
    packed = make_packed([1] * 30, [1] * 30)
    hits = np.zeros(63)
    for seed in range(4000):
        hits[mask_words(packed, make_rule(), np.random.default_rng(seed)).positions] += 1
    shares = np.delete(hits, [0, 31, 62]) / 4000
    assert shares == pytest.approx(np.full(60, shares.mean()), abs=0.035)


def test_eighty_ten_ten_within_sampling_error():
    packed = make_packed([1] * 250, [1] * 250)
    masked = kept = replaced = 0
    for seed in range(400):
        instance = mask_words(packed, make_rule(max_predictions=51), np.random.default_rng(seed))
        seen = instance.input_ids[instance.positions]
        masked += int((seen == MASK).sum())
        kept += int((seen == instance.labels).sum())
        replaced += int(np.isin(seen, RANDOM_IDS).sum())
    total = masked + kept + replaced
    assert total == 400 * 51
    assert [masked / total, kept / total, replaced / total] == pytest.approx([0.8, 0.1, 0.1], abs=0.012)


def test_ngrams_do_not_reach_over_the_separator():
    # one word a segment: an n-gram over both would mask both, which the budget of one word forbids
    packed = make_packed([2], [2])
    for seed in range(50):
        instance = mask_words(packed, make_rule(masked_lm_prob=0.3), np.random.default_rng(seed))
        assert instance.positions.tolist() in ([1, 2], [4, 5])


def test_random_ids_are_never_special_or_unused(tokenizer):
    tokens = tokenizer.tokens(random_token_ids(tokenizer))
    assert not [token for token in tokens if token.startswith(("[", "<")) and len(token) > 1]
    assert {"研", "iphone", "##研"} <= set(tokens)


def test_legacy_labels_are_the_twins_of_chinese_characters_inside_words(tokenizer):
    ids = np.array(tokenizer.token_ids(["研", "究", "生", "命", "iphone", "，", "3"]), np.int32)
    starts = np.array([True, False, True, False, True, True, True])
    packed = pack(ids, starts, Pair(0, 4, 7, False), tokenizer)
    rule = make_rule(
        masked_lm_prob=0.99,
        mask_id=tokenizer.mask_id,
        random_ids=random_token_ids(tokenizer),
        legacy_labels=legacy_subword_labels(tokenizer),
    )
    instance = mask_words(packed, rule, np.random.default_rng(0))
    assert tokenizer.tokens(instance.labels) == ["研", "##究", "生", "##命", "iphone", "，", "3"]


def test_packing_puts_the_later_segment_first_when_swapped(tokenizer):
    ids = np.arange(50, 60, dtype=np.int32)
    starts = np.array([1, 0, 1, 1, 0, 1, 0, 1, 0, 1], bool)
    packed = pack(ids, starts, Pair(2, 5, 9, True), tokenizer)
    cls, sep = tokenizer.cls_id, tokenizer.sep_id
    assert packed.ids.tolist() == [cls, 55, 56, 57, 58, sep, 52, 53, 54, sep]
    assert packed.segment_ids.tolist() == [0] * 6 + [1] * 4
    assert packed.word_starts.tolist() == [True, True, False, True, False, True, True, True, False, True]
    assert (packed.first_length, packed.swapped) == (4, True)
