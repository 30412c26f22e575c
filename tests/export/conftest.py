"""What the tests of several exports share: finished folders of every kind of task, of a shrunk network with random
weights, and texts of their vocabulary."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from albert_zh import pretrained, save_pretrained
from albert_zh.models.by_head import model_for
from albert_zh.models.heads import AlbertForPretraining, AlbertModel
from albert_zh.opened import open_model
from albert_zh.tasks import Prompt, get_task
from albert_zh.text.tokenizer import load_tokenizer

GOLDEN = Path(__file__).parents[1] / "golden"
VOCABULARY = GOLDEN / "tokenization_vocab.txt"
LENGTH = 24


@pytest.fixture(scope="session")
def lines():
    """Texts with all that is hard to tokenise, none of them empty."""
    rows = (GOLDEN / "tokenization.jsonl").read_text(encoding="utf-8").splitlines()
    return [text for row in rows if (text := json.loads(row)["text"]).strip()]


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny_config):
    """``finished(task_name, crf=False, prompt=None, family="google", length=24, …)``: a model as ``finetune`` leaves
    it, opened; task_name "" gives a pretrained one, "encoder" one without heads."""
    held = {}

    def make(
        name, *, crf=False, prompt=None, family="google", ln_type="postln", length=LENGTH, lower_case=True, **settings
    ):
        key = (name, crf, prompt, family, ln_type, length, lower_case, *settings.items())
        if key not in held:
            folder = tmp_path_factory.mktemp("finished") / "model"
            tokenizer = load_tokenizer(VOCABULARY, lower_case=lower_case)
            config = tiny_config(family=family, ln_type=ln_type, vocab_size=tokenizer.vocab_size, initializer_range=0.3)
            about = {"lower_case": lower_case}
            if name in ("", "encoder"):
                model = (AlbertModel if name else AlbertForPretraining)(config, seed=3)
            else:
                task = get_task(name)
                settings = {"crf": crf} if task.kind == "tagging" else settings
                task = task.with_settings(settings)
                asked = task.asked_as_cloze(tokenizer, prompt) if prompt else task
                model = model_for(
                    config,
                    asked.head.kind,
                    asked.head.outputs,
                    words=asked.head.words,
                    mask_id=asked.head.mask_id,
                    seed=3,
                )
                about |= {
                    "task": name,
                    "labels": task.labels,
                    "label_names": [task.label_names.get(label, label) for label in task.labels],
                    "max_seq_length": length,
                    "tokenizer": "wordpiece",
                    "settings": settings,
                } | ({"prompt": dataclasses.asdict(prompt)} if prompt else {})
            dice = np.random.default_rng(7)
            for variable in model.trainable_variables:  # biases and transitions are zeros otherwise
                if not np.asarray(variable).any():
                    variable.assign(dice.normal(scale=0.3, size=variable.shape))
            save_pretrained(model, folder, vocabulary=VOCABULARY)
            if "task" in about:
                (folder / pretrained.TASK_FILE).write_text(json.dumps(about), encoding="utf-8")
            held[key] = open_model(folder)
        return held[key]

    return make


@pytest.fixture(scope="session")
def prompt():
    """A prompt for a pair whose words are in the vocabulary."""

    class Hashable(Prompt):
        __hash__ = object.__hash__

    return Hashable("{text_a}。{mask}的，{text_b}", {"0": "不", "1": "是"})


@pytest.fixture(scope="session")
def batch():
    """``batch(rows=3, length=20)``: the network's inputs, of other lengths in each row."""

    def make(rows=3, length=20, vocabulary=600):
        dice = np.random.default_rng(rows * 100 + length)
        sizes = np.linspace(length, max(length // 2, 1), rows).astype(int)[:, None]
        mask = (np.arange(length) < sizes).astype(np.int32)
        ids = (dice.integers(5, vocabulary, (rows, length)) * mask).astype(np.int32)
        return {"input_ids": ids, "input_mask": mask, "segment_ids": (np.arange(length) > length // 2) * mask}

    return make


@pytest.fixture(scope="session")
def lite(tmp_path_factory):
    """``lite(model, quantize="none", max_seq_length="dynamic")``: where the ``model.tflite`` of a model's folder is.

    Made in this process: seconds, where one of its own takes ten.
    """
    from albert_zh.export import litert
    from albert_zh.export.options import ExportOptions

    held = {}

    def make(model, **changes):
        key = (str(model), *sorted(changes.items()))
        if key not in held:
            held[key] = tmp_path_factory.mktemp("litert")
            litert.convert(
                ExportOptions(model=str(model), output_dir="", to="litert", **changes), str(held[key] / "model.tflite")
            )
        return held[key]

    return make
