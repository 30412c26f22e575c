"""A sweep keeps the best rate by dev, looks at test with that one alone, and goes on where it stopped."""

import json

import pytest

from albert_zh.cli import main
from albert_zh.training import finetuning

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

    def stopped(options):
        if options.learning_rate == 0.01:
            raise KeyboardInterrupt
        return run(options)

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
    assert "learning rate 0.01 (2 of 2)" in shown
    assert f"rate 0.01: dev accuracy {before['sweep']['0.01']:.2%}" in shown
    assert "best: 0.01" in shown
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
