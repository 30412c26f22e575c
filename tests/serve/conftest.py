"""Small models of every kind that this room asks: pretrained, of reading comprehension, of tagging."""

import json
import threading

import numpy as np
import pytest

from albert_zh.cli import main
from albert_zh.config import AlbertConfig
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertForPretraining

from ..conftest import CHARACTERS


@pytest.fixture(scope="session")
def make_pretrained(toy, tmp_path_factory):
    """``make_pretrained(more_words, config field=value, …)``: a pretraining model with random weights, as a folder."""

    def make(words=(), **changes):
        folder = tmp_path_factory.mktemp("pretrained")
        entries = [*(toy / "vocab.txt").read_text(encoding="utf-8").split(), *words]
        (folder / "vocab.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
        config = AlbertConfig.from_json(toy / "albert_config.json").replace(vocab_size=len(entries), **changes)
        model = AlbertForPretraining(config, seed=4)
        save_pretrained(model, folder / "model", vocabulary=folder / "vocab.txt")
        return folder / "model"

    return make


@pytest.fixture(scope="session")
def pretrained_model(make_pretrained):
    return make_pretrained(num_hidden_layers=2)


@pytest.fixture(scope="session")
def questions(make_questions):
    return make_questions(train=90, longest=13)


@pytest.fixture(scope="session")
def reading(questions, finetune_flags, tmp_path_factory):
    """The folder of a model that answers questions, or says that there is no answer; passages may need windows."""
    folder = tmp_path_factory.mktemp("reading") / "squad2"
    flags = finetune_flags(folder, task_name="squad2", data_dir=questions, do_predict="false", eval_steps=None)
    assert main(["finetune", *flags]) == 0
    return folder


@pytest.fixture(scope="session")
def tagging(finetune_flags, tmp_path_factory):
    """The folder of a tagging model with a CRF; every third text needs windows."""
    rows, dice = tmp_path_factory.mktemp("tags"), np.random.default_rng(4)
    for split, count in (("train", 80), ("dev", 24)):
        lines = []
        for number in range(count):
            text, label = "", {}
            for part in range(12 if number % 3 == 0 else 4):
                name = "山水"[int(dice.integers(2))] if part % 2 else ""
                pool = {"": CHARACTERS[:14], "山": CHARACTERS[14:21], "水": CHARACTERS[21:]}[name]
                mention = "".join(dice.choice(list(pool), dice.integers(1, 4)))
                if name:
                    spots = label.setdefault(name, {}).setdefault(mention, [])
                    spots.append([len(text), len(text) + len(mention) - 1])
                text += mention
            lines.append(json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n")
        (rows / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    folder = tmp_path_factory.mktemp("tagging") / "own"
    files = {"train_file": rows / "train.jsonl", "dev_file": rows / "dev.jsonl", "data_dir": None}
    words = {"task_name": "custom", "tagging": "true", "crf": "true", "do_predict": "false", "eval_steps": None}
    assert main(["finetune", *finetune_flags(folder, **files, **words)]) == 0
    return folder


@pytest.fixture(scope="session")
def in_threads():
    """``in_threads(function)``: its results in eight threads that start together."""

    def run(function):
        found, start = [None] * 8, threading.Barrier(8)

        def work(number):
            start.wait()
            try:
                found[number] = function()
            except BaseException as error:
                found[number] = error

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    return run
