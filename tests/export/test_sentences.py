"""What both models are asked is real: dev rows, else the shipped sample, else lines of text, never too long."""

import numpy as np
import pytest

from albert_zh.export import sentences
from albert_zh.export.options import ExportOptions
from albert_zh.files import InputError


def asked(opened, count=10, **changes):
    options = ExportOptions(**{"model": "", "output_dir": "", "to": "litert"} | changes)
    return sentences.sequences(opened, options, count)


def test_the_sample_of_the_task_is_asked_where_no_folder_is_given(finished):
    opened = finished("lcqmc")
    found = asked(opened)
    assert (found.of, len(found.input_ids)) == ("sample rows of lcqmc", 10)
    rows = opened.task.read("dev", sentences._DATA / "lcqmc")[:10]
    assert [row.text_a for row in found.features.rows] == [row.text_a for row in rows]


def test_the_rows_of_a_folder_are_its_dev_rows(finished, tmp_path):
    (tmp_path / "dev.txt").write_text("天气好\t今天天气\t0\n中国\t我中国\t1\n", encoding="utf-8")
    opened = finished("lcqmc")
    found = asked(opened, data_dir=str(tmp_path))
    assert found.of == "dev rows of lcqmc"
    assert [(row.text_a, row.text_b) for row in found.features.rows] == [("天气好", "今天天气"), ("中国", "我中国")]
    cls, sep = opened.tokenizer.cls_id, opened.tokenizer.sep_id
    for ids, segments, row in zip(found.input_ids, found.segment_ids, found.features.rows, strict=True):
        first, second = (opened.tokenizer.encode(text).ids for text in (row.text_a, row.text_b))
        assert list(ids) == [cls, *first, sep, *second, sep]
        assert list(segments) == [0] * (len(first) + 2) + [1] * (len(second) + 1)


@pytest.mark.parametrize(("name", "count"), [("c3", 10), ("squad2", 10), ("cluener", 5)])
def test_of_a_task_whose_rows_are_several_sequences_whole_rows_are_asked(name, count, finished):
    opened = finished(name)
    found = asked(opened, count)
    features = found.features
    rows = opened.task.read("dev", sentences._DATA / name)[: len(features.rows)]
    assert len(opened.task.featurize(rows, opened.tokenizer, opened.max_seq_length)) == len(found.input_ids)
    fewer = opened.task.featurize(rows[:-1], opened.tokenizer, opened.max_seq_length) if len(rows) > 1 else ()
    assert len(fewer) <= count  # no row in vain


def test_a_pretrained_model_is_asked_lines_of_text(finished):
    opened = finished("")
    found = asked(opened, 7)
    assert (found.of, found.features, len(found.input_ids)) == ("lines of text", None, 7)
    assert len({tuple(ids) for ids in found.input_ids}) == 7
    for ids, segments in zip(found.input_ids, found.segment_ids, strict=True):
        assert (ids.dtype, segments.dtype, len(ids)) == (np.int32, np.int32, len(segments))
        assert (ids[0], ids[-1]) == (opened.tokenizer.cls_id, opened.tokenizer.sep_id)
        assert not segments.any()


def test_without_the_checkout_s_samples_there_are_sentences_still(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(sentences, "_DATA", tmp_path)
    single, pair = asked(finished(""), 5), asked(finished("lcqmc"), 5)
    assert single.of == pair.of == "lines of text"
    assert 0 < len(single.input_ids) <= 5
    assert not any(segments.any() for segments in single.segment_ids)
    assert all(segments.any() for segments in pair.segment_ids)  # a task of pairs is asked pairs


@pytest.mark.parametrize("name", ["lcqmc", ""])
@pytest.mark.parametrize(("length", "longest"), [("dynamic", 64), ("12", 12), ("60", 60)])
def test_no_sequence_is_longer_than_the_file_or_the_model_takes(name, length, longest, finished):
    opened = finished(name)
    found = asked(opened, 20, max_seq_length=length)
    lengths = [len(ids) for ids in found.input_ids]
    assert max(lengths) <= min(longest, opened.max_seq_length)
    assert max(lengths) == 12 or length != "12"  # longer texts are cut, not passed over


def test_rows_of_a_model_that_has_no_task_are_refused(finished):
    with pytest.raises(InputError, match=r"--data_dir=rows: .* was not fine-tuned, so it has no task with rows\."):
        asked(finished(""), data_dir="rows")


def test_a_folder_without_the_rows_is_refused(finished, tmp_path):
    with pytest.raises(InputError, match=r"dev\.txt"):
        asked(finished("lcqmc"), data_dir=str(tmp_path))
