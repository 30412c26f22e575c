"""A run killed at any moment and started again ends in the bytes of one left alone."""

import signal

import pytest

from albert_zh.training import pretraining
from albert_zh.training.logs import read_log

#: Kills itself before an update or in the middle of writing a checkpoint, then runs what is on the command line.
KILLED = """
import os, signal, sys
from albert_zh.cli import main
from albert_zh.training.loop import Loop

when, where = os.environ["KILL_WHEN"], os.environ["KILL_WHERE"]
step, replace = Loop.step, os.replace

def killing_step(self, batch, number, rate):
    if when == "before update" and number == int(where):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, number, rate)

def killing_replace(source, target):
    if when == "before rename" and str(target).endswith(where):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

Loop.step, os.replace = killing_step, killing_replace
sys.exit(main(["pretrain", *sys.argv[1:]]))
"""


def files(folder):
    """Name to bytes of all but TensorBoard's events (they hold the time) and the log."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.name not in ("log.csv", "run.json")
    }


def log(folder):
    return [row for row in read_log(folder / "log.csv") if row[2] != "updates_per_second"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, pretrain_options, words_of, start):
    """(folder of a run left alone, folder of one killed twice and resumed, what lay in it after each kill)"""
    alone, killed = (tmp_path_factory.mktemp(name) for name in ("alone", "killed"))
    pretraining.run(pretrain_options(alone))
    left = []
    kills = [("before update", "5"), ("before rename", "model.ckpt-6.index")]
    for when, where in kills:
        words = ["-c", KILLED, *words_of(pretrain_options(killed))]
        process = start(words, {"KILL_WHEN": when, "KILL_WHERE": where})
        _, errors = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, errors
        left.append(files(killed).keys())
    pretraining.run(pretrain_options(killed))
    return alone, killed, left


def test_the_kills_came_where_they_should(runs):
    after_update, in_writing = runs[2]
    assert {"model.ckpt-3.index", "model.ckpt-best.index"} <= after_update
    assert not any("ckpt-6" in name for name in after_update)
    assert "model.ckpt-6.data-00000-of-00001" in in_writing
    assert "model.ckpt-6.index" not in in_writing


def test_weights_moments_and_best_are_the_same_to_the_byte(runs):
    alone, killed, _ = runs
    first, second = files(alone), files(killed)
    assert first.keys() == second.keys()
    assert {"model.ckpt-8.index", "model.ckpt-best.index", "albert_model.ckpt.index"} <= first.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_the_log_is_the_same_but_for_the_speed(runs):
    alone, killed, _ = runs
    assert log(alone) == log(killed)
    assert len(log(alone)) > 20


def test_no_file_of_a_killed_write_is_left(runs):
    assert [path.name for path in runs[1].iterdir() if path.name.startswith(".")] == []
