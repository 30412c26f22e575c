import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.pretrain.segments import cut_sentence, sop_pairs


@st.composite
def tagged(draw, most=40, longest=12):
    """Sentence ends and word starts of a made-up document that begins at token 3."""
    max_tokens = draw(st.integers(5, most))
    lengths = draw(st.lists(st.integers(1, min(longest, max_tokens)), min_size=1, max_size=30))
    ends = (3 + np.cumsum(lengths)).tolist()
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    word_starts = rng.random(ends[-1]) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    word_starts[[3, *ends[:-1]]] = True
    return ends, word_starts, rng.random(ends[-1]) < 0.2, max_tokens, rng


@given(tagged(), st.sampled_from([0.0, 0.1, 1.0]))
def test_pairs_and_what_was_skipped_cover_the_document_once_in_order(document, short_seq_prob):
    ends, word_starts, after, max_tokens, rng = document
    pairs, skipped = sop_pairs(3, ends, word_starts, after, max_tokens, short_seq_prob, rng)
    stretches = sorted([(pair.start, pair.end) for pair in pairs] + skipped)
    assert [start for start, _ in stretches] == [3, *(end for _, end in stretches[:-1])]
    assert stretches[-1][1] == ends[-1]
    for pair in pairs:
        assert pair.start < pair.middle < pair.end <= pair.start + max_tokens
        assert word_starts[pair.middle]
    for start, end in skipped:
        assert not word_starts[start + 1 : end].any()  # single words only


def test_two_sentences_are_split_between_them_and_one_after_its_comma():
    words = np.ones(8, bool)
    after = np.array([0, 0, 0, 1, 0, 0, 0, 0], bool)
    rng = np.random.default_rng(0)
    two = sop_pairs(0, [5, 8], words, after, 20, 0.0, rng).pairs
    assert [(pair.start, pair.middle, pair.end) for pair in two] == [(0, 5, 8)]
    one = sop_pairs(0, [8], words, after, 20, 0.0, rng).pairs
    assert [(pair.start, pair.middle, pair.end) for pair in one] == [(0, 3, 8)]


def test_a_single_word_joins_its_neighbour_and_alone_is_counted():
    words = np.array([1, 0, 1, 1, 0], bool)
    after = np.zeros(5, bool)
    rng = np.random.default_rng(0)
    assert sop_pairs(0, [2, 5], words, after, 5, 0.0, rng).skipped == []
    assert sop_pairs(0, [2], words, after, 5, 0.0, rng) == ([], [(0, 2)])
    # the pair before it takes a last word that can make no pair itself
    pairs, skipped = sop_pairs(0, [1, 2, 3, 5], np.array([1, 1, 1, 1, 0], bool), after, 5, 1.0, rng)
    assert sum(pair.end - pair.start for pair in pairs) == 5
    assert skipped == []


def test_half_of_the_pairs_are_swapped_and_a_share_is_short():
    ends = list(range(10, 20001, 10))
    words = np.ones(20000, bool)
    rng = np.random.default_rng(1)
    pairs = [p for _ in range(20) for p in sop_pairs(0, ends, words, ~words, 100, 0.1, rng).pairs]
    swapped = sum(pair.swapped for pair in pairs)
    assert abs(swapped - len(pairs) / 2) < 4 * np.sqrt(len(pairs) / 4)
    short = sum(pair.end - pair.start < 100 for pair in pairs) / len(pairs)
    assert 0.06 < short < 0.13
    # every split between the sentences of a full chunk is as likely as another
    middles = np.bincount([(p.middle - p.start) // 10 for p in pairs if p.end - p.start == 100], minlength=10)[1:]
    assert middles.min() > 0.7 * middles.mean()


def test_the_same_seed_gives_the_same_pairs():
    ends, words = list(range(5, 501, 5)), np.ones(500, bool)
    first, second = (sop_pairs(0, ends, words, ~words, 40, 0.3, np.random.default_rng(5)) for _ in range(2))
    assert first == second


@given(st.integers(1, 300), st.integers(5, 60), st.integers(0, 99), st.sampled_from([0.0, 0.3, 1.0]))
def test_a_long_sentence_is_cut_into_pieces_that_fit_and_lose_nothing(length, limit, seed, word_share):
    rng = np.random.default_rng(seed)
    words = rng.random(length) < word_share
    words[0] = True
    ends = cut_sentence(length, limit, words, rng.random(length) < 0.2)
    pieces = np.diff([0, *ends])
    assert ends[-1] == length
    assert pieces.min() >= 1
    assert pieces.max() <= limit
    for start, end in zip([0, *ends], ends[:-1], strict=False):
        if words[start + 1 : start + limit + 1].any():
            assert words[end]  # a word is cut only where it leaves no choice
