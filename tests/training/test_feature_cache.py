"""Features kept on disk: what is read back is what was made, once, and only for the same rows and settings."""

import dataclasses

import numpy as np
import pytest

from albert_zh.cli import main
from albert_zh.tasks import Features
from albert_zh.training.feature_cache import Ragged, cached

ROWS = ["one", "two", "three"]


def features(**changes):
    ids = [np.arange(size, dtype=np.int32) for size in (3, 1, 5)]
    made = Features(
        input_ids=ids,
        segment_ids=[np.ones_like(each) for each in ids],
        labels=np.array([[1, 2], [0, 0], [-1, -1]], np.int32),
        rows=ROWS,
        row_numbers=np.array([0, 1, 1], np.int32),
        truncated=2,
        places={"first": np.array([0, 0, 7], np.int32)},
    )
    return dataclasses.replace(made, **changes)


def same(one, other):
    for name in ("input_ids", "segment_ids", "labels"):
        for mine, its in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_array_equal(mine, its)
    np.testing.assert_array_equal(one.row_numbers, other.row_numbers)
    np.testing.assert_array_equal(one.places["first"], other.places["first"])
    assert (one.truncated, one.choices, list(one.rows)) == (other.truncated, other.choices, list(other.rows))


@pytest.mark.parametrize(
    "made", [features(), features(labels=[np.array([-1, 4, -1]), np.array([-1]), np.arange(5)]), features(choices=3)]
)
def test_what_is_kept_is_what_was_made(tmp_path, made):
    first = cached(tmp_path, {"key": 1}, ROWS, lambda: made)
    again = cached(tmp_path, {"key": 1}, ROWS, lambda: pytest.fail("made twice"))
    same(first, made)
    same(again, made)
    assert isinstance(again.input_ids.values, np.memmap)


def test_another_origin_is_made_anew_and_a_damaged_folder_too(tmp_path):
    cached(tmp_path, {"key": 1}, ROWS, features)
    other = cached(tmp_path, {"key": 2}, ROWS, lambda: features(truncated=9))
    assert other.truncated == 9
    assert len(list(tmp_path.iterdir())) == 2
    for folder in tmp_path.iterdir():
        (folder / "bounds.npy").write_bytes(b"nothing")
    same(cached(tmp_path, {"key": 1}, ROWS, features), features())


def test_rows_of_many_lengths_are_read_like_a_list():
    ragged = Ragged(np.arange(6), np.array([0, 1, 1, 6]))
    assert [each.tolist() for each in ragged] == [ragged[i].tolist() for i in range(3)] == [[0], [], [1, 2, 3, 4, 5]]
    assert ragged[-1].tolist() == [1, 2, 3, 4, 5]
    with pytest.raises(IndexError):
        ragged[3]


def test_a_run_on_kept_features_is_the_run_without(finetuned, finetune_flags, tmp_path, monkeypatch):
    kept = tmp_path / "kept"
    for folder in ("first", "second"):
        assert main(["finetune", *finetune_flags(tmp_path / folder, cached_dir=kept)]) == 0
        weights = "albert_model.ckpt.data-00000-of-00001"
        assert (tmp_path / folder / weights).read_bytes() == (finetuned / weights).read_bytes()
    assert len(list(kept.iterdir())) == 3  # train, dev, test
