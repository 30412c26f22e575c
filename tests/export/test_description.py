"""``model.json`` says what a program must know, as the model itself has it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from albert_zh.export import description
from albert_zh.export.options import ExportOptions


@pytest.fixture
def described(tmp_path):
    """``described(opened, **options)``: ``model.json`` read back, of a folder with two files."""

    def make(opened, **changes):
        folder = tmp_path / "export"
        (folder / "1").mkdir(parents=True)
        (folder / "model.tflite").write_bytes(b"weights")
        (folder / "1" / "graph").write_bytes(b"")
        description.write(opened, folder, ExportOptions(**{"model": "", "output_dir": "", "to": "litert"} | changes))
        return json.loads((folder / "model.json").read_text(encoding="utf-8"))

    return make


def test_a_pair_model_s_labels_length_and_tokenizer_are_there(finished, described):
    opened = finished("lcqmc", lower_case=False)
    found = described(opened, quantize="dynamic")
    words = Path(opened.tokenizer.path).read_text(encoding="utf-8").splitlines()
    assert found | {"files": 0, "settings": 0} == {
        "format": "litert",
        "quantize": "dynamic",
        "signature": "serving_default",
        "inputs": {name: {"dtype": "int32", "shape": [1, -1]} for name in ("input_ids", "input_mask", "segment_ids")},
        "dynamic": True,
        "max_seq_length": 24,
        "task": "lcqmc",
        "kind": "pair",
        "labels": ["0", "1"],
        "label_names": list(opened.label_names),
        "settings": 0,
        "tokenizer": "wordpiece",
        "lower_case": False,
        "special_ids": {name: words.index(f"[{name.upper()}]") for name in ("pad", "unk", "cls", "sep", "mask")},
        "files": 0,
    }


def test_each_file_is_there_with_its_size_and_hash_but_not_the_description(finished, described):
    assert described(finished("lcqmc"))["files"] == {
        "1/graph": {"bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()},
        "model.tflite": {"bytes": 7, "sha256": hashlib.sha256(b"weights").hexdigest()},
    }


def test_a_file_of_one_length_says_which(finished, described):
    found = described(finished("lcqmc"), max_seq_length="16")
    assert (found["dynamic"], found["max_seq_length"]) == (False, 16)
    assert {tuple(each["shape"]) for each in found["inputs"].values()} == {(1, 16)}


def test_other_targets_take_any_batch(finished, described):
    assert {tuple(each["shape"]) for each in described(finished("lcqmc"), to="onnx")["inputs"].values()} == {(-1, -1)}


def test_a_pretrained_model_has_no_labels_and_all_its_positions(finished, described):
    found = described(finished(""))
    assert (found["task"], found["kind"], found["labels"], found["max_seq_length"]) == (None, "pretrained", [], 64)


def test_the_chain_over_tags_is_there_number_for_number(finished, described):
    opened = finished("cluener", crf=True)
    found = described(opened)
    assert found["kind"] == opened.task.kind
    for name, value in opened.model.decoding_weights().items():
        np.testing.assert_array_equal(np.array(found[name], np.float32), value)
    assert np.shape(found["transitions"]) == (21, 21)


def test_a_cloze_says_its_template_and_words(finished, described, prompt):
    found = described(finished("lcqmc", prompt=prompt))
    assert found["prompt"] == {"template": "{text_a}。{mask}的，{text_b}", "words": {"0": "不", "1": "是"}}
