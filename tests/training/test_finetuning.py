"""Fine-tuning through its command: what is learned, kept, resumed, scored and written."""

import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from albert_zh.cli import CHECKOUT, main
from albert_zh.config import AlbertConfig
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertForPretraining
from albert_zh.report.content import Report, task_report
from albert_zh.report.page import render_report
from albert_zh.tasks import get_task
from albert_zh.training.checkpoints import Checkpoints
from albert_zh.training.loop import Loop

SAMPLES = Path(CHECKOUT) / "data"
#: What two runs of the same cannot share.
MEASURED = {"seconds": 0, "memory_mb": 0}


def finetune(flags, status=0):
    assert main(["finetune", *flags]) == status


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def table(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def answers(folder):
    """Everything a run answers, as bytes, and its weights."""
    names = "dev_predictions.tsv test_predictions.tsv lcqmc_predict.tsv albert_model.ckpt.data-00000-of-00001".split()
    return {name: (folder / name).read_bytes() for name in names}


def shares(path):
    return np.array([[float(row["probability_0"]), float(row["probability_1"])] for row in table(path)])


def log(folder, split, name):
    rows = [row for row in csv.DictReader(open(folder / "log.csv", encoding="utf-8")) if row["split"] == split]
    return {int(row["step"]): float(row["value"]) for row in rows if row["name"] == name}


# What is learned


def test_a_separable_task_is_learned_from_random_weights_by_the_script_as_users_type_it(tmp_path, finetune_flags):
    flags = finetune_flags(tmp_path / "out", do_train="True", do_eval="True", do_predict="True")
    flags = [flag for flag in flags if not flag.startswith("--eval_steps")]  # the recipe's own: four looks an epoch
    done = subprocess.run(
        [sys.executable, os.path.join(CHECKOUT, "run_classifier.py"), *flags],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    scores = metrics(tmp_path / "out")
    assert min(scores["dev"]["accuracy"], scores["test"]["accuracy"]) > 0.95
    assert list(log(tmp_path / "out", "dev", "accuracy")) == list(range(3, 49, 3))
    # What the user sees: results on standard output, the bar on standard error and without a terminal as lines.
    assert "random weights" in done.stdout
    assert re.search(r"^update 48: dev loss [\d.]+ accuracy \d+\.\d\d%", done.stdout, re.MULTILINE)
    result = re.search("^test accuracy .*", done.stdout, re.MULTILINE)[0]
    assert re.search("majority class .* character overlap .* clearly above", result)
    assert "48/48" in done.stderr
    assert "48/48" not in done.stdout
    assert "\r" not in done.stderr
    assert done.stderr.count("/48 [") <= 3


def test_both_spellings_of_true_and_a_rerun_give_the_same_and_another_seed_gives_another(
    tmp_path, finetune_flags, finetuned
):
    finetune(finetune_flags(tmp_path / "again", do_train="True", do_eval="True", do_predict="True"))
    assert answers(tmp_path / "again") == answers(finetuned)
    first, second = metrics(tmp_path / "again"), metrics(finetuned)
    assert first | MEASURED == second | MEASURED
    finetune(finetune_flags(tmp_path / "other", random_seed=7, do_predict="false"))
    other = tmp_path / "other" / "dev_predictions.tsv"
    assert other.read_bytes() != (finetuned / "dev_predictions.tsv").read_bytes()
    assert not (tmp_path / "other" / "test_predictions.tsv").exists()


def test_the_best_model_by_dev_is_kept_and_not_the_last(tmp_path, toy, finetune_flags):
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "test"):
        (data / f"{split}.txt").write_text((toy / "pairs" / f"{split}.txt").read_text(encoding="utf-8"))
    flipped = [
        f"{line[:-1]}{1 - int(line[-1])}\n"
        for line in (toy / "pairs" / "dev.txt").read_text(encoding="utf-8").splitlines()
    ]
    (data / "dev.txt").write_text("".join(flipped), encoding="utf-8")  # the better trained, the worse on dev
    finetune(finetune_flags(tmp_path / "out", data_dir=data, eval_steps=1, num_train_epochs=1))
    scores, dev = metrics(tmp_path / "out"), log(tmp_path / "out", "dev", "accuracy")
    assert dev[12] < max(dev.values())
    assert scores["best_step"] == max(dev, key=dev.__getitem__) < 12
    assert scores["dev"]["accuracy"] == pytest.approx(max(dev.values()))
    finetune([f for f in finetune_flags(tmp_path / "out", data_dir=data) if "do_train" not in f])
    assert metrics(tmp_path / "out")["dev"] == scores["dev"]


def test_test_is_never_used_to_choose_and_the_layout_of_the_files_does_not_matter(
    tmp_path, toy, finetune_flags, finetuned
):
    layouts = {"permuted": tmp_path / "permuted", "unlabelled": tmp_path / "unlabelled"}
    for name, folder in layouts.items():
        folder.mkdir()
        for split in ("train", "dev", "test"):
            rows = [row.split("\t") for row in (toy / "pairs" / f"{split}.txt").read_text("utf-8").splitlines()]
            header = ["text_a", "text_b", "label"]
            if split == "test" and name == "permuted":
                labels = [row[2] for row in rows]
                random.Random(1).shuffle(labels)
                rows = [[*row[:2], label] for row, label in zip(rows, labels, strict=True)]
            elif split == "test":
                rows, header = [row[:2] for row in rows], header[:2]
            rows = [header, *rows] if name == "permuted" or split == "train" else rows
            suffix = "tsv" if name == "permuted" else "txt"
            (folder / f"{split}.{suffix}").write_text("".join("\t".join(row) + "\n" for row in rows), "utf-8")
    for name, data in layouts.items():
        finetune(finetune_flags(tmp_path / f"{name}_out", data_dir=data))
        mine, reference = answers(tmp_path / f"{name}_out"), answers(finetuned)
        del mine["test_predictions.tsv"], reference["test_predictions.tsv"]  # they hold the gold labels
        assert mine == reference
    permuted, unlabelled = (metrics(tmp_path / f"{name}_out") for name in layouts)
    assert permuted["test"]["accuracy"] < 0.8 < metrics(finetuned)["test"]["accuracy"]
    assert unlabelled["test"] == {"rows": 41}
    assert unlabelled["dev"] == metrics(finetuned)["dev"]
    assert {row["gold"] for row in table(tmp_path / "unlabelled_out" / "test_predictions.tsv")} == {""}


def test_every_row_is_answered_in_the_order_of_the_file(toy, finetuned):
    for split, count in (("dev", 40), ("test", 41)):
        lines = (toy / "pairs" / f"{split}.txt").read_text(encoding="utf-8").splitlines()
        rows = table(finetuned / f"{split}_predictions.tsv")
        assert ["\t".join((row["text_a"], row["text_b"], row["gold"])) for row in rows] == lines
        assert [row["id"] for row in rows] == [str(number) for number in range(count)]
        np.testing.assert_allclose(shares(finetuned / f"{split}_predictions.tsv").sum(axis=1), 1, atol=2e-6)
    labels = [row["label"] for row in table(finetuned / "test_predictions.tsv")]
    assert (finetuned / "lcqmc_predict.tsv").read_text() == "index\tprediction\n" + "".join(
        f"{number}\t{label}\n" for number, label in enumerate(labels)
    )


def test_a_finished_folder_holds_the_model_and_what_was_measured_and_nothing_of_the_way(finetuned):
    names = {file.name for file in finetuned.iterdir()}
    assert names == {
        *("albert_config.json", "albert_model.ckpt.index", "albert_model.ckpt.data-00000-of-00001", "vocab.txt"),
        *("task.json", "metrics.json", "run.json", "log.csv", "tensorboard"),
        *("dev_predictions.tsv", "test_predictions.tsv", "lcqmc_predict.tsv"),
    }
    about = json.loads((finetuned / "task.json").read_text(encoding="utf-8"))
    assert about["task"] == "lcqmc"
    assert about["labels"] == ["0", "1"]
    assert about["max_seq_length"] == 24
    assert metrics(finetuned)["settings"]["random_seed"] == 12345
    assert metrics(finetuned)["steps"] == 48
    assert set(metrics(finetuned)["baselines"]) == {"dev", "test"}


# Stopped and gone on with


def test_a_run_killed_in_the_middle_goes_on_to_the_same_answers(tmp_path, finetune_flags, finetuned):
    flags = finetune_flags(tmp_path / "out")
    command = [sys.executable, "-m", "albert_zh", "finetune", *flags]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8", cwd=CHECKOUT
    ) as run:
        for line in run.stdout:
            if line.startswith("update 24:"):
                break
        os.kill(run.pid, signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert not (tmp_path / "out" / "task.json").exists()
    finetune(flags)
    assert answers(tmp_path / "out") == answers(finetuned)
    assert list(log(tmp_path / "out", "dev", "loss")) == [12, 24, 36, 48]


def test_a_run_stopped_by_ctrl_c_says_how_to_go_on_and_does(tmp_path, finetune_flags, finetuned, stopped_at, capsys):
    with stopped_at(30):
        finetune(finetune_flags(tmp_path / "out"), status=130)
    assert "run the same command again" in capsys.readouterr().err
    assert Checkpoints(tmp_path / "out").latest().step == 24
    finetune(finetune_flags(tmp_path / "out"))
    assert "going on after update 24" in capsys.readouterr().out
    assert answers(tmp_path / "out") == answers(finetuned)


def test_a_finished_run_is_not_trained_again_and_answers_test_when_asked_later(
    tmp_path, finetune_flags, finetuned, monkeypatch, capsys
):
    finetune(finetune_flags(tmp_path / "out", do_predict="false"))
    assert "test" not in metrics(tmp_path / "out")
    monkeypatch.setattr(Loop, "step", None)  # an update would now fail
    finetune(finetune_flags(tmp_path / "out"))
    assert answers(tmp_path / "out") == answers(finetuned)
    assert metrics(tmp_path / "out") | MEASURED == metrics(finetuned) | MEASURED
    capsys.readouterr()
    finetune(finetune_flags(tmp_path / "out"))
    assert "finished before, nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("split", ["dev", "test"])
def test_changed_rows_and_lost_answers_are_answered_again(split, tmp_path, finetune_flags, toy, monkeypatch):
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(toy / "pairs", data)
    flags = finetune_flags(out, data_dir=data)
    finetune(flags)
    kept = answers(out)
    monkeypatch.setattr(Loop, "step", None)  # an update would now fail
    (out / f"{split}_predictions.tsv").unlink()
    finetune(flags)
    assert answers(out) == kept
    if split == "test":  # another dev file is another run
        lines = (data / "test.txt").read_text(encoding="utf-8").splitlines(keepends=True)
        (data / "test.txt").write_text("".join(lines[:-1]), encoding="utf-8")
        finetune(flags)
        assert len(table(out / "test_predictions.tsv")) == metrics(out)["test"]["rows"] == len(lines) - 1


def test_a_submission_that_could_not_be_written_is_told_before_training(tmp_path, finetune_flags, monkeypatch, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "dev"):
        shutil.copy(SAMPLES / "tnews" / f"{split}.json", data)
    monkeypatch.setattr(Loop, "step", None)  # an update would fail otherwise
    flags = finetune_flags(
        tmp_path / "out",
        task_name="tnews",
        data_dir=data,
        vocab_file=Path(CHECKOUT) / "albert_config" / "vocab.txt",
        bert_config_file=_with_vocabulary_of_the_project(tmp_path),
    )
    for ids, message in (
        ("3 3", r"id 3 comes twice, again at .*test\.json:2"),
        ("1 [1]", r"json:2: the id \[1\] is"),
    ):
        rows = "".join(f'{{"id": {row_id}, "sentence": "股市大涨"}}\n' for row_id in ids.split())
        (data / "test.json").write_text(rows, encoding="utf-8")
        finetune(flags, status=2)
        assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_the_folder_of_the_weights_is_no_place_for_the_result(tmp_path, finetune_flags, toy, capsys):
    pretrained = tmp_path / "pretrained"
    save_pretrained(
        AlbertForPretraining(AlbertConfig.from_json(toy / "albert_config.json")), pretrained,
        vocabulary=toy / "vocab.txt",
    )  # fmt: skip
    before = {file.name: file.read_bytes() for file in pretrained.iterdir()}
    for changes in ({}, {"overwrite": "true"}, {"sweep": "true"}, {"sweep": "true", "overwrite": "true"}):
        finetune(finetune_flags(pretrained, init_checkpoint=pretrained, **changes), status=2)
        assert "is --output_dir and also the folder of --init_checkpoint" in capsys.readouterr().err
    finetune(finetune_flags(pretrained, sweep="true"), status=2)
    assert "holds checkpoints that this project did not train" in capsys.readouterr().err
    assert before == {file.name: file.read_bytes() for file in pretrained.iterdir()}


# Without training


def test_scoring_and_answering_alone_give_what_they_gave_after_training(tmp_path, finetune_flags, finetuned, toy):
    left_out = dict.fromkeys(("do_train", "vocab_file", "bert_config_file", "max_seq_length", "learning_rate"))
    for number, changes in enumerate(({"do_predict": None}, {"do_eval": None}, {"eval_batch_size": 3})):
        out = tmp_path / str(number)
        finetune(finetune_flags(out, init_checkpoint=finetuned, **left_out | changes))
        assert not (out / "task.json").exists(), "only scores and answers are written beside another folder's model"
        for split in ("dev", "test"):
            asked = "do_eval" if split == "dev" else "do_predict"
            assert (out / f"{split}_predictions.tsv").exists() == (asked not in changes)
            assert (split in metrics(out)) == (asked not in changes)
            if asked not in changes:
                assert metrics(out)[split] == metrics(finetuned)[split]
                np.testing.assert_allclose(
                    shares(out / f"{split}_predictions.tsv"), shares(finetuned / f"{split}_predictions.tsv"), atol=1e-5
                )


def test_answering_needs_neither_train_nor_dev_and_no_labels(tmp_path, finetune_flags, finetuned, toy, capsys):
    data = tmp_path / "data"
    data.mkdir()
    (data / "test.txt").write_text((toy / "pairs" / "test.txt").read_text(encoding="utf-8"), encoding="utf-8")
    only = dict.fromkeys(("do_train", "do_eval", "vocab_file", "bert_config_file"))
    finetune(finetune_flags(tmp_path / "out", data_dir=data, init_checkpoint=finetuned, **only))
    assert "no train file, so no trivial baselines" in capsys.readouterr().out
    assert (tmp_path / "out" / "lcqmc_predict.tsv").read_bytes() == (finetuned / "lcqmc_predict.tsv").read_bytes()


def test_a_pretrained_model_alone_cannot_answer_but_may_stand_beside_the_folder_that_can(
    tmp_path, finetune_flags, finetuned, toy, capsys
):
    pretrained = tmp_path / "pretrained"
    model = AlbertForPretraining(AlbertConfig.from_json(toy / "albert_config.json"))
    save_pretrained(model, pretrained, vocabulary=toy / "vocab.txt")
    flags = {"init_checkpoint": pretrained, "do_train": "false", "do_eval": "false", "vocab_file": None}
    finetune(finetune_flags(tmp_path / "new", **flags), status=2)
    assert "without a classifier" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", finetuned, copy], check=True)
    finetune(finetune_flags(copy, **flags))
    assert f"using the fine-tuned model of {copy}" in capsys.readouterr().out
    assert answers(copy) == answers(finetuned)


# The same numbers whatever is around


def test_padding_neighbours_and_the_size_of_the_batch_do_not_change_a_logit(toy):
    from albert_zh.convert.weights import variable_names
    from albert_zh.models.heads import AlbertForClassification
    from albert_zh.text.tokenizer import load_tokenizer
    from albert_zh.training.batches import FeatureBatches
    from albert_zh.training.objectives import ClassificationObjective
    from albert_zh.training.strategy import make_strategy

    task, tokenizer = get_task("lcqmc"), load_tokenizer(toy / "vocab.txt")
    features = task.featurize(task.read("dev", toy / "pairs"), tokenizer, 24)
    strategy = make_strategy("one_device")
    with strategy.scope():
        model = AlbertForClassification(AlbertConfig.from_json(toy / "albert_config.json"), 2, seed=3)
    logits = []
    for any_shape, size, width in ((False, 40, 24), (True, 7, 0), (True, 40, 64)):
        loop = Loop(model, variable_names(model), ClassificationObjective(), strategy, any_shape=any_shape)
        batches = FeatureBatches(features, size=size, pad_id=0)
        result = np.empty((40, 2), np.float32)
        for rows in batches.by_length():
            result[rows] = loop.predict(batches.read(rows, size, width), "logits")[: len(rows)]
        logits.append(result)
    assert np.ptp(logits[0][:, 0]) > 0.1
    np.testing.assert_allclose(logits[1], logits[0], atol=1e-5)
    np.testing.assert_allclose(logits[2], logits[0], atol=1e-5)


def test_compiled_mirrored_or_neither_the_run_is_the_same_up_to_rounding(tmp_path, toy, finetune_flags, monkeypatch):
    monkeypatch.setattr("albert_zh.models.heads.CLASSIFIER_DROPOUT", 0.0)  # XLA draws other masks
    config = AlbertConfig.from_json(toy / "albert_config.json").replace(hidden_dropout_prob=0.0)
    config.to_json(tmp_path / "config.json")
    few = {"num_train_epochs": 0.3, "eval_steps": 4, "max_seq_length": 8, "bert_config_file": tmp_path / "config.json"}
    ways = {"plain": {}, "compiled": {"jit_compile": "on"}, "mirrored": {"distribution_strategy": "mirrored"}}
    for name, changes in ways.items():
        finetune(finetune_flags(tmp_path / name, **few | changes))
    losses = {name: log(tmp_path / name, "train", "loss") for name in ways}
    assert list(losses["plain"]) == [1, 2, 3, 4]
    for name in ("compiled", "mirrored"):
        assert losses[name] == pytest.approx(losses["plain"], abs=1e-4)
        answered = shares(tmp_path / name / "test_predictions.tsv")
        np.testing.assert_allclose(answered, shares(tmp_path / "plain" / "test_predictions.tsv"), atol=1e-4)


# Another kind of file, and what is made of a run


def test_topics_are_learned_from_json_lines_and_answered_as_the_leaderboard_reads_them(tmp_path, finetune_flags):
    data = tmp_path / "data"
    data.mkdir()
    for split, count in (("train", 48), ("dev", 20), ("test", 20)):
        lines = (SAMPLES / "tnews" / f"{split}.json").read_text(encoding="utf-8").splitlines()[:count]
        (data / f"{split}.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    more = '{"id": 5, "sentence": "股市 大涨"}\n{"id": 3, "sentence": "球队夺冠"}\n'
    (data / "test1.0.json").write_text(more, encoding="utf-8")
    flags = finetune_flags(
        tmp_path / "out",
        task_name="tnews",
        data_dir=data,
        num_train_epochs=1,
        vocab_file=Path(CHECKOUT) / "albert_config" / "vocab.txt",
        bert_config_file=_with_vocabulary_of_the_project(tmp_path),
    )
    finetune(flags)
    submitted = (tmp_path / "out" / "tnews11_predict.json").read_text(encoding="utf-8").splitlines()
    answered = table(tmp_path / "out" / "test_predictions.tsv")
    assert submitted == [json.dumps({"id": int(row["id"]), "label": row["label"]}) for row in answered]
    old = (tmp_path / "out" / "tnews10_predict.json").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in old] == [5, 3]
    scores = metrics(tmp_path / "out")
    assert scores["test"] == {"rows": 20}
    assert scores["test1.0"] == {"rows": 2}
    assert list(scores["baselines"]["dev"]) == ["多数类 majority class"]


def _with_vocabulary_of_the_project(folder):
    config = AlbertConfig(
        vocab_size=21128, embedding_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    config.to_json(folder / "config.json")
    return folder / "config.json"


def test_the_report_of_a_run_says_what_its_metrics_say(toy, finetuned):
    task = get_task("lcqmc")
    rows = {split: task.read(split, toy / "pairs") for split in ("train", "dev", "test")}
    predicted = {split: task.read_predictions(finetuned / f"{split}_predictions.tsv") for split in ("dev", "test")}
    report = task_report(task, rows["train"], rows["dev"], predicted["dev"], rows["test"], predicted["test"])
    scores = metrics(finetuned)
    assert report.dev.value == scores["dev"]["accuracy"]
    assert report.test.value == scores["test"]["accuracy"]
    assert report.macro_f1 == pytest.approx(scores["dev"]["macro_f1"])
    assert {baseline.name: baseline.dev for baseline in report.baselines} == scores["baselines"]["dev"]
    assert report.confusion.sum() == 40
    assert "lcqmc" in render_report(Report("报告", tasks=(report,)))
