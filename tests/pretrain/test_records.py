import io
import os
import resource
import struct
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from albert_zh.files import InputError
from albert_zh.pretrain.example import (
    MaskedInstance,
    Padding,
    decode_varints,
    encode_instance,
    encode_varints,
    parse_example,
    parse_instance,
)
from albert_zh.pretrain.records import RecordIndex, RecordWriter, masked_crc


def make_instance(tokens=20, predictions=3, seed=0, largest=21128):
    rng = np.random.default_rng(seed)
    return MaskedInstance(
        rng.integers(0, largest, tokens).astype(np.int32),
        (np.arange(tokens) > tokens // 2).astype(np.int32),
        np.sort(rng.choice(tokens, predictions, replace=False)).astype(np.int32),
        rng.integers(0, largest, predictions).astype(np.int32),
        bool(seed % 2),
    )


def assert_equal(first, second):
    for name in ("input_ids", "segment_ids", "positions", "labels"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    assert first.swapped == second.swapped


def write_file(path, count=5):
    instances = [make_instance(10 + seed, 1 + seed, seed) for seed in range(count)]
    with open(path, "wb") as stream:
        writer = RecordWriter(stream)
        for instance in instances:
            writer.write(instance)
    assert (writer.instances, writer.bytes) == (count, path.stat().st_size)
    return instances


@given(arrays.arrays(np.int64, st.integers(0, 300), elements=st.integers(0, 2**40)))
def test_varints_survive_encoding_and_decoding(values):
    np.testing.assert_array_equal(decode_varints(encode_varints(values)), values)


@given(st.integers(5, 512), st.integers(0, 5), st.integers(0, 3), st.booleans())
def test_an_instance_read_back_is_the_one_written(tokens, predictions, seed, padded):
    instance = make_instance(tokens, predictions, seed)
    padding = Padding(512, 77) if padded else None
    payload = encode_instance(instance, padding)
    assert_equal(parse_instance(payload), instance)
    if padded:
        lengths = {name: len(values) for name, values in parse_example(payload).items()}
        assert lengths == {
            "input_ids": 512,
            "input_mask": 512,
            "segment_ids": 512,
            "masked_lm_positions": 77,
            "masked_lm_ids": 77,
            "masked_lm_weights": 77,
            "next_sentence_labels": 1,
        }


def test_ids_beyond_the_table_are_written_right():
    instance = make_instance(largest=1 << 20)
    assert_equal(parse_instance(encode_instance(instance)), instance)


def test_lists_without_packing_are_read_too():
    def field(number, content):
        return bytes((number << 3 | 2, len(content))) + content

    def feature(name, content):
        return field(1, field(1, name) + field(2, content))

    ints = field(3, b"\x08\x07\x08\x81\x01")  # two fields of an Int64List: 7 and 129
    floats = field(2, b"\x0d" + struct.pack("<f", 1.5))
    example = parse_example(field(1, feature(b"a", ints) + feature(b"b", floats)))
    assert example["a"].tolist() == [7, 129]
    assert example["b"].tolist() == [1.5]


@pytest.mark.parametrize("padding", [None, Padding(64, 20)])
def test_tensorflow_reads_the_same_values(tmp_path, padding):
    import tensorflow as tf

    path = tmp_path / "a.tfrecord"
    instances = [make_instance(10 + seed, 1 + seed, seed) for seed in range(4)]
    with open(path, "wb") as stream:
        writer = RecordWriter(stream, padding)
        for instance in instances:
            writer.write(instance)
    payloads = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    assert payloads == RecordIndex(path).read_many(range(4))
    kinds = dict.fromkeys("input_ids input_mask segment_ids masked_lm_positions masked_lm_ids".split(), tf.int64)
    kinds |= {"next_sentence_labels": tf.int64, "masked_lm_weights": tf.float32}
    for payload, instance in zip(payloads, instances, strict=True):
        if padding:  # as the published readers parse them
            lengths = {"next_sentence_labels": 1} | {n: 20 if n.startswith("masked") else 64 for n in list(kinds)[:5]}
            lengths["masked_lm_weights"] = 20
            spec = {name: tf.io.FixedLenFeature([lengths[name]], kind) for name, kind in kinds.items()}
            parsed = tf.io.parse_single_example(payload, spec)
        else:
            spec = {name: tf.io.VarLenFeature(kind) for name, kind in kinds.items()}
            parsed = {name: value.values for name, value in tf.io.parse_single_example(payload, spec).items()}
        tokens, predictions = len(instance.input_ids), len(instance.positions)
        assert parsed["input_mask"].numpy().sum() == tokens
        assert parsed["masked_lm_weights"].numpy().sum() == predictions
        assert parsed["next_sentence_labels"].numpy().tolist() == [int(instance.swapped)]
        for name, values in (
            ("input_ids", instance.input_ids),
            ("segment_ids", instance.segment_ids),
            ("masked_lm_positions", instance.positions),
            ("masked_lm_ids", instance.labels),
        ):
            np.testing.assert_array_equal(parsed[name].numpy()[: len(values)], values)
            assert not parsed[name].numpy()[len(values) :].any()
        assert tf.train.Example.FromString(payload).SerializeToString(deterministic=True) == payload


def test_the_index_reads_any_order_over_several_files(tmp_path):
    instances = write_file(tmp_path / "a.tfrecord") + write_file(tmp_path / "b.tfrecord", 3)
    with RecordIndex(f"{tmp_path}/*.tfrecord") as index:
        assert len(index) == 8
        assert index.file_number.tolist() == [0] * 5 + [1] * 3
        for number, payload in zip((7, 0, 5), index.read_many((7, 0, 5)), strict=True):
            assert_equal(parse_instance(payload), instances[number])


def test_more_files_than_a_process_may_have_open_are_read(tmp_path):
    for number in range(100):
        write_file(tmp_path / f"{number:03d}.tfrecord", 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 80, hard))
    try:
        with RecordIndex(f"{tmp_path}/*.tfrecord") as index:
            assert index.read_many(range(200)) == index.read_many((0, 1)) * 100
            (tmp_path / "099.tfrecord").unlink()
            with pytest.raises(InputError, match=r"099\.tfrecord: cannot be read: No such file"):
                index.read(199)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_threads_read_the_same_index_at_once(tmp_path):
    write_file(tmp_path / "a.tfrecord", 40)
    index = RecordIndex(tmp_path / "a.tfrecord")
    expected = index.read_many(range(40))
    wrong = []

    def read():
        for _ in range(20):
            if index.read_many(range(40)) != expected:
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_truncated_file_is_refused_wherever_it_was_cut(tmp_path):
    path = tmp_path / "a.tfrecord"
    write_file(path, 3)
    content = path.read_bytes()
    ends = np.cumsum(RecordIndex(path).length + 16).tolist()
    for size in range(1, len(content)):
        path.write_bytes(content[:size])
        if size in ends:  # a cut between two records cannot be seen
            assert len(RecordIndex(path)) == ends.index(size) + 1
        else:
            with pytest.raises(
                InputError, match=r"a\.tfrecord: record [012] at byte [\d,]+.*truncated.*create it again"
            ):
                RecordIndex(path)


def test_a_damaged_record_is_named_by_file_number_and_byte(tmp_path):
    path = tmp_path / "b.tfrecord"
    write_file(tmp_path / "a.tfrecord")
    write_file(path, 3)
    offset = int(RecordIndex(path).offset[2])
    content = bytearray(path.read_bytes())
    content[offset + 30] ^= 1
    path.write_bytes(content)
    index = RecordIndex([tmp_path / "a.tfrecord", path])
    assert index.read(6)
    with pytest.raises(InputError, match=rf"b\.tfrecord: record 2 at byte {offset}.*checksum"):
        index.read(7)
    content[offset + 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"record 2 .*header is damaged"):
        RecordIndex(path)


def test_files_without_records_are_refused(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match=r"empty: the file is empty"):
        RecordIndex(tmp_path / "empty")
    (tmp_path / "text").write_text("this is plain text, not records")
    with pytest.raises(InputError, match="no TFRecord file"):
        RecordIndex(tmp_path / "text")
    with pytest.raises(InputError, match="no such file"):
        RecordIndex(tmp_path / "nothing")


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"\x0a\x05abc", b""])
def test_a_payload_that_is_no_example_is_an_input_error(payload):
    with pytest.raises(InputError):
        parse_instance(payload)


def test_the_masked_checksum_is_tensorflows():
    # CRC32C of "123456789" is 0xE3069283 (RFC 3720); TFRecord rotates it right by 15 and adds a constant.
    crc = 0xE3069283
    assert masked_crc(b"123456789") == ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def test_a_writers_hash_is_that_of_its_bytes():
    import hashlib

    stream = io.BytesIO()
    writer = RecordWriter(stream)
    writer.write(make_instance())
    assert writer.sha256 == hashlib.sha256(stream.getvalue()).hexdigest()
