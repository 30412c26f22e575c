"""Entities from a user's own files end to end: learned with a CRF or without, answered again, shown; resumed."""

import csv
import json
import shutil
import signal

import numpy as np
import pytest

from albert_zh.cli import main
from albert_zh.tasks import task_of

from ..conftest import CHARACTERS

#: Kills itself before an update, then runs what is on the command line.
KILLED = """
import os, signal, sys
from albert_zh.cli import main
from albert_zh.training.loop import Loop

step = Loop.step

def killing_step(self, batch, number, rate):
    if number == int(os.environ["KILL_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, number, rate)

Loop.step = killing_step
sys.exit(main(["finetune", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Columns for train and test, JSON lines for dev: what comes of the last characters is an entity, its first
    character says of which type. A third of the texts are longer than a window."""
    folder, dice = tmp_path_factory.mktemp("own"), np.random.default_rng(3)

    def text(size):
        parts, entities, length = [], [], 0
        for number in range(size):
            kind = number % 2 and int(dice.integers(0, 3))
            pool = [CHARACTERS[:14], CHARACTERS[14:21], CHARACTERS[21:]][kind]
            part = "".join(dice.choice(list(pool), dice.integers(1, 4)))
            if kind:
                entities.append(("山水"[kind - 1], length, length + len(part)))
            parts.append(part)
            length += len(part)
        return "".join(parts), entities

    for split, count in (("train", 120), ("dev", 30), ("test", 21)):
        made = [text(15 if number % 3 == 0 else 4) for number in range(count)]
        if split == "dev":
            lines = []
            for characters, entities in made:
                label = {}
                for name, start, end in entities:
                    spots = label.setdefault(name, {}).setdefault(characters[start:end], [])
                    spots.append([start, end - 1])
                lines.append(json.dumps({"text": characters, "label": label}, ensure_ascii=False) + "\n")
            (folder / "dev.jsonl").write_text("".join(lines), encoding="utf-8")
            continue
        sentences = []
        for characters, entities in made:
            tags = ["O"] * len(characters)
            for name, start, end in entities:
                tags[start:end] = [f"B-{name}", *[f"I-{name}"] * (end - start - 1)]
            sentences.append("".join(f"{c} {tag}\n" for c, tag in zip(characters, tags, strict=True)))
        (folder / f"{split}.txt").write_text("\n".join(sentences), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def flags(own, finetune_flags):
    """``flags(folder, flag=value, …)``: a command line that learns the own files."""
    files = {"train_file": own / "train.txt", "dev_file": own / "dev.jsonl", "test_file": own / "test.txt"}
    base = {"data_dir": None, "task_name": "custom", "tagging": "true", **files, "num_train_epochs": 10}
    return lambda folder, **changes: finetune_flags(folder, **(base | changes))


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, flags):
    """``plain`` and ``crf``: what one command each leaves."""
    folder = tmp_path_factory.mktemp("runs")
    assert main(["finetune", *flags(folder / "plain")]) == 0
    assert main(["finetune", *flags(folder / "crf", crf="true")]) == 0
    return folder


@pytest.mark.parametrize("name", ["plain", "crf"])
def test_own_entities_are_learned_and_the_folder_knows_its_types(runs, name):
    folder = runs / name
    scores = metrics(folder)
    assert scores["dev"]["f1"] > 0.9
    assert scores["test"]["f1"] > 0.9  # test has tags too
    assert scores["dev"]["f1"] > scores["baselines"]["dev"]["训练集词典 dictionary of train"]
    about = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    assert (about["kind"], about["labels"]) == ("tagging", ["O", "B-山", "I-山", "B-水", "I-水"])
    assert about["settings"] == {"crf": name == "crf"}
    assert about["custom"]["types"] == ["山", "水"]


def test_answers_are_pieces_of_the_texts(runs, own):
    task = task_of(json.loads((runs / "crf" / "task.json").read_text(encoding="utf-8")))
    rows = task.read("test", "")
    predictions = task.read_predictions(runs / "crf" / "test_predictions.tsv")
    assert task.score(predictions, rows)["f1"] == metrics(runs / "crf")["test"]["f1"]
    assert all(
        entity.end <= len(row.text) for row, own in zip(rows, predictions, strict=True) for entity in own.entities
    )
    with open(runs / "crf" / "test_predictions.tsv", encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [line["text"] for line in table] == [row.text for row in rows]


@pytest.mark.parametrize("name", ["plain", "crf"])
def test_a_finished_folder_answers_again_without_its_training_file(runs, own, flags, tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(runs / name, folder)
    answers = (folder / "test_predictions.tsv").read_bytes()
    (folder / "test_predictions.tsv").unlink()
    given = {"do_train": None, "do_eval": None, "train_file": None, "dev_file": None, "tagging": None}
    model = {"vocab_file": None, "bert_config_file": None, "max_seq_length": None}
    assert main(["finetune", *flags(folder, **given, **model)]) == 0
    assert (folder / "test_predictions.tsv").read_bytes() == answers


def test_a_finished_folder_is_not_asked_otherwise(runs, flags, own, finetuned, tmp_path, capsys):
    shutil.copytree(runs / "plain", tmp_path / "plain")
    given = {"do_train": None, "do_eval": None}
    assert main(["finetune", *flags(tmp_path / "plain", **given, label_column="标签", tagging=None)]) == 2
    assert "--label_column: the model finds entities in texts" in capsys.readouterr().err
    assert main(["finetune", *flags(tmp_path / "out", **given, init_checkpoint=finetuned)]) == 2
    assert "the model is one of lcqmc" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"regression": "true"}, "--regression: of a table with a label a row"),
        ({"text_column": "句子"}, "--text_column: of a table with a label a row"),
        ({"task_name": "cluener"}, "--tagging: of your own data, which needs --task_name=custom"),
        ({"doc_stride": 8}, "--doc_stride: custom has no such setting"),
        ({"prompt": "true", "prompt_template": "{mask}{text_a}"}, "--prompt: custom asks for no label of a whole text"),
        ({"tagging": None, "crf": "true"}, "none of the columns"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(changes, said, flags, tmp_path, capsys):
    assert main(["finetune", *flags(tmp_path / "out", **changes)]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["plain", "crf"])
def test_the_report_shows_scores_of_each_type_and_texts_with_entities(runs, name, tmp_path):
    page = tmp_path / "report.html"
    assert main(["report", f"--finetuned_dir={runs / name}", f"--output_file={page}"]) == 0
    text = page.read_text(encoding="utf-8")
    for said in ("类型 type", "精确 precision", "|山]", "训练集词典", f"{metrics(runs / name)['dev']['f1']:.1%}"[:4]):
        assert said in text


def test_a_few_sentences_of_each_type(flags, tmp_path, capsys):
    assert main(["finetune", *flags(tmp_path / "few", few_shot=4, num_train_epochs=1)]) == 0
    said = capsys.readouterr().out
    assert "of the 120 training rows, 4 of each of 2 types" in said
    assert metrics(tmp_path / "few")["few_shot"]["rows"] <= 8


def test_killed_and_resumed_ends_in_the_answers_of_one_left_alone(runs, flags, start, tmp_path):
    words = flags(tmp_path / "killed", crf="true")
    steps = metrics(runs / "crf")["steps"]
    for kill_at in (20, steps - 3):
        process = start(["-c", KILLED, *words], {"KILL_AT": str(kill_at)})
        _, errors = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, errors
        assert list((tmp_path / "killed").glob("model.ckpt-*.index"))
    assert main(["finetune", *words]) == 0
    for name in ("dev_predictions.tsv", "test_predictions.tsv", "albert_model.ckpt.data-00000-of-00001"):
        assert (tmp_path / "killed" / name).read_bytes() == (runs / "crf" / name).read_bytes()
