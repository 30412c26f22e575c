"""Records of a task's rows: written, read back, and as good a way into the same fine-tuning as the rows."""

import json

import numpy as np
import pytest
import tensorflow as tf

from albert_zh.cli import main
from albert_zh.files import InputError
from albert_zh.prepared import prepared_task
from albert_zh.tasks import get_task
from albert_zh.text.tokenizer import load_tokenizer

WEIGHTS = "albert_model.ckpt.data-00000-of-00001"


@pytest.fixture(scope="module")
def records(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    assert main(["create-finetuning-data", *words(toy, folder)]) == 0
    return folder


def words(toy, folder, **changes):
    values = {
        "classification_task_name": "LCQMC",
        "input_data_dir": toy / "pairs",
        "train_data_output_path": folder / "train.tf_record",
        "eval_data_output_path": folder / "dev.tf_record",
        "test_data_output_path": folder / "test.tf_record",
        "meta_data_file_path": folder / "meta.json",
        "vocab_file": toy / "vocab.txt",
        "max_seq_length": 24,
        "tokenization": "WordPiece",
    } | changes
    return [f"--{name}={value}" for name, value in values.items() if value is not None]


def test_the_records_are_those_of_the_model_garden(records):
    about = json.loads((records / "meta.json").read_text(encoding="utf-8"))
    assert {name: about[name] for name in list(about)[:-1]} == {
        "task_type": "bert_classification", "train_data_size": 96, "eval_data_size": 40, "test_data_size": 41,
        "max_seq_length": 24, "processor_type": "lcqmc", "num_labels": 2,
    }  # fmt: skip
    fixed = {name: tf.io.FixedLenFeature([24], tf.int64) for name in ("input_ids", "input_mask", "segment_ids")}
    fixed |= {name: tf.io.FixedLenFeature([], tf.int64) for name in ("label_ids", "is_real_example")}
    raw = list(tf.data.TFRecordDataset(str(records / "train.tf_record")).as_numpy_iterator())
    parsed = [tf.io.parse_single_example(each, fixed) for each in raw]
    assert {int(each["label_ids"]) for each in parsed} == {0, 1}
    assert all(each["input_ids"][0] == 2 for each in parsed)


def test_what_is_read_back_is_what_the_rows_give(records, toy):
    task = get_task("lcqmc")
    tokenizer = load_tokenizer(toy / "vocab.txt")
    files = {"train": str(records / "train.tf_record"), "test": str(records / "test.tf_record")}
    prepared = prepared_task(str(records / "meta.json"), files)
    for split in files:
        mine = prepared.featurize(prepared.read(split, ""), tokenizer, 24)
        rows = task.read(split, toy / "pairs")
        its = task.featurize(rows, tokenizer, 24)
        for name in ("input_ids", "segment_ids"):
            for one, other in zip(getattr(mine, name), getattr(its, name), strict=True):
                np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(mine.labels, its.labels)
        assert [row.label for row in mine.rows] == [row.label for row in rows]


def test_both_ways_end_in_the_same_weights_and_answers(records, finetuned, finetune_flags, tmp_path, capsys):
    given = {
        "data_dir": None, "task_name": None, "max_seq_length": None, "do_train": None, "do_eval": None,
        "do_predict": None, "mode": "train_and_eval",
        "input_meta_data_path": records / "meta.json", "train_data_path": records / "train.tf_record",
        "eval_data_path": records / "dev.tf_record",
    }  # fmt: skip
    assert main(["finetune", *finetune_flags(tmp_path / "model", **given)]) == 0
    assert (tmp_path / "model" / WEIGHTS).read_bytes() == (finetuned / WEIGHTS).read_bytes()
    mine, its = (json.loads((folder / "metrics.json").read_text())["dev"] for folder in (tmp_path / "model", finetuned))
    assert mine == its
    assert main(["predict", str(tmp_path / "model"), "--text", "天地", "天"]) == 0  # the model answers text
    assert "label" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_file": None}, "give --vocab_file or --sp_model_file"),
        ({"tokenization": "SentencePiece"}, "--tokenization=SentencePiece: needs --sp_model_file"),
        ({"fine_tuning_task_type": "squad"}, "missing --squad_data_file"),
        ({"input_data_dir": None}, "missing --classification_task_name or --input_data_dir"),
        ({"classification_task_name": "cmrc2018"}, "a task of kind 'span'"),
        ({"max_seq_length": 8}, "must be from 16 to 512"),
        ({"input_data_dir": "nowhere"}, "nowhere: no such folder"),
    ],
)
def test_what_cannot_be_made_is_said_and_leaves_nothing(toy, tmp_path, capsys, changes, message):
    assert main(["create-finetuning-data", *words(toy, tmp_path / "out", **changes)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_records_of_another_task_vocabulary_or_kind_are_refused(records, toy, tmp_path):
    meta, train = str(records / "meta.json"), {"train": str(records / "train.tf_record")}
    with pytest.raises(InputError, match="records of lcqmc, not of --task_name=tnews"):
        prepared_task(meta, train, "tnews")
    (tmp_path / "vocab.txt").write_text((toy / "vocab.txt").read_text(encoding="utf-8") + "龟\n", encoding="utf-8")
    task = prepared_task(meta, train)
    with pytest.raises(InputError, match="made with another vocabulary"):
        task.featurize(task.read("train", ""), load_tokenizer(tmp_path / "vocab.txt"), 24)
    (tmp_path / "meta.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="no 'task_type' and 'max_seq_length'"):
        prepared_task(str(tmp_path / "meta.json"), train)
    with pytest.raises(InputError, match=r"meta\.json"):
        prepared_task(meta, {"train": str(records / "meta.json")}).read("train", "")
