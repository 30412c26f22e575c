"""A sweep keeps the best rate by dev, looks at test with that one alone, and goes on where it stopped."""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from albert_zh.cli import main
from albert_zh.convert.tensorflow1 import read_checkpoint
from albert_zh.tasks import get_task
from albert_zh.training import finetuning, parallel
from albert_zh.training.sweep import Losing, Trial, behind_after

RATES = "1e-6,0.01"


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def flags(finetune_flags):
    def make(folder, **changes):
        few = {"num_train_epochs": 2, "sweep": "true", "learning_rates": RATES}
        return finetune_flags(folder, **few | changes)

    return make


@pytest.fixture(scope="module")
def swept(tmp_path_factory, flags):
    """A sweep stopped by Ctrl-C in its second run, then called again: its folder, the first run's file times then."""
    folder = tmp_path_factory.mktemp("sweep") / "out"
    run = finetuning.run

    def stopped(options, *others):
        if options.learning_rate == 0.01:
            raise KeyboardInterrupt
        return run(options, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetuning, "run", stopped)
        assert main(["finetune", *flags(folder)]) == 130
    assert not (folder / "task.json").exists()
    times = {file.name: file.stat().st_mtime_ns for file in (folder / "rate_1e-06").iterdir()}
    assert "task.json" in times
    assert main(["finetune", *flags(folder)]) == 0
    return folder, times


def test_the_best_rate_by_dev_is_kept_with_its_answers_to_test(swept):
    folder, _ = swept
    by_rate = {name: metrics(folder / f"rate_{name}") for name in ("1e-06", "0.01")}
    assert metrics(folder)["sweep"] == {name: scores["dev"]["accuracy"] for name, scores in by_rate.items()}
    assert metrics(folder)["sweep"]["0.01"] > metrics(folder)["sweep"]["1e-06"]
    best = folder / "rate_0.01"
    for name in ("albert_model.ckpt.data-00000-of-00001", "dev_predictions.tsv", "lcqmc_predict.tsv", "task.json"):
        assert (folder / name).read_bytes() == (best / name).read_bytes()
    assert metrics(folder)["settings"]["learning_rate"] == 0.01
    assert metrics(folder)["test"]["rows"] == 41
    assert metrics(folder)["best_step"] == by_rate["0.01"]["best_step"]


def test_test_is_answered_by_the_chosen_rate_alone(swept):
    folder, _ = swept
    assert "test" not in metrics(folder / "rate_1e-06")
    assert not list((folder / "rate_1e-06").glob("*test*"))
    assert not list((folder / "rate_1e-06").glob("lcqmc_predict*"))


def test_a_stopped_sweep_does_not_train_a_finished_rate_again(swept, flags, capsys):
    folder, times = swept
    assert {file.name: file.stat().st_mtime_ns for file in (folder / "rate_1e-06").iterdir()} == times
    before = metrics(folder)
    assert main(["finetune", *flags(folder)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("finished before, nothing to do") == 3
    assert "learning rate 0.01, seed 12345 (2 of 2)" in shown
    assert f"rate 0.01, seed 12345: dev accuracy {before['sweep']['0.01']:.2%}" in shown
    assert "best: rate 0.01, seed 12345" in shown
    assert metrics(folder) == before


def test_a_folder_holds_a_sweep_or_a_single_run_and_not_both(swept, flags, finetuned, capsys):
    folder, _ = swept
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    assert main(["finetune", *flags(folder, sweep=None, learning_rates=None)]) == 2
    assert "holds another run" in capsys.readouterr().err
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before
    assert main(["finetune", *flags(finetuned)]) == 2
    assert "holds a run of one learning rate" in capsys.readouterr().err
    assert not list(finetuned.glob("rate_*"))


@pytest.mark.parametrize("rates", ["0.01,fast", "0.01,-1", "0.01,0"])
def test_every_rate_is_checked_before_the_first_is_run(tmp_path, flags, rates, capsys):
    assert main(["finetune", *flags(tmp_path / "out", learning_rates=rates)]) == 2
    assert "rate" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def log(folder, split):
    return [line for line in (folder / "log.csv").read_text().splitlines() if f",{split}," in line]


def without_times(metrics):
    return {key: value for key, value in metrics.items() if key not in ("seconds", "memory_mb", "trials", "settings")}


def assert_same_model(first, second):
    one, other = (read_checkpoint(folder / "albert_model.ckpt") for folder in (first, second))
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_what_runs_share_changes_none_of_them(tmp_path, flags, finetune_flags):
    # The third run of the sweep uses the rows and the compiled step of the two before, and is another seed.
    assert main(["finetune", *flags(tmp_path / "sweep", seeds=2)]) == 0
    for name, changes in (("rate_1e-06", {}), ("rate_0.01", {}), ("rate_0.01_seed_12346", {"random_seed": 12346})):
        alone = {"num_train_epochs": 2, "learning_rate": float(name.split("_")[1]), "do_predict": None} | changes
        assert main(["finetune", *finetune_flags(tmp_path / name, **alone)]) == 0
        assert_same_model(tmp_path / name, tmp_path / "sweep" / name)
        assert log(tmp_path / name, "dev") == log(tmp_path / "sweep" / name, "dev")


def test_seeds_are_run_at_the_best_rate_and_their_spread_is_told(tmp_path, flags, capsys):
    folder = tmp_path / "out"
    assert main(["finetune", *flags(folder, seeds=3)]) == 0
    said = capsys.readouterr().out
    kept = metrics(folder)
    names = ["rate_1e-06", "rate_0.01", "rate_0.01_seed_12346", "rate_0.01_seed_12347"]
    assert [trial["folder"] for trial in kept["trials"]] == names
    scores = [metrics(folder / name)["dev"]["accuracy"] for name in names[1:]]
    assert kept["seeds"]["mean"] == pytest.approx(sum(scores) / 3)
    assert kept["seeds"]["deviation"] == pytest.approx(statistics.stdev(scores))
    assert kept["dev"]["accuracy"] == max(scores)
    assert f"3 seeds: mean {sum(scores) / 3:.2%}" in said
    # Test is answered by one of them alone.
    assert sum((folder / name / "test_predictions.tsv").exists() for name in names) == 1
    assert all(trial["seconds"] > 0 and trial["memory_mb"] > 0 for trial in kept["trials"])


@pytest.fixture
def slow_rate_last(flags):
    """Flags of a sweep whose second rate learns nothing, with a look at dev every 2 of 24 updates."""
    return lambda folder: flags(folder, learning_rates="0.01,1e-7", eval_steps=2)


def test_a_run_clearly_behind_is_ended_after_half_of_its_updates(tmp_path, slow_rate_last, capsys):
    folder = tmp_path / "out"
    assert main(["finetune", *slow_rate_last(folder)]) == 0
    first, second = metrics(folder)["trials"]
    assert "stopped" not in first
    assert 12 <= second["stopped_after"] < second["steps"] == 24
    assert "where another rate had" in second["stopped"]
    assert f"stopped after update {second['stopped_after']} of 24" in capsys.readouterr().out
    assert metrics(folder)["sweep"]["0.01"] > metrics(folder)["sweep"]["1e-07"]
    assert main(["finetune", *slow_rate_last(tmp_path / "full"), "--early_stop=false"]) == 0
    assert "stopped" not in metrics(tmp_path / "full")["trials"][1]
    assert_same_model(folder, tmp_path / "full")


def test_a_sweep_killed_anywhere_ends_as_one_left_alone(tmp_path, slow_rate_last):
    assert main(["finetune", *slow_rate_last(tmp_path / "alone")]) == 0
    words = slow_rate_last(tmp_path / "killed")
    stopped_after = metrics(tmp_path / "alone")["trials"][1]["stopped_after"]
    # First in the middle of the second run, then between its last look at dev and its end.
    process = subprocess.Popen([sys.executable, "-m", "albert_zh", "finetune", *words], stdout=subprocess.DEVNULL)
    log_file = tmp_path / "killed" / "rate_1e-07" / "log.csv"
    deadline = time.monotonic() + 120
    while not (log_file.exists() and "\n6,dev" in log_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "rate_1e-07" / "task.json").exists()
    finished = finetuning.Finetuning._score

    def killed(self, *others, **more):
        if self.options.learning_rate == 1e-7:
            raise KeyboardInterrupt
        return finished(self, *others, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetuning.Finetuning, "_score", killed)
        assert main(["finetune", *words]) == 130
    assert f"\n{stopped_after},dev" in log_file.read_text()
    assert main(["finetune", *words]) == 0
    assert_same_model(tmp_path / "alone", tmp_path / "killed")
    assert without_times(metrics(tmp_path / "alone")) == without_times(metrics(tmp_path / "killed"))
    for name in ("rate_0.01", "rate_1e-07"):
        assert log(tmp_path / "alone" / name, "dev") == log(tmp_path / "killed" / name, "dev")


def test_side_by_side_the_same_run_is_chosen_and_holds_the_same_weights(tmp_path, slow_rate_last, capsys):
    for count in (1, 2):
        words = [*slow_rate_last(tmp_path / str(count)), "--seeds=2", f"--processes={count}"]
        assert main(["finetune", *words]) == 0
    alone, beside = (metrics(tmp_path / count) for count in "12")
    assert_same_model(tmp_path / "1", tmp_path / "2")
    assert alone["dev"] == beside["dev"]
    assert alone["seeds"] == beside["seeds"]
    # The slow run was ended in the one and made to its end in the other, and left out of the choice in both.
    behind = alone["trials"][1]["stopped_after"]
    assert [trials["trials"][1]["behind_after"] for trials in (alone, beside)] == [behind, behind]
    assert "stopped_after" not in beside["trials"][1]
    assert f"(clearly behind after update {behind}: not chosen)" in capsys.readouterr().out
    assert "24 updates" in (tmp_path / "2" / "rate_1e-07.log").read_text(encoding="utf-8")


def test_a_run_that_was_behind_is_not_chosen_whatever_it_came_to(tmp_path):
    def trial(name, points):
        rows = "".join(f"{step},dev,accuracy,{value}\n" for step, value in points.items())
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.csv").write_text("step,split,name,value\n" + rows)
        metrics = {"dev": {"accuracy": max(points.values()), "rows": 100.0}, "steps": max(points)}
        return Trial(1e-4, 1, tmp_path / name, get_task("lcqmc"), metrics)

    first = trial("first", {10: 0.5, 20: 0.9, 30: 0.9, 40: 0.9})
    second = trial("second", {10: 0.5, 20: 0.6, 30: 0.95, 40: 0.95})  # behind at 20, half of the way
    third = trial("third", {10: 0.5, 20: 0.8, 30: 0.8, 40: 0.8})  # clearly behind what the second had at 30 alone
    assert behind_after([first, second], get_task("lcqmc")) == [0, 20]
    assert behind_after([first, second, third], get_task("lcqmc")) == [0, 20, 0]  # which had ended by then


def test_a_killed_process_is_told_and_the_finished_runs_are_kept(tmp_path, flags, capsys):
    words = [*flags(tmp_path / "out"), "--processes=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel.Pool, "train", lambda pool, run: pool.call(tmp_path / "log", "os:_exit", 9))
        assert main(["finetune", *words]) == 2
    assert "a worker process was killed" in capsys.readouterr().err
    assert main(["finetune", *words]) == 0


def test_an_error_of_a_run_reaches_the_user_from_its_process(tmp_path, flags, capsys):
    assert main(["finetune", *flags(tmp_path / "out"), "--processes=2", "--train_batch_size=0"]) == 2
    assert main(["finetune", *flags(tmp_path / "out", max_seq_length=400), "--processes=2"]) == 2
    assert "--max_seq_length=400: the config has 64 positions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gpus", "visible", "asked", "strategy", "processes"),
    [
        (0, None, 0, "auto", 1),
        (1, None, 0, "auto", 1),
        (4, None, 0, "auto", 4),
        (4, None, 0, "mirrored", 1),
        (4, "machines", 0, "auto", 1),
        (4, None, 2, "auto", 2),
        (2, "5,7", 0, "auto", 2),
        (2, "5,7", 3, "auto", 3),
    ],
)
def test_each_process_gets_a_gpu_of_its_own(monkeypatch, gpus, visible, asked, strategy, processes):
    left, given = [], []
    if visible == "machines":
        cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    elif visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [object()] * gpus)
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, kind: left.append((devices, kind)))

    @contextlib.contextmanager
    def pool(count, prepare, turns, shared):
        given.extend(turns.get() for _ in range(count))
        assert shared == (count > gpus)
        yield None

    monkeypatch.setattr(parallel, "worker_pool", pool)
    assert parallel.processes_for(asked, strategy) == processes
    with parallel.pool_for(processes):
        pass
    names = (visible or "0,1,2,3").split(",")[:gpus]
    assert given == ([names[number % gpus] for number in range(processes)] if processes > 1 else [])
    assert left == ([([], "GPU")] if processes > 1 else [])


def test_behind_means_two_standard_errors_of_the_difference():
    losing = Losing([{10: 0.6, 20: 0.9}, {10: 0.7, 20: 0.8}], get_task("lcqmc"))
    rows = {"rows": 100.0}
    # By hand: sqrt((0.7 * 0.3 + 0.5 * 0.5) / 100) = 0.0678; 0.2 behind is more than twice that, 0.13 is not.
    assert losing(10, 0.50, rows) == "best dev accuracy 50.00%, where another rate had 70.00%"
    assert losing(10, 0.57, rows) == ""
    assert losing(10, 0.50, {"rows": 10.0}) == ""
    assert losing(5, 0.10, rows) == ""  # not before half of the updates
    assert losing(15, 0.10, rows) == ""  # nothing to compare with
    assert losing(20, 0.95, rows) == ""
    assert Losing([], get_task("lcqmc"))(20, 0.1, rows) == ""
    assert Losing([{}], get_task("lcqmc"))(20, 0.1, rows) == ""


def test_a_metric_that_is_no_share_of_rows_right_ends_no_run():
    assert Losing([{10: 0.6, 20: 0.9}], get_task("cola"))(20, -0.3, {"rows": 100.0}) == ""


def test_what_counts_is_the_best_until_then_on_both_sides():
    """As seen on IFLYTEK: a run that had been the best by far fell below one at chance, and was ended and left out."""
    losing = Losing([{10: 0.8, 20: 0.3}], get_task("lcqmc"))
    assert losing(20, 0.5, {"rows": 100.0})  # the other had 0.8 once
    assert losing(20, 0.8, {"rows": 100.0}) == ""
