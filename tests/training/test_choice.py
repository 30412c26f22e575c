"""Multiple choice end to end: passages to a model, its answers, its report, and the answers of the finished folder."""

import json
import shutil

import numpy as np
import pytest

from albert_zh.cli import main
from albert_zh.pretrained import load_pretrained
from albert_zh.tasks import get_task

from ..conftest import CHARACTERS


def drawn(dice, half, count):
    return "".join(dice.choice(list(CHARACTERS[:14] if half else CHARACTERS[14:]), count))


@pytest.fixture(scope="module")
def passages(tmp_path_factory):
    """A folder of C3: of two to four choices the right one is of the other half of the characters than the rest."""
    folder, dice = tmp_path_factory.mktemp("passages"), np.random.default_rng(5)
    for split, count in (("train", 120), ("dev", 30), ("test", 20)):
        held = []
        for number in range(count):
            choices = [drawn(dice, 1, dice.integers(1, 5)) for _ in range(number % 3 + 1)]
            place, answer = int(dice.integers(len(choices) + 1)), drawn(dice, 0, dice.integers(1, 5))
            choices.insert(place, answer)
            asked = {"question": "天地", "choice": choices, **({"answer": answer} if split != "test" else {})}
            held.append([[drawn(dice, 1, dice.integers(1, 9)), drawn(dice, 0, 2)], [asked], str(number)])
        (folder / f"{split}.json").write_text(json.dumps(held, ensure_ascii=False), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def flags(toy):
    def make(folder, **changes):
        values = {
            "task_name": "c3",
            "vocab_file": toy / "vocab.txt",
            "bert_config_file": toy / "albert_config.json",
            "max_seq_length": 24,
            "train_batch_size": 8,
            "learning_rate": 0.003,
            "num_train_epochs": 8,
            "do_train": "true",
            "do_eval": "true",
            "do_predict": "true",
            "output_dir": folder,
        } | changes
        return ["finetune", *(f"--{name}={value}" for name, value in values.items() if value is not None)]

    return make


@pytest.fixture(scope="module")
def finished(tmp_path_factory, flags, passages):
    folder = tmp_path_factory.mktemp("c3") / "model"
    assert main(flags(folder, data_dir=passages)) == 0
    return folder


@pytest.fixture(scope="module")
def blanks(tmp_path_factory):
    """A folder of ChID: four blanks a row, the idiom is of the half that the text after the blank is of."""
    folder, dice, number = tmp_path_factory.mktemp("blanks"), np.random.default_rng(6), 0
    for split, count in (("train", 24), ("dev", 6), ("test1.1", 5), ("test1.0", 3)):
        lines, answers = [], {}
        for _ in range(count):
            candidates = [drawn(dice, place % 2, 4) for place in range(5)]
            content = []
            for place in dice.permutation(4):
                answers[f"#idiom{number}#"] = int(place)
                content.append(f"天地#idiom{number}#{drawn(dice, place % 2, 5)}")
                number += 1
            lines.append(json.dumps({"candidates": candidates, "content": content}, ensure_ascii=False))
        (folder / f"{split}.json").write_text("\n".join(lines), encoding="utf-8")
        if not split.startswith("test"):
            (folder / f"{split}_answer.json").write_text(json.dumps(answers), encoding="utf-8")
    return folder


def held(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def alone(flags, folder, **changes):
    """The flags that let a finished folder answer."""
    none = dict.fromkeys(("vocab_file", "bert_config_file", "learning_rate", "num_train_epochs", "max_seq_length"))
    return flags(folder, **none | {"do_train": "false", "train_batch_size": None} | changes)


def test_the_right_choice_is_learned(finished, passages):
    scores = held(finished, "metrics.json")
    assert scores["dev"]["accuracy"] > 0.9
    assert max(scores["baselines"]["dev"].values()) < 0.8
    rows, task = get_task("c3").read("test", passages), get_task("c3")
    lines = (finished / "c311_predict.json").read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [row.id for row in rows] == list(range(20))
    answers = [row.choices[json.loads(line)["label"]] for row, line in zip(rows, lines, strict=True)]
    assert np.mean([set(answer) <= set(CHARACTERS[14:]) for answer in answers]) > 0.9
    assert task.check_submission(finished, rows, "test")


def test_the_finished_folder_answers_the_same_and_is_what_it_says(finished, flags, passages, tmp_path):
    names = ("c311_predict.json", "dev_predictions.tsv", "test_predictions.tsv")
    before = {name: (finished / name).read_bytes() for name in names}
    folder = shutil.copytree(finished, tmp_path / "model")
    for name in names:
        (folder / name).unlink()
    assert main(alone(flags, folder, data_dir=passages)) == 0
    assert {name: (folder / name).read_bytes() for name in names} == before
    assert (held(folder, "task.json")["kind"], held(folder, "task.json")["labels"]) == ("choice", [])
    scorer = load_pretrained(folder, say=lambda _: None)  # of one choice at a time
    assert (type(scorer).__name__, scorer.num_classes) == ("AlbertForClassification", 1)


def test_rows_computed_in_batches_of_another_size_are_answered_the_same(finished, flags, passages, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "model")
    assert main(alone(flags, folder, data_dir=passages, eval_batch_size=3)) == 0  # fewer than the choices of a row
    task = get_task("c3")
    one, other = (task.read_predictions(place / "dev_predictions.tsv") for place in (finished, folder))
    assert [each.number for each in one] == [each.number for each in other]
    for first, second in zip(one, other, strict=True):
        assert first.probabilities == pytest.approx(second.probabilities, abs=1e-5)


def test_the_report_shows_the_choices(finished, tmp_path):
    assert main(["report", f"--finetuned_dir={finished}", f"--output_file={tmp_path / 'report.html'}"]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "最常见位置 most frequent place" in page
    assert "字符重合 character overlap" in page
    assert " ▸ 天地 ▸ " in page


def test_a_text_alone_is_no_question(finished, capsys):
    assert main(["predict", str(finished), "--text=天地"]) == 2
    assert "a task of kind 'choice', which a text alone does not ask" in capsys.readouterr().err


def test_idioms_are_given_once_unless_that_is_switched_off(flags, blanks, tmp_path):
    folder, task = tmp_path / "model", get_task("chid")
    assert main(flags(folder, task_name="chid", data_dir=blanks, num_train_epochs=1, train_batch_size=12)) == 0
    rows = {split: task.read(split, blanks) for split in ("dev", "test", "test1.0")}

    def most_in_a_row():
        given = {}
        for row, answer in zip(rows["dev"], task.read_predictions(folder / "dev_predictions.tsv"), strict=True):
            given.setdefault(row.group, []).append(answer.number)
        return max(max(map(numbers.count, numbers)) for numbers in given.values())

    assert held(folder, "task.json")["settings"] == {"fix": True}
    assert most_in_a_row() == 1
    for split, name in (("test", "chid11_predict.json"), ("test1.0", "chid10_predict.json")):
        assert task.check_submission(folder, rows[split], split).name == name
    assert main(alone(flags, folder, task_name="chid", data_dir=blanks, fix="false")) == 0
    assert most_in_a_row() > 1
    assert main(alone(flags, folder, task_name="chid", data_dir=blanks)) == 0  # the model's own setting
    assert most_in_a_row() == 1


def test_a_setting_of_another_task_is_refused(flags, passages, tmp_path, capsys):
    assert main(flags(tmp_path / "model", data_dir=passages, fix="true")) == 2
    assert "--fix: c3 has no such setting" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_a_few_blanks_are_drawn_row_by_row(flags, blanks, tmp_path, capsys):
    more = {"task_name": "chid", "data_dir": blanks, "num_train_epochs": 1, "do_predict": "false", "few_shot": 6}
    assert main(flags(tmp_path / "model", **more)) == 0
    assert "few-shot: 8 of the 96 training rows" in capsys.readouterr().out
