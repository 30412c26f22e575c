"""Batches are a function of seed and step; every row comes once an epoch; what does not fit is named."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from albert_zh.files import InputError
from albert_zh.pretrain.example import Padding, encode_instance
from albert_zh.pretrain.records import RecordIndex
from albert_zh.tasks.task import Features
from albert_zh.training.batches import FeatureBatches, PretrainingBatches, ShuffledOrder, choose_widths, prefetched

# ---------------------------------------------------------------------------------------------------------------- order


@given(size=st.integers(1, 50), seed=st.integers(0, 2**31), epoch=st.integers(0, 5))
def test_every_epoch_is_a_permutation(size, seed, epoch):
    rows = ShuffledOrder(size, seed).rows(epoch * size, size)
    assert sorted(rows.tolist()) == list(range(size))


@given(
    size=st.integers(1, 20),
    seed=st.integers(0, 99),
    cuts=st.lists(st.integers(0, 100), max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_the_order_is_the_same_however_it_is_sliced(size, seed, cuts, order):
    whole = ShuffledOrder(size, seed).rows(0, 101)
    edges = sorted({0, 101, *cuts})
    pieces = list(itertools.pairwise(edges))
    order.shuffle(pieces)  # read in any order, as replicas and resumed runs do
    sliced = ShuffledOrder(size, seed)
    for start, stop in pieces:
        assert sliced.rows(start, stop - start).tolist() == whole[start:stop].tolist()


def test_epochs_and_seeds_differ():
    order = ShuffledOrder(100, 1)
    assert order.rows(0, 100).tolist() != order.rows(100, 100).tolist()
    assert order.rows(0, 100).tolist() != ShuffledOrder(100, 2).rows(0, 100).tolist()


# ---------------------------------------------------------------------------------------------------------- pretraining

WIDTHS = {"max_seq_length": 16, "max_predictions": 3, "vocab_size": 40}


@pytest.fixture
def records(tmp_path, random_instances, write_records):
    """``records(instances=…, padding=…)``: an index of them."""

    def make(instances=None, padding=None, name="r.tfrecord"):
        return RecordIndex(write_records(tmp_path / name, instances or random_instances(6), padding))

    return make


def test_a_batch_holds_the_records_in_the_order_asked(records, random_instances):
    instances = random_instances(6)
    batch = PretrainingBatches(records(), **WIDTHS).read([4, 0, 2])
    assert {name: (array.dtype.name, array.shape) for name, array in batch.items()} == {
        "input_ids": ("int32", (3, 16)),
        "input_mask": ("int32", (3, 16)),
        "segment_ids": ("int32", (3, 16)),
        "masked_lm_positions": ("int32", (3, 3)),
        "masked_lm_ids": ("int32", (3, 3)),
        "masked_lm_weights": ("float32", (3, 3)),
        "next_sentence_labels": ("int32", (3,)),
        "row_weights": ("float32", (3,)),
    }
    for place, row in enumerate([4, 0, 2]):
        one, n, k = instances[row], len(instances[row].input_ids), len(instances[row].positions)
        for name, values, width in (
            ("input_ids", one.input_ids, 16),
            ("input_mask", np.ones(n), 16),
            ("segment_ids", one.segment_ids, 16),
            ("masked_lm_positions", one.positions, 3),
            ("masked_lm_ids", one.labels, 3),
            ("masked_lm_weights", np.ones(k), 3),
        ):
            np.testing.assert_array_equal(batch[name][place], np.pad(values, (0, width - len(values))), err_msg=name)
        assert batch["next_sentence_labels"][place] == one.swapped
    assert batch["row_weights"].tolist() == [1, 1, 1]


def test_padded_and_unpadded_records_give_equal_batches(records):
    plain, padded = records(), records(padding=Padding(16, 3), name="p.tfrecord")
    for rows in ([0, 1, 2, 3, 4, 5], [5, 5, 0]):
        first, second = (PretrainingBatches(index, **WIDTHS).read(rows) for index in (plain, padded))
        assert first.keys() == second.keys()
        for name in first:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_rows_filled_up_count_for_nothing(records):
    batches = PretrainingBatches(records(), **WIDTHS)
    short, filled = batches.read([3, 1]), batches.read([3, 1], 5)
    for name in short:
        np.testing.assert_array_equal(filled[name][:2], short[name])
        assert not filled[name][2:].any(), name
    assert filled["row_weights"].tolist() == [1, 1, 0, 0, 0]


def test_a_record_longer_than_asked_is_refused_with_file_record_and_flag(records, random_instances):
    longest = max(range(6), key=lambda row: len(random_instances(6)[row].input_ids))
    n = len(random_instances(6)[longest].input_ids)
    batches = PretrainingBatches(records(), **(WIDTHS | {"max_seq_length": n - 1}))
    with pytest.raises(
        InputError, match=rf"r\.tfrecord: record {longest}: \w+ holds {n} values, more than --max_seq_length={n - 1}"
    ):
        batches.read(range(6))


def test_too_many_predictions_are_refused(records):
    batches = PretrainingBatches(records(padding=Padding(16, 7)), **WIDTHS)
    with pytest.raises(InputError, match=r"r\.tfrecord: record 0: masked_lm_\w+ holds 7 .*--max_predictions_per_seq=3"):
        batches.read([0, 1])


@pytest.mark.parametrize("name", ["input_ids", "labels"])
def test_an_id_beyond_the_vocabulary_is_refused(name, records, random_instances):
    instances = random_instances(6)
    getattr(instances[2], name)[0] = 40
    batches = PretrainingBatches(records(instances), **WIDTHS)
    with pytest.raises(
        InputError, match=r"r\.tfrecord: record 2: \w+ holds id 40, but .*40 entries.*another vocabulary"
    ):
        batches.read([1, 2, 3])
    batches.read([0, 1, 3])


def test_a_masked_position_beyond_the_row_is_refused(records, random_instances):
    instances = random_instances(6)
    instances[4].positions[-1] = 16
    with pytest.raises(InputError, match=r"r\.tfrecord: record 4: masked_lm_positions holds 16"):
        PretrainingBatches(records(instances), **WIDTHS).read([3, 4])


def test_the_right_file_of_several_is_named(tmp_path, random_instances, write_records):
    instances = random_instances(3)
    paths = [write_records(tmp_path / f"{name}.tfrecord", instances) for name in "ab"]
    instances[1].input_ids[0] = 99
    paths.append(write_records(tmp_path / "c.tfrecord", instances))
    with pytest.raises(InputError, match=r"c\.tfrecord: record 1: input_ids holds id 99"):
        PretrainingBatches(RecordIndex(paths), **WIDTHS).read([0, 4, 7])


def write_examples(path, *features):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for feature in features:
            lists = {
                name: tf.train.Feature(float_list=tf.train.FloatList(value=values))
                if any(isinstance(value, float) for value in values)
                else tf.train.Feature(int64_list=tf.train.Int64List(value=values))
                for name, values in feature.items()
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=lists)).SerializeToString())


@pytest.mark.parametrize(
    "feature",
    [{"label": [1]}, {"input_ids": [1.5, 2.5]}, {"input_ids": [1], "input_mask": [1]}],
    ids=["other", "type", "part"],
)
def test_records_of_something_else_are_refused(feature, tmp_path):
    write_examples(tmp_path / "other.tfrecord", feature)
    with pytest.raises(InputError, match=r"other\.tfrecord: record 0: .*not a pretraining record"):
        PretrainingBatches(RecordIndex(tmp_path / "other.tfrecord"), **WIDTHS).read([0])


def test_a_payload_that_is_no_example_is_refused_by_its_number(tmp_path, random_instances):
    with tf.io.TFRecordWriter(str(tmp_path / "text.tfrecord")) as writer:
        for payload in (encode_instance(random_instances(1)[0]), b"\xff\xff no protobuf", b"neither \x01"):
            writer.write(payload)
    batches = PretrainingBatches(RecordIndex(tmp_path / "text.tfrecord"), **WIDTHS)
    for rows, bad in (([1], 1), ([0, 1], 1), ([0, 0, 2], 2)):
        with pytest.raises(InputError, match=rf"text\.tfrecord: record {bad}: not a pretraining record"):
            batches.read(rows)


def test_a_truncated_and_an_empty_file_are_refused_with_file_and_record(tmp_path, random_instances, write_records):
    path = tmp_path / "r.tfrecord"
    write_records(path, random_instances(3))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"r\.tfrecord: record 2 .*truncated"):
        RecordIndex(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"r\.tfrecord: the file is empty"):
        RecordIndex(path)


# ------------------------------------------------------------------------------------------------------------- features


def features(lengths, size, **more):
    ids = [np.full(length, 5 + row % 30, np.int32) for row, length in enumerate(lengths)]
    segments = [(np.arange(length) > length // 2).astype(np.int32) for length in lengths]
    rows = np.arange(len(lengths), dtype=np.int32)
    return FeatureBatches(Features(ids, segments, rows, rows, rows), size=size, pad_id=3, **more)


LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=80)


@given(lengths=LENGTHS, size=st.integers(1, 9), seed=st.integers(0, 9), epoch=st.integers(0, 3))
def test_an_epoch_holds_each_row_once_and_no_batch_is_over_its_size(lengths, size, seed, epoch):
    batches = features(lengths, size, seed=seed)
    parts = [batches.rows(epoch * batches.per_epoch + place) for place in range(batches.per_epoch)]
    assert sorted(row for part in parts for row in part.tolist()) == list(range(len(lengths)))
    assert max(map(len, parts)) <= size
    again = features(lengths, size, seed=seed)  # asked for out of order, as a resumed run does
    for place in reversed(range(batches.per_epoch)):
        assert again.rows(epoch * batches.per_epoch + place).tolist() == parts[place].tolist()


@given(lengths=LENGTHS, size=st.integers(1, 9), widths=st.integers(0, 4))
def test_a_width_is_the_smallest_that_holds_the_longest_row(lengths, size, widths):
    batches = features(lengths, size, widths=widths)
    assert all(width % 8 == 0 for width in batches.widths)
    assert len(batches.widths) <= widths or not widths
    for place in range(batches.per_epoch):
        longest = max(lengths[row] for row in batches.rows(place))
        assert batches.width(batches.rows(place)) == min(width for width in batches.widths if width >= longest)


def test_epochs_differ_and_their_batches_hold_neighbours_by_length():
    dice = np.random.default_rng(0)
    lengths = dice.integers(1, 65, 320).tolist()
    batches = features(lengths, 10, seed=4)
    first, second = ([batches.rows(e * 32 + i).tolist() for i in range(32)] for e in (0, 1))
    assert first != second
    assert {frozenset(rows) for rows in first} != {frozenset(rows) for rows in second}
    spread = np.mean([np.ptp([lengths[row] for row in rows]) for rows in first])
    assert spread < 4  # of a random batch it would be about 52
    longest = [max(lengths[row] for row in rows) for rows in first]
    assert longest != sorted(longest)  # the batches themselves come in random order


def test_rows_are_read_padded_and_labelled():
    batches = features([2, 9, 4], size=4)
    batch = batches.read([2, 0], size=4)
    assert {name: array.shape for name, array in batch.items()} == {
        "input_mask": (4, 8),
        "segment_ids": (4, 8),
        "input_ids": (4, 8),
        "labels": (4,),
        "row_weights": (4,),
    }
    assert batch["input_ids"].tolist()[:2] == [[7] * 4 + [3] * 4, [5] * 2 + [3] * 6]
    assert batch["input_mask"].sum(axis=1).tolist() == [4, 2, 1, 1]  # a row of padding keeps one token
    assert batch["segment_ids"].tolist()[0] == [0, 0, 0, 1, 0, 0, 0, 0]
    assert (batch["labels"].tolist(), batch["row_weights"].tolist()) == ([2, 0, 0, 0], [1, 1, 0, 0])
    assert batches.read([2, 0], size=2, width=24)["input_ids"].shape == (2, 24)


def test_the_choices_of_a_row_stand_together():
    lengths = [[3, 9, 1], [12, 2, 4], [5, 5, 20], [6, 1, 1]]  # three choices of each of four rows
    ids = [np.full(length, 5 + place, np.int32) for place, length in enumerate(np.ravel(lengths))]
    segments = [(np.arange(len(each)) > 1).astype(np.int32) for each in ids]
    labels = np.array([2, 0, 1, 1], np.int32)
    batches = FeatureBatches(Features(ids, segments, labels, [], np.arange(4), choices=3), size=2, pad_id=3)
    assert (batches.lengths.tolist(), batches.tokens.tolist(), batches.per_epoch) == (
        [9, 12, 20, 6],
        [13, 18, 30, 8],
        2,
    )
    assert sorted(batches.rows(0).tolist() + batches.rows(1).tolist()) == [0, 1, 2, 3]
    assert [rows.tolist() for rows in batches.by_length()] == [[3, 0], [1, 2]]
    batch = batches.read([1, 0], size=3)
    assert {name: array.shape for name, array in batch.items()} == {
        "input_mask": (3, 3, 16),
        "segment_ids": (3, 3, 16),
        "input_ids": (3, 3, 16),
        "labels": (3,),
        "row_weights": (3,),
    }
    assert (batch["labels"].tolist(), batch["row_weights"].tolist()) == ([0, 2, 0], [1, 1, 0])
    for place, row in enumerate([1, 0]):
        for number in range(3):
            length = lengths[row][number]
            assert batch["input_ids"][place, number].tolist() == [5 + row * 3 + number] * length + [3] * (16 - length)
            assert batch["input_mask"][place, number].tolist() == [1] * length + [0] * (16 - length)
            assert batch["segment_ids"][place, number].sum() == max(length - 2, 0)
    assert batch["input_mask"][2].sum(axis=-1).tolist() == [1, 1, 1]  # of the row that fills up the batch


@given(lengths=LENGTHS, size=st.integers(1, 9))
def test_evaluation_sees_every_row_once_shortest_first(lengths, size):
    rows = [row for part in features(lengths, size).by_length() for row in part.tolist()]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=12), count=st.integers(1, 4))
def test_widths_leave_the_least_padding_of_all_choices(lengths, count):
    def padded(widths):
        return sum(min(width for width in widths if width >= length) for length in lengths)

    top = -(-max(lengths) // 8) * 8
    smaller = range(8, top, 8)
    best = min(padded([*some, top]) for k in range(count) for some in itertools.combinations(smaller, k))
    chosen = choose_widths(np.array(lengths), count).tolist()
    assert len(chosen) <= count
    assert chosen[-1] == top
    assert padded(chosen) == best


def test_no_limit_gives_every_multiple_of_8():
    assert choose_widths(np.array([3, 30]), 0).tolist() == [8, 16, 24, 32]


# ------------------------------------------------------------------------------------------------------------- prefetch


def test_values_come_in_order_and_are_made_ahead_by_one():
    made = []

    def make(i):
        made.append(i)
        return i * i

    seen = []
    for i, value in prefetched(make, 3, 7):
        seen.append((i, value))
        assert max(made) <= i + 1
    assert seen == [(3, 9), (4, 16), (5, 25), (6, 36)]
    assert made == [3, 4, 5, 6]
    assert list(prefetched(make, 7, 7)) == []


def test_an_error_in_making_reaches_the_caller_after_what_came_before_it():
    def make(i):
        if i == 2:
            raise InputError("record 2 is damaged")
        return i

    values = prefetched(make, 0, 5)
    assert [next(values), next(values)] == [(0, 0), (1, 1)]
    with pytest.raises(InputError, match="record 2 is damaged"):
        next(values)


def test_a_caller_may_stop_early():
    made = []
    for i, _ in prefetched(made.append, 0, 1000):
        if i == 2:
            break
    assert len(made) <= 4
