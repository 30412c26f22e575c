"""Reading comprehension end to end: questions or records of them to a model, its answers, and those of its folder."""

import json
import shutil

import numpy as np
import pytest

from albert_zh.cli import main
from albert_zh.config import AlbertConfig
from albert_zh.convert.tensorflow1 import read_checkpoint
from albert_zh.convert.weights import arrays_of
from albert_zh.models.by_head import model_for
from albert_zh.pretrained import load_pretrained
from albert_zh.tasks import get_task
from albert_zh.tasks.span import SpanTask
from albert_zh.training.logs import curve


@pytest.fixture(scope="module")
def questions(make_questions):
    return make_questions(train=150, longest=11)


@pytest.fixture(scope="module")
def flags(toy, questions):
    def make(folder, **changes):
        values = {
            "mode": "train_and_predict",
            "train_data_path": questions / "train.json",
            "predict_file": questions / "dev.json",
            "version_2_with_negative": "true",
            "vocab_file": toy / "vocab.txt",
            "bert_config_file": toy / "albert_config.json",
            "max_seq_length": 24,
            "train_batch_size": 8,
            "learning_rate": 0.01,
            "num_train_epochs": 6,
            "model_dir": folder,
        } | changes
        return ["squad", *(f"--{name}={value}" for name, value in values.items() if value is not None)]

    return make


@pytest.fixture(scope="module")
def finished(tmp_path_factory, flags):
    folder = tmp_path_factory.mktemp("squad") / "model"
    assert main(flags(folder)) == 0
    return folder


def held(folder, name):
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def test_answers_and_their_absence_are_learned(finished, questions):
    scores = held(finished, "metrics")["dev"]
    assert scores["f1"] > 0.8
    assert scores["unanswerable_accuracy"] > 0.8
    answers = held(finished, "predictions")
    assert list(answers) == [f"dev-{number}" for number in range(30)]
    passages = {row.id: row.context for row in get_task("squad2").read("dev", questions)}
    assert all(answer in passages[row_id] for row_id, answer in answers.items())
    best, odds = held(finished, "nbest_predictions"), held(finished, "null_odds")
    threshold = held(finished, "task")["settings"]["null_threshold"]
    for row_id, answer in answers.items():
        assert answer == ("" if odds[row_id] > threshold + 1e-6 else best[row_id][0]["text"])
        assert sum(each["probability"] for each in best[row_id]) < 1 + 1e-4


def test_the_finished_folder_answers_the_same(finished, flags, tmp_path):
    answers = held(finished, "predictions")
    alone = flags(finished, mode="predict", train_data_path=None, bert_config_file=None, vocab_file=None)
    assert main(alone) == 0
    assert held(finished, "predictions") == answers
    model = load_pretrained(finished, say=lambda _: None)
    assert type(model).__name__ == "AlbertForSpan"


def test_a_pooler_that_nobody_reads_is_left_alone(finished, toy):
    fresh = arrays_of(model_for(AlbertConfig.from_json(toy / "albert_config.json"), "span", 2, seed=12345))
    held = read_checkpoint(finished / "albert_model.ckpt", list(fresh))
    for name, array in fresh.items():
        assert np.array_equal(array, held[name]) == name.startswith("bert/pooler/"), name


def test_records_of_the_questions_end_in_the_same_weights(finished, flags, toy, questions, tmp_path):
    words = [
        f"--squad_data_file={questions / 'train.json'}", f"--train_data_output_path={tmp_path / 'train.tf_record'}",
        f"--meta_data_file_path={tmp_path / 'meta.json'}", "--fine_tuning_task_type=squad", "--max_seq_length=24",
        f"--vocab_file={toy / 'vocab.txt'}", "--version_2_with_negative=true",
    ]  # fmt: skip
    assert main(["create-finetuning-data", *words]) == 0
    given = {"train_data_path": tmp_path / "train.tf_record", "input_meta_data_path": tmp_path / "meta.json"}
    assert main(flags(tmp_path / "model", version_2_with_negative=None, max_seq_length=None, **given)) == 0
    for name in ("albert_model.ckpt.data-00000-of-00001", "predictions.json", "null_odds.json"):
        assert (tmp_path / "model" / name).read_bytes() == (finished / name).read_bytes()


def test_a_given_threshold_holds(finished, flags, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "model")
    assert main(flags(folder, mode="predict", train_data_path=None, null_score_diff_threshold=-1000)) == 0
    assert set(held(folder, "predictions").values()) == {""}


def test_a_report_shows_the_answers(finished, tmp_path):
    assert main(["report", f"--finetuned_dir={finished}", f"--output_file={tmp_path / 'report.html'}"]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "无答案 unanswerable" in page
    assert "天地 ▸" in page


def test_a_batch_held_in_parts_learns_what_it_learns_whole(flags, toy, tmp_path, capsys):
    config = json.loads((toy / "albert_config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # each part draws its own masks
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    losses = []
    for size in (0, 3):
        folder = tmp_path / f"model{size}"
        changes = {"bert_config_file": tmp_path / "config.json", "num_train_epochs": 1, "learning_rate": 0.001}
        assert main(flags(folder, micro_batch_size=size, **changes)) == 0
        losses.append(curve(folder / "log.csv", "train", "loss")[1])
    assert "8 rows (3 at once on a device)" in capsys.readouterr().out
    assert len(losses[0]) > 10
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_data_path": None}, "missing --train_data_path"),
        ({"doc_stride": 0}, "--doc_stride=0: must be 1 or more"),
        ({"mode": "serve"}, "--mode: 'serve' is not one of"),
        ({"predict_file": "nowhere.json"}, "nowhere.json"),
    ],
)
def test_what_cannot_be_done_is_said(flags, tmp_path, capsys, changes, message):
    assert main(flags(tmp_path / "out", **changes)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_settings_of_another_kind_are_refused(finetune_flags, tmp_path, capsys):
    assert main(["finetune", *finetune_flags(tmp_path / "out", doc_stride=64)]) == 2
    assert "--doc_stride: lcqmc has no such setting" in capsys.readouterr().err
    assert isinstance(get_task("squad"), SpanTask)
