"""A Hugging Face folder holds the model, its labels and its tokenizer; what it cannot hold is refused."""

import json

import numpy as np
import pytest

from albert_zh.export import huggingface
from albert_zh.export.network import network_of
from albert_zh.files import InputError
from albert_zh.opened import open_model


@pytest.fixture
def own_reader(monkeypatch):
    monkeypatch.setattr(huggingface.importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("own_reader")
@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("lcqmc", "AlbertForSequenceClassification"),
        ("lcqmc brightmart", "AlbertForSequenceClassification"),
        ("stsb", "AlbertForSequenceClassification"),
        ("c3", "AlbertForSequenceClassification"),
        ("cluener", "AlbertForTokenClassification"),
        ("squad2", "AlbertForQuestionAnswering"),
        ("", "AlbertForPreTraining"),
        ("encoder", "AlbertModel"),
    ],
)
def test_read_back_it_answers_what_keras_answers(name, architecture, finished, batch, tmp_path):
    name, _, family = name.partition(" ")
    opened, inputs = finished(name, family=family or "google"), batch()
    huggingface.write(opened, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == [architecture]
    run = huggingface.load(tmp_path)
    assert "transformers and PyTorch are not installed" in run.reader
    answers, wanted = run(inputs), network_of(opened)(inputs)
    assert answers.keys() == wanted.keys()
    for output, value in wanted.items():
        np.testing.assert_allclose(answers[output], np.asarray(value), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["lcqmc", "cluener"])
def test_the_labels_have_their_names(name, finished, tmp_path):
    opened = finished(name)
    huggingface.write(opened, tmp_path)
    names = json.loads((tmp_path / "config.json").read_text())["id2label"]
    assert names == {str(number): label for number, label in enumerate(opened.label_names)}


@pytest.mark.parametrize("lower_case", [True, False])
def test_the_tokenizer_is_the_model_s(lower_case, finished, tmp_path):
    opened = finished("lcqmc", lower_case=lower_case)
    huggingface.write(opened, tmp_path)
    tokenizer = open_model(tmp_path).tokenizer
    assert (tokenizer.fingerprint, tokenizer.lower_case) == (opened.tokenizer.fingerprint, lower_case)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "lcqmc",
            {"family": "brightmart", "ln_type": "preln"},
            r"cannot be written as one of the google family: .*preln",
        ),
        ("cluener", {"crf": True}, "cannot hold the CRF of this model"),
    ],
)
def test_what_the_layout_cannot_hold_is_refused(name, options, message, finished, tmp_path):
    with pytest.raises(InputError, match=message):
        huggingface.write(finished(name, **options), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cloze_is_refused(finished, prompt, tmp_path):
    with pytest.raises(InputError, match="no class that scores labels so"):
        huggingface.write(finished("lcqmc", prompt=prompt, length=30), tmp_path)
