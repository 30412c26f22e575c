"""The log of a run: one row a value, the same file after a crash and a resume as without one."""

import csv
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.python.summary.summary_iterator import summary_iterator

from albert_zh.files import InputError
from albert_zh.training.logs import RunLog, curve, progress_bar, read_log


def write(folder, steps, resumed=0):
    log = RunLog(folder, resumed)
    for step in steps:
        log.add(step, "train", {"mlm_loss": 1 / step, "sop_loss": 0.1})
        if step % 2 == 0:
            log.add(step, "dev", {"mlm_loss": 2 / step})
    log.sync()
    log.close()
    return folder / "log.csv"


def test_a_row_holds_step_split_name_and_the_exact_value(tmp_path):
    path = write(tmp_path, [1, 2, 3])
    with open(path, encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["step", "split", "name", "value"]
    assert rows[1] == ["1", "train", "mlm_loss", "1.0"]
    assert len(rows) == 1 + 3 * 2 + 1
    assert float(rows[-2][3]) == 1 / 3  # to the last bit
    assert read_log(path) == [tuple(row) for row in rows[1:]]


def test_a_curve_is_one_quantity_of_one_split(tmp_path):
    path = write(tmp_path, [1, 2, 3, 4])
    assert curve(path, "train", "mlm_loss") == ([1, 2, 3, 4], [1.0, 0.5, 1 / 3, 0.25])
    assert curve(path, "dev", "mlm_loss") == ([2, 4], [1.0, 0.5])
    assert curve(path, "dev", "accuracy") == ([], [])


def test_a_missing_log_is_an_empty_one(tmp_path):
    assert read_log(tmp_path / "log.csv") == []


@settings(max_examples=20, deadline=None)
@given(cut=st.floats(0, 1))
def test_a_resumed_log_equals_one_never_interrupted_wherever_it_was_cut(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("log")
    whole = write(folder, range(1, 7)).read_bytes()
    rest = whole[whole.index(b"5,train") :]
    kept = whole[: len(whole) - len(rest)]  # synced up to the checkpoint of step 4
    (folder / "log.csv").write_bytes(kept + rest[: int(len(rest) * cut)])
    assert write(folder, [5, 6], resumed=4).read_bytes() == whole


def test_a_line_cut_by_a_crash_is_left_out(tmp_path):
    path = write(tmp_path, range(1, 5))
    rows, content = read_log(path), path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        assert read_log(path) == rows[: max(content[:length].count(b"\n") - 1, 0)]


def test_a_run_started_anew_drops_the_old_rows(tmp_path):
    write(tmp_path, range(1, 5))
    assert [row[0] for row in read_log(write(tmp_path, [1]))] == ["1", "1"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_said(tmp_path):
    log = RunLog(tmp_path)
    log._stream.close()
    log._stream = open("/dev/full", "w", encoding="utf-8", newline="")
    log._csv = csv.writer(log._stream)
    with pytest.raises(InputError, match=r"log\.csv: cannot be written: the disk is full"):
        log.add(1, "train", {"loss": 1.0})


def test_only_the_chief_writes(tmp_path):
    log = RunLog(tmp_path, write=False)
    log.add(1, "train", {"x": 1.0})
    log.sync()
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_holds_the_same_values(tmp_path):
    write(tmp_path, [1, 2])
    found = []
    for split in ("train", "dev"):
        for file in (tmp_path / "tensorboard" / split).iterdir():
            for event in summary_iterator(str(file)):
                found += [(event.step, split, value.tag) for value in event.summary.value]
    assert sorted(found) == sorted((int(step), split, name) for step, split, name, _ in read_log(tmp_path / "log.csv"))


def test_the_bar_starts_where_the_run_does_and_a_quiet_one_prints_nothing(capsys):
    for quiet in (False, True):
        bar = progress_bar(10, 4, "update", quiet)
        bar.update(1)
        bar.close()
        shown = capsys.readouterr().err
        assert ("5/10" in shown or "4/10" in shown) is not quiet
