"""The checkpoints of a run: the last few, whole; a folder belongs to one run."""

import errno
import math
import os

import numpy as np
import pytest

from albert_zh.convert import tensorflow1
from albert_zh.convert.tensorflow1 import open_stored, write_checkpoint
from albert_zh.files import InputError, read_json
from albert_zh.pretrained import Source
from albert_zh.training.checkpoints import RUN_FILE, Checkpoints, claim_folder

ARRAYS = {"a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "a/kernel/lamb_m": np.ones((2, 3), np.float32)}
RUN = {"kind": "pretraining", "learning_rate": 0.001, "input_file": ["a.tfrecord"]}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_comes_back(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest() is None
    checkpoints.save(7, ARRAYS, best=-1.25, best_step=4)
    saved = checkpoints.latest()
    assert (saved.step, saved.best, saved.best_step) == (7, -1.25, 4)
    assert saved.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(saved.arrays[name], array)


def test_no_best_yet_is_told_from_any_number(tmp_path):
    Checkpoints(tmp_path).save(1, ARRAYS, best=math.nan, best_step=0)
    assert math.isnan(Checkpoints(tmp_path).latest().best)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_few_are_kept_by_number_and_the_best_always(tmp_path, keep):
    checkpoints = Checkpoints(tmp_path, keep)
    write_checkpoint(checkpoints.best_prefix, ARRAYS)
    for step in (8, 9, 10, 100):
        checkpoints.save(step, ARRAYS, 0.0, 0)
    kept = {8: [100], 9: [10, 100], 10: [9, 10, 100]}[8 + keep - 1]
    steps = ["best", *map(str, kept)]
    assert names(tmp_path) == sorted(
        f"model.ckpt-{step}.{suffix}" for step in steps for suffix in ("index", "data-00000-of-00001")
    )
    assert checkpoints.latest().step == 100


def test_a_write_that_fails_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, ARRAYS, 0.0, 0)
    replace = os.replace

    def full_at_the_index(source, target):
        if str(target).endswith(".index"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(tensorflow1.os, "replace", full_at_the_index)
        with pytest.raises(InputError, match=r"model\.ckpt-2: the checkpoint cannot be written"):
            checkpoints.save(2, ARRAYS, 0.0, 0)
    assert checkpoints.latest().step == 1
    checkpoints.save(2, ARRAYS, 0.0, 0)
    assert checkpoints.latest().step == 2
    assert names(tmp_path) == ["model.ckpt-2.data-00000-of-00001", "model.ckpt-2.index"]


def test_a_damaged_checkpoint_is_refused(tmp_path):
    Checkpoints(tmp_path).save(1, ARRAYS, 0.0, 0)
    data = tmp_path / "model.ckpt-1.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"model\.ckpt-1: its \.index lists .* the download was cut off"):
        Checkpoints(tmp_path).latest()


def test_a_folder_is_marked_and_the_same_run_may_go_on(tmp_path):
    claim_folder(tmp_path / "new" / "out", RUN)
    claim_folder(tmp_path / "new" / "out", dict(RUN))
    assert read_json(tmp_path / "new" / "out" / RUN_FILE) == RUN


def test_a_run_that_left_no_checkpoint_gives_way_to_one_with_corrected_options(tmp_path):
    claim_folder(tmp_path, RUN)
    (tmp_path / "log.csv").write_text("old", encoding="utf-8")
    claim_folder(tmp_path, RUN | {"learning_rate": 0.002})
    assert read_json(tmp_path / RUN_FILE)["learning_rate"] == 0.002
    assert names(tmp_path) == [RUN_FILE]


def test_another_run_is_refused_with_what_differs(tmp_path):
    claim_folder(tmp_path, RUN)
    Checkpoints(tmp_path).save(3, ARRAYS, 0.0, 0)
    with pytest.raises(
        InputError, match=r"holds another run: learning_rate was 0\.001 there, is 0\.002 now\. .*--overwrite"
    ):
        claim_folder(tmp_path, RUN | {"learning_rate": 0.002})
    with pytest.raises(InputError, match=r"kind was 'pretraining' there, is 'finetuning' now \(and 1 more differ\)"):
        claim_folder(tmp_path, RUN | {"kind": "finetuning", "new": 1})
    assert read_json(tmp_path / RUN_FILE) == RUN


def test_checkpoints_of_somebody_else_are_refused_and_left_alone(tmp_path):
    write_checkpoint(tmp_path / "albert_model.ckpt", ARRAYS)
    before = names(tmp_path)
    with pytest.raises(InputError, match="already holds checkpoints that this project did not train"):
        claim_folder(tmp_path, RUN)
    assert names(tmp_path) == before


def test_other_files_in_the_folder_do_no_harm(tmp_path):
    (tmp_path / "nohup.out").write_text("x", encoding="utf-8")
    claim_folder(tmp_path, RUN)
    assert names(tmp_path) == ["nohup.out", RUN_FILE]


def test_weights_a_run_starts_from_are_never_replaced_by_it(tmp_path):
    write_checkpoint(tmp_path / "albert_model.ckpt", ARRAYS)
    before = names(tmp_path)
    source = Source(open_stored(tmp_path / "albert_model.ckpt"), tmp_path, config=None, vocabularies=())
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"is --output_dir and also the folder of --init_checkpoint"):
            claim_folder(tmp_path, RUN, overwrite=overwrite, source=source)
    assert names(tmp_path) == before


def test_overwrite_starts_the_same_run_over(tmp_path):
    claim_folder(tmp_path, RUN)
    Checkpoints(tmp_path).save(3, ARRAYS, 0.0, 0)
    claim_folder(tmp_path, RUN, overwrite=True)
    assert names(tmp_path) == [RUN_FILE]


def test_overwrite_drops_the_other_run_and_nothing_else(tmp_path):
    claim_folder(tmp_path, RUN)
    Checkpoints(tmp_path).save(3, ARRAYS, 0.0, 0)
    write_checkpoint(tmp_path / "model.ckpt-best", ARRAYS)
    write_checkpoint(tmp_path / "albert_model.ckpt", ARRAYS)
    for name in ("log.csv", "notes.txt", "eval_results.json", "answers.tsv"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "tensorboard" / "train").mkdir(parents=True)
    (tmp_path / "tensorboard" / "train" / "events.1").write_text("x", encoding="utf-8")
    claim_folder(tmp_path, RUN | {"learning_rate": 0.002}, overwrite=True, products=["answers.*"])
    assert names(tmp_path) == ["notes.txt", RUN_FILE]
    assert read_json(tmp_path / RUN_FILE)["learning_rate"] == 0.002
    assert Checkpoints(tmp_path).latest() is None
