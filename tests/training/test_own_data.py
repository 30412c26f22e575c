"""A user's own files from the command line: learned, answered, shown and converted without code; few-shot; the tasks
whose rows are no plain texts."""

import csv
import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from albert_zh.cli import CHECKOUT, main
from albert_zh.config import AlbertConfig
from albert_zh.serve.classifier import Classifier
from albert_zh.tasks import get_task
from albert_zh.training.loop import Loop

SAMPLES = Path(CHECKOUT) / "data"
CHARACTERS = "天地人和上下左右东西南北春夏秋冬山水风云日月星光花草树木"
#: What own data needs none of.
NO_FOLDER = {"data_dir": None, "task_name": "custom"}


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def table(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """CSV files as Excel writes them: a mood, and a score from 40 to 102, by which half of the characters a text uses;
    commas, quotes and line breaks in the texts."""
    folder, dice = tmp_path_factory.mktemp("own"), np.random.default_rng(7)
    for split, count in (("train", 160), ("dev", 40), ("test", 30)):
        with open(folder / f"{split}.csv", "w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["编号", "评论", "分数", "类别"][: 2 if split == "test" else 4])
            for number in range(count):
                good = 6 * int(dice.integers(0, 2))
                characters = [*dice.choice(list(CHARACTERS[:14]), good), *dice.choice(list(CHARACTERS[14:]), 6 - good)]
                text = "".join(dice.permutation(characters)) + ["", ",", '"', "\n天"][number % 4]
                row = [f"k{number}", text, 40 + 10 * good + number % 3, "好,评" if good > 3 else "差评"]
                writer.writerow(row[: 2 if split == "test" else 4])
    return folder


@pytest.fixture(scope="module")
def runs(own, tmp_path_factory, finetune_flags):
    """``labels`` and ``numbers``: what one command each leaves."""
    folder = tmp_path_factory.mktemp("runs")
    files = {f"{split}_file": own / f"{split}.csv" for split in ("train", "dev", "test")}
    for name, changes in (("labels", {}), ("numbers", {"regression": "true", "label_column": "分数"})):
        flags = finetune_flags(folder / name, **NO_FOLDER, **files, **changes, num_train_epochs=12, eval_steps=20)
        assert main(["finetune", *flags]) == 0
    return folder


# Learned and answered


def test_labels_found_in_train_are_learned_and_every_row_is_answered(runs):
    scores = metrics(runs / "labels")
    assert scores["dev"]["accuracy"] > 0.85
    assert scores["test"] == {"rows": 30}
    about = json.loads((runs / "labels" / "task.json").read_text(encoding="utf-8"))
    assert about["labels"] == sorted(["好,评", "差评"])
    assert about["custom"]["columns"] == {"text_a": "评论", "text_b": None, "label": "类别", "numbered": False}
    rows = table(runs / "labels" / "test_predictions.tsv")
    assert [row["id"] for row in rows] == [f"k{number}" for number in range(30)]


def test_numbers_are_learned_in_the_unit_of_the_files_by_the_rate_that_suits_labels(runs):
    scores = metrics(runs / "numbers")
    assert scores["dev"]["pearson"] > 0.7
    rows = table(runs / "numbers" / "dev_predictions.tsv")
    assert scores["dev"]["mse"] < 0.6 * np.var([float(row["gold"]) for row in rows])
    assert scores["baselines"]["dev"] == {"均值 mean": 0}
    answers = [float(row["value"]) for row in rows]
    assert 50 < np.mean(answers) < 90
    assert {"task.json", "albert_model.ckpt.index"} <= {file.name for file in (runs / "numbers").iterdir()}


def test_a_dev_label_that_train_does_not_have_stops_the_run_before_it_begins(own, tmp_path, finetune_flags, capsys):
    (tmp_path / "dev.csv").write_text('评论,类别\n天地,差评\n"天\n地",中评\n', encoding="utf-8")
    flags = finetune_flags(
        tmp_path / "out", **NO_FOLDER, do_predict="false", train_file=own / "train.csv", dev_file=tmp_path / "dev.csv"
    )
    assert main(["finetune", *flags]) == 2
    assert 'dev.csv:3: column \'类别\': label "中评" is not one of "好,评", "差评"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_file": None}, "missing --train_file: the rows to train on"),
        ({"dev_file": None}, "missing --dev_file: the rows the best model is chosen by"),
        ({"test_file": None}, "missing --test_file: the rows to answer"),
        ({"task_name": "lcqmc", "text_column": "评论"}, "--text_column: of your own data, which needs"),
        ({"train_file": "no/where.csv"}, "--train_file=no/where.csv: no such file"),
        ({"label_column": "心情"}, "train.csv:1: no column '心情'; the file has '编号', '评论', '分数', '类别'"),
        (
            {"label_column": "评论"},
            "train.csv:1: none of the columns '编号', '评论', '分数', '类别' is known as the text",
        ),
        ({"regression": "true", "label_column": "类别"}, "train.csv:2: column '类别': '"),
        ({"few_shot": -1}, "--few_shot=-1: must be 0 (all rows) or more"),
        ({"sweep": "true", "do_train": "false", "train_file": None}, "missing --train_file"),
    ],
)
def test_flags_that_do_not_fit_own_data_are_named(own, tmp_path, finetune_flags, capsys, changes, message):
    values = {f"{split}_file": own / f"{split}.csv" for split in ("train", "dev", "test")} | NO_FOLDER | changes
    assert main(["finetune", *finetune_flags(tmp_path / "out", **values)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_known_task_still_needs_its_folder(tmp_path, finetune_flags, capsys):
    assert main(["finetune", *finetune_flags(tmp_path / "out", data_dir=None)]) == 2
    assert "missing --data_dir: the folder of the task's train, dev and test files" in capsys.readouterr().err


# The finished folder stands alone


@pytest.fixture(scope="module")
def moved(runs, tmp_path_factory):
    """Copies of what answering needs, far from the rows they were trained on."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in ("labels", "numbers"):
        shutil.copytree(runs / name, folder / name, ignore=shutil.ignore_patterns("*.tsv", "tensorboard", "*.csv"))
    return folder


def test_a_copied_folder_gives_the_answers_of_the_run(moved, runs, own):
    with open(own / "dev.csv", encoding="utf-8-sig", newline="") as stream:
        texts = [row["评论"] for row in csv.DictReader(stream)]
    labels, numbers = Classifier(moved / "labels"), Classifier(moved / "numbers")
    assert [p.label for p in labels.predict(texts)] == [
        row["label"] for row in table(runs / "labels" / "dev_predictions.tsv")
    ]
    values = [float(row["value"]) for row in table(runs / "numbers" / "dev_predictions.tsv")]
    np.testing.assert_allclose([p.value for p in numbers.predict(texts)], values, rtol=1e-5)


def test_the_predict_command_reads_the_own_columns_and_answers_numbers(moved, own, tmp_path, capsys):
    for name, header in (("labels", "label\tname\tprobability\ttext"), ("numbers", "value\ttext")):
        out = tmp_path / f"{name}.tsv"
        assert main(["predict", str(moved / name), f"--input_file={own}/test.csv", f"--output_file={out}"]) == 0
        lines = out.read_text(encoding="utf-8").splitlines()
        assert lines[0] == header
        assert len(lines) == 31
    capsys.readouterr()
    assert main(["predict", str(moved / "numbers"), "--text", "天地人和"]) == 0
    assert 30 < float(capsys.readouterr().out.splitlines()[1].split("\t")[0]) < 110


def test_a_finished_folder_scores_and_answers_other_files_without_its_training_rows(
    moved, runs, own, tmp_path, finetune_flags
):
    none = dict.fromkeys(("do_train", "vocab_file", "bert_config_file", "max_seq_length", "learning_rate"))
    for name in ("labels", "numbers"):
        out = tmp_path / name
        files = {"dev_file": own / "dev.csv", "test_file": own / "test.csv"}
        flags = finetune_flags(out, init_checkpoint=moved / name, **none, **NO_FOLDER, **files)
        assert main(["finetune", *flags]) == 0
        assert metrics(out)["dev"] == pytest.approx(metrics(runs / name)["dev"], rel=1e-4)


def test_a_model_of_a_known_task_is_no_model_of_own_data(finetuned, own, tmp_path, finetune_flags, capsys):
    none = dict.fromkeys(("do_train", "do_predict", "vocab_file", "bert_config_file"))
    flags = finetune_flags(tmp_path / "o", init_checkpoint=finetuned, **none, **NO_FOLDER, dev_file=own / "dev.csv")
    assert main(["finetune", *flags]) == 2
    assert "the model is one of lcqmc. Give its own --task_name" in capsys.readouterr().err


def test_the_report_shows_labels_and_numbers(runs, tmp_path):
    page = tmp_path / "report.html"
    assert main(["report", f"--output_file={page}", f"--finetuned_dir={runs}/labels,{runs}/numbers"]) == 0
    text = page.read_text(encoding="utf-8")
    scores = metrics(runs / "numbers")["dev"]
    assert f"Pearson {scores['pearson']:.4f}, Spearman {scores['spearman']:.4f}, MSE {scores['mse']:.4g}." in text
    assert "误差最大的行" in text
    assert "最有把握的错误" in text or metrics(runs / "labels")["dev"]["accuracy"] == 1


def test_a_converted_folder_answers_as_the_one_it_was_made_from(moved, tmp_path):
    texts = ["天地人和", "草木星光", "春夏,花草"]
    for name in ("labels", "numbers"):
        out = tmp_path / name
        assert main(["convert", str(moved / name), str(out), "--to=huggingface"]) == 0
        before, after = (Classifier(folder).predict(texts) for folder in (moved / name, out))
        if name == "numbers":
            np.testing.assert_allclose([p.value for p in after], [p.value for p in before], rtol=1e-4)
        else:
            np.testing.assert_allclose([p.probabilities for p in after], [p.probabilities for p in before], atol=1e-5)


# Stopped, swept, mirrored


def test_a_stopped_run_on_numbers_goes_on_to_the_same_answers(
    runs, own, tmp_path, finetune_flags, stopped_at, monkeypatch
):
    files = {f"{split}_file": own / f"{split}.csv" for split in ("train", "dev", "test")}
    changes = {"regression": "true", "label_column": "分数", "num_train_epochs": 12, "eval_steps": 20}
    flags = ["finetune", *finetune_flags(tmp_path / "out", **NO_FOLDER, **files, **changes)]
    with stopped_at(50):
        assert main(flags) == 130
    assert main(flags) == 0
    for name in ("dev_predictions.tsv", "test_predictions.tsv", "albert_model.ckpt.data-00000-of-00001"):
        assert (tmp_path / "out" / name).read_bytes() == (runs / "numbers" / name).read_bytes()
    monkeypatch.setattr(Loop, "step", None)
    assert main(flags) == 0, "finished before"


def test_a_sweep_over_own_numbers_keeps_the_best_correlation(own, tmp_path, finetune_flags, capsys):
    files = {f"{split}_file": own / f"{split}.csv" for split in ("train", "dev", "test")}
    changes = {"regression": "true", "label_column": "分数", "num_train_epochs": 1, "distribution_strategy": "mirrored"}
    flags = finetune_flags(
        tmp_path / "out", **NO_FOLDER, **files, **changes, sweep="true", learning_rates="1e-4,0.02", learning_rate=None
    )
    assert main(["finetune", *flags]) == 0
    scores = metrics(tmp_path / "out")["sweep"]
    assert metrics(tmp_path / "out")["dev"]["pearson"] == pytest.approx(max(scores.values()), abs=1e-4)
    assert re.search(rf"^rate 0\.02.*: dev pearson {scores['0.02']:.4f}$", capsys.readouterr().out, re.MULTILINE)


# Few-shot


def test_few_shot_trains_on_the_same_rows_for_the_same_seed_and_says_so(tmp_path, toy, finetune_flags, capsys):
    few = {"few_shot": 6, "num_train_epochs": 2, "eval_steps": 2}
    assert main(["finetune", *finetune_flags(tmp_path / "out", **few)]) == 0
    shown = capsys.readouterr().out
    assert "few-shot: 12 of the 96 training rows, 6 of each of 2 labels" in shown
    assert "note: 4 updates teach little; --num_train_epochs=50 makes 100" in shown
    scores = metrics(tmp_path / "out")
    assert scores["few_shot"] == {"rows": 12, "of": 96, "rows_per_label": 6}
    assert scores["settings"]["few_shot"] == 6
    assert scores["steps"] == 4

    # The rows of a label are the same when the file's labels come in another order.
    data = tmp_path / "data"
    shutil.copytree(toy / "pairs", data)
    lines = (data / "train.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    lines = sorted(lines, key=lambda line: line[-2])
    (data / "train.txt").write_text("".join(lines), encoding="utf-8")
    task = get_task("lcqmc")
    chosen = [
        {(row.text_a, row.text_b) for row in task.sample(task.read("train", f), 6, 12345)}
        for f in (data, toy / "pairs")
    ]
    assert chosen[0] == chosen[1]

    # Baselines of a later look at dev are those of the rows that were trained on.
    later = dict.fromkeys(("do_train", "vocab_file", "bert_config_file", "max_seq_length"))
    (tmp_path / "out" / "dev_predictions.tsv").unlink()
    assert main(["finetune", *finetune_flags(tmp_path / "out", **later)]) == 0
    assert metrics(tmp_path / "out")["baselines"] == scores["baselines"]
    page = tmp_path / "report.html"
    assert main(["report", f"--output_file={page}", f"--finetuned_dir={tmp_path}/out"]) == 0
    assert "train 12" in page.read_text(encoding="utf-8")


def test_another_count_is_another_run(tmp_path, finetune_flags, finetuned, capsys):
    shutil.copytree(finetuned, tmp_path / "out")
    assert main(["finetune", *finetune_flags(tmp_path / "out", few_shot=6)]) == 2
    assert "holds another run: few_shot was None there, is 6 now" in capsys.readouterr().err


def test_labels_with_fewer_rows_are_named(own, tmp_path, finetune_flags, capsys):
    (tmp_path / "train.csv").write_text("text,label\n" + "天地,a\n" * 9 + "草木,b\n" * 3, encoding="utf-8")
    files = {"train_file": tmp_path / "train.csv", "dev_file": tmp_path / "train.csv", "do_predict": "false"}
    assert main(["finetune", *finetune_flags(tmp_path / "out", **NO_FOLDER, **files, few_shot=4)]) == 0
    assert "few-shot: 7 of the 12 training rows, 4 of each of 2 labels; 1 have fewer: b (3)" in capsys.readouterr().out


# Tasks whose rows are no plain texts


@pytest.mark.parametrize(
    ("name", "submissions"),
    [
        ("cluewsc2020", ["cluewsc11_predict.json", "cluewsc10_predict.json"]),
        ("xnli", ["xnli_predict.tsv"]),
        ("thucnews", []),
    ],
)
def test_a_sample_task_runs_from_its_folder_to_its_submission(tmp_path, finetune_flags, name, submissions):
    AlbertConfig(
        vocab_size=21128, embedding_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    ).to_json(tmp_path / "config.json")  # fmt: skip
    flags = finetune_flags(
        tmp_path / "out",
        task_name=name,
        data_dir=SAMPLES / name,
        num_train_epochs=1,
        vocab_file=Path(CHECKOUT) / "albert_config" / "vocab.txt",
        bert_config_file=tmp_path / "config.json",
    )
    assert main(["finetune", *flags]) == 0
    for file in submissions:
        split = "test1.0" if "10" in file else "test"
        rows = table(tmp_path / "out" / f"{split}_predictions.tsv")
        lines = (tmp_path / "out" / file).read_text(encoding="utf-8").splitlines()
        if file.endswith(".tsv"):
            assert lines[1:] == [f"{row['id']}\t{row['label']}" for row in rows]
        else:
            assert [json.loads(line)["label"] for line in lines] == [row["label"] for row in rows]
    classifier = Classifier(tmp_path / "out")
    row = random.Random(0).choice(table(tmp_path / "out" / "test_predictions.tsv"))
    texts = (row["text_a"], row["text_b"]) if "text_b" in row else row["text_a"]
    assert classifier.predict([texts])[0].label == row["label"]
    if name == "thucnews":
        names = (SAMPLES / name / "class.txt").read_text(encoding="utf-8").split()
        assert [classifier.name_of(label) for label in classifier.labels] == names
