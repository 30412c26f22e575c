"""A fine-tuned folder answers by itself, wherever it is copied, what it answered when it was made."""

import csv
import json
import shutil

import numpy as np
import pytest

from albert_zh.cli import main
from albert_zh.files import InputError
from albert_zh.serve.classifier import Classifier


def table(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def moved(finetuned, tmp_path_factory):
    """A copy of what the folder needs to answer, far from everything it was made with."""
    folder = tmp_path_factory.mktemp("elsewhere") / "model"
    folder.mkdir()
    for file in finetuned.iterdir():
        if file.suffix in (".json", ".txt") or "ckpt" in file.name:
            shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def classifier(moved):
    return Classifier(moved)


def test_a_copied_folder_gives_the_probabilities_of_the_run(classifier, finetuned):
    for split in ("dev", "test"):
        rows = table(finetuned / f"{split}_predictions.tsv")
        predictions = classifier.predict([(row["text_a"], row["text_b"]) for row in rows])
        written = [[float(row[f"probability_{label}"]) for label in "01"] for row in rows]
        np.testing.assert_allclose([p.probabilities for p in predictions], written, atol=2e-6)
        assert [p.label for p in predictions] == [row["label"] for row in rows]


def test_an_answer_does_not_depend_on_the_batch_it_is_in(classifier):
    pairs = [("天地人和", "上下"), ("木", "树"), ("春夏秋冬山水" * 9, "日月")]
    together = classifier.predict(pairs)
    alone = [classifier.predict([pair])[0] for pair in pairs]
    np.testing.assert_allclose([p.probabilities for p in alone], [p.probabilities for p in together], atol=1e-5)
    in_twos = classifier.predict(pairs, batch_size=2)
    np.testing.assert_allclose([p.probabilities for p in in_twos], [p.probabilities for p in together], atol=1e-5)
    assert classifier.predict([]) == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["天地"], "text 1: the task 'lcqmc' takes a pair of texts, got '天地'"),
        ([("天", "地"), ("天", "地", "人")], "text 2: the task 'lcqmc' takes a pair"),
        ([("天", None)], "takes a pair"),
        ([("天", "地"), ("天", " \t")], "text 2: empty"),
        ([None], "takes a pair"),
        ("天地", "where a list is needed"),
    ],
)
def test_texts_that_are_not_what_the_task_takes_are_refused(classifier, texts, message):
    with pytest.raises(InputError, match=message):
        classifier.predict(texts)


def test_the_command_answers_a_file_and_a_text(moved, tmp_path, capsys):
    (tmp_path / "in.tsv").write_text("天地人和\t上下\n春夏\t树木\n", encoding="utf-8")
    out = tmp_path / "out.tsv"
    assert main(["predict", str(moved), f"--input_file={tmp_path}/in.tsv", f"--output_file={out}"]) == 0
    lines = out.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "label\tname\tprobability\ttext"
    assert [line.split("\t")[3:] for line in lines[1:]] == [["天地人和", "上下"], ["春夏", "树木"]]
    capsys.readouterr()
    assert main(["predict", str(moved), "--text", "天地人和", "上下"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == lines[1]
    assert main(["predict", str(moved), "--text", "天,地", "人,和"]) == 0, "a comma is text"
    assert capsys.readouterr().out.endswith("\t天,地\t人,和\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--text", "天地"], "takes two texts, got 1"),
        (["--input_file=in.tsv"], "in.tsv:2: 1 column; the task 'lcqmc' takes 2, text<TAB>text"),
        (["--input_file=labelled.tsv"], "labelled.tsv:1: 3 columns; the task 'lcqmc' takes 2, text<TAB>text"),
        (["--input_file=blank.tsv"], "blank.tsv:1: empty"),
        (["--input_file=none.tsv"], "none.tsv: no rows"),
        (["--input_file=missing.tsv"], "missing.tsv: cannot be read"),
        ([], "give --text"),
        (["--text", "天", "地", "--batch_size=0"], "--batch_size=0"),
    ],
)
def test_what_cannot_be_answered_is_named_and_leaves_no_file(moved, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.tsv").write_text("天\t地\n天地\n", encoding="utf-8")
    (tmp_path / "blank.tsv").write_text("天\t \n", encoding="utf-8")
    (tmp_path / "none.tsv").write_text("\n\n", encoding="utf-8")
    (tmp_path / "labelled.tsv").write_text("天\t地\t1\n", encoding="utf-8")
    assert main(["predict", str(moved), "--output_file=out.tsv", *words]) == 2
    assert message in capsys.readouterr().err
    assert {file.name for file in tmp_path.iterdir()} == {"in.tsv", "blank.tsv", "none.tsv", "labelled.tsv"}


def test_a_label_column_is_not_answered_for_the_text(moved, tmp_path, capsys):
    folder = tmp_path / "sentiment"
    shutil.copytree(moved, folder)
    about = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    (folder / "task.json").write_text(json.dumps(about | {"task": "chnsenticorp"}), encoding="utf-8")
    (tmp_path / "in.tsv").write_text("1\t酒店很好\n", encoding="utf-8")
    assert main(["predict", str(folder), f"--input_file={tmp_path}/in.tsv"]) == 2
    assert "in.tsv:1: 2 columns; the task 'chnsenticorp' takes 1, the text. Leave labels" in capsys.readouterr().err


def test_a_folder_that_is_not_finished_or_not_whole_is_refused(moved, tmp_path):
    def broken(name, change):
        folder = tmp_path / name
        shutil.copytree(moved, folder)
        change(folder)
        with pytest.raises(InputError) as caught:
            Classifier(folder)
        return str(caught.value)

    def edit(**changes):
        def change(folder):
            about = json.loads((folder / "task.json").read_text(encoding="utf-8"))
            about = {key: value for key, value in (about | changes).items() if value is not None}
            (folder / "task.json").write_text(json.dumps(about), encoding="utf-8")

        return change

    def cut(folder):
        data = folder / "albert_model.ckpt.data-00000-of-00001"
        data.write_bytes(data.read_bytes()[:500])

    assert "no finished fine-tuned folder" in broken("unfinished", lambda folder: (folder / "task.json").unlink())
    assert "no key 'max_seq_length'" in broken("old", edit(max_seq_length=None))
    assert "not those of the task" in broken("labels", edit(labels=["1", "0"]))
    assert "no task 'lcqmd'. Did you mean 'lcqmc'" in broken("task", edit(task="lcqmd"))
    assert "no vocabulary" in broken("words", lambda folder: (folder / "vocab.txt").unlink())
    assert "no config" in broken("config", lambda folder: (folder / "albert_config.json").unlink())
    assert "cut off" in broken("weights", cut)
    with pytest.raises(InputError, match=r"no task\.json"):
        Classifier(tmp_path / "not_there")
