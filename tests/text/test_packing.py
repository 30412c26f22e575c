"""Laws of packing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.files import InputError
from albert_zh.text.packing import pack_pair, pad_batch, pair_lengths
from albert_zh.text.wordpiece import WordPieceTokenizer

TOKENIZER = WordPieceTokenizer(Path(__file__).parent.parent / "golden" / "tokenization_vocab.txt")
CLS, SEP = TOKENIZER.cls_id, TOKENIZER.sep_id
IDS = st.lists(st.integers(200, 300), max_size=40)
SOME_IDS = st.lists(st.integers(200, 300), min_size=1, max_size=40)


@given(first=IDS, max_length=st.integers(3, 50))
def test_a_single_text_fits_and_keeps_its_beginning(first, max_length):
    ids, segments = pack_pair(first, None, TOKENIZER, max_length)
    assert ids == [CLS, *first[: max_length - 2], SEP]
    assert segments == [0] * len(ids)


@given(first=SOME_IDS, second=SOME_IDS, max_length=st.integers(5, 90))
def test_a_pair_fits_in_order_and_keeps_some_of_both(first, second, max_length):
    ids, segments = pack_pair(first, second, TOKENIZER, max_length)
    assert len(ids) == len(segments) == min(max_length, len(first) + len(second) + 3)
    assert ids[0] == CLS
    assert ids[-1] == SEP
    middle = ids.index(SEP)
    kept_first, kept_second = ids[1:middle], ids[middle + 1 : -1]
    assert kept_first
    assert kept_second
    assert kept_first == first[: len(kept_first)]
    assert kept_second == second[: len(kept_second)]
    assert segments == [0] * (middle + 1) + [1] * (len(kept_second) + 1)


def test_the_longer_text_gives_token_by_token():
    for first in range(15):
        for second in range(15):
            for room in range(32):
                a, b = first, second
                while a + b > room:
                    a, b = (a - 1, b) if a > b else (a, b - 1)
                assert pair_lengths(first, second, room) == (a, b)


def test_arrays_are_packed_like_lists():
    first, second = [201, 202, 203], [204, 205]
    assert pack_pair(np.array(first), np.array(second), TOKENIZER, 6) == pack_pair(first, second, TOKENIZER, 6)


def test_a_length_without_room_is_refused():
    with pytest.raises(InputError, match="max_seq_length is 2"):
        pack_pair([201], None, TOKENIZER, 2)
    with pytest.raises(InputError, match="max_seq_length is 4"):
        pack_pair([201], [202], TOKENIZER, 4)


@given(pairs=st.lists(st.tuples(SOME_IDS, SOME_IDS), max_size=5), extra=st.integers(0, 5))
def test_a_batch_holds_the_sequences_and_padding(pairs, extra):
    sequences = [pack_pair(first, second, TOKENIZER, 30) for first, second in pairs]
    width = max((len(ids) for ids, _ in sequences), default=0) + extra
    input_ids, input_mask, segment_ids = pad_batch(sequences, width, 7)
    assert input_ids.shape == input_mask.shape == segment_ids.shape == (len(pairs), width)
    assert {array.dtype for array in (input_ids, input_mask, segment_ids)} == {np.dtype(np.int32)}
    for row, (ids, segments) in enumerate(sequences):
        rest = width - len(ids)
        assert input_ids[row].tolist() == ids + [7] * rest
        assert input_mask[row].tolist() == [1] * len(ids) + [0] * rest
        assert segment_ids[row].tolist() == segments + [0] * rest


def test_a_sequence_wider_than_the_batch_is_refused():
    with pytest.raises(InputError, match="sequence 0 has 3 tokens, the batch is 2 wide"):
        pad_batch([([1, 2, 3], [0, 0, 0])], 2, 0)
