"""Sequences of any length as few padded batches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.serve.batches import by_length


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=20), size=st.integers(1, 8))
def test_every_sequence_is_there_once_in_a_width_that_is_a_multiple_of_8_or_the_model_s_longest(lengths, size):
    ids = [list(range(1, length + 1)) for length in lengths]
    seen = []
    for places, inputs in by_length(ids, [[1] * length for length in lengths], size, pad_id=0, longest=30):
        width = inputs["input_ids"].shape[1]
        assert width % 8 == 0 or width == 30
        assert width - max(lengths[place] for place in places) < 8
        for row, place in enumerate(places):
            np.testing.assert_array_equal(inputs["input_ids"][row, : lengths[place]], ids[place])
            assert inputs["input_mask"][row].sum() == inputs["segment_ids"][row].sum() == lengths[place]
        seen += places
    assert sorted(seen) == list(range(len(lengths)))


def test_one_sequence_has_one_of_few_widths():
    widths = {
        inputs["input_ids"].shape[1]
        for length in range(1, 65)
        for _, inputs in by_length([[1] * length], [[0] * length], 8, pad_id=0, longest=512)
    }
    assert widths == set(range(8, 65, 8))
