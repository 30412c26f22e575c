"""An exported folder, opened by transformers' Auto classes, answers as the model does, from text too."""

import numpy as np
import pytest
import torch
import transformers

from albert_zh import pretrained, save_pretrained
from albert_zh.export import huggingface
from albert_zh.export.network import network_of
from albert_zh.models.by_head import model_for
from albert_zh.models.heads import AlbertForPretraining, AlbertModel
from albert_zh.opened import OpenModel, open_model
from albert_zh.tasks import get_task
from albert_zh.tasks.task import Row

TASKS = {"lcqmc": "SequenceClassification", "cluener": "TokenClassification", "squad2": "QuestionAnswering"}
HEADLESS = {"": AlbertForPretraining, "encoder": AlbertModel}


@pytest.fixture
def finished(tmp_path, tiny_config, golden):
    def make(name):
        vocabulary = golden / "tokenization_vocab.txt"
        size = len(vocabulary.read_text(encoding="utf-8").splitlines())
        config = tiny_config(family="google", vocab_size=size, initializer_range=0.3)
        task = None if name in HEADLESS else get_task(name)
        model = model_for(config, task.head.kind, task.head.outputs, seed=3) if task else HEADLESS[name](config, seed=3)
        save_pretrained(model, tmp_path / "model", vocabulary=vocabulary)
        opened = open_model(tmp_path / "model")
        names = tuple(task.label_names.get(label, label) for label in task.labels) if task else ()
        return OpenModel(opened.source, opened.model, opened.tokenizer, task, names, 64, {})

    return make


@pytest.mark.parametrize("name", [*TASKS, *HEADLESS])
def test_run_by_transformers_it_answers_what_keras_answers(name, finished, tmp_path):
    opened, dice = finished(name), np.random.default_rng(0)
    folder = tmp_path / "out"
    folder.mkdir()
    huggingface.write(opened, folder)
    run = huggingface.load(folder)
    assert run.reader == f"transformers {transformers.__version__}"
    mask = (np.arange(20) < [[20], [11], [3]]).astype(np.int32)
    ids = (dice.integers(5, 600, mask.shape) * mask).astype(np.int32)
    inputs = {"input_ids": ids, "input_mask": mask, "segment_ids": (np.arange(20) > 8) * mask}
    answers, wanted = run(inputs), network_of(opened)(inputs)
    assert answers.keys() == wanted.keys()
    for output, value in wanted.items():
        there = mask.astype(bool) if value.ndim == 3 else slice(None)
        np.testing.assert_allclose(answers[output][there], np.asarray(value)[there], rtol=1e-4, atol=1e-4)


def test_the_auto_classes_answer_a_pair_of_texts_with_the_name_of_its_label(finished, tmp_path):
    opened, pair = finished("lcqmc"), ("我用iPhone", "我用的。")
    folder = tmp_path / "out"
    folder.mkdir()
    huggingface.write(opened, folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    given = transformers.AutoTokenizer.from_pretrained(folder)(*pair, return_tensors="pt")
    with torch.no_grad():
        logits = model(**given).logits.numpy()
    features = opened.task.featurize([Row("", *pair)], opened.tokenizer, 64)
    arrays = {"input_ids": features.input_ids[0][None], "segment_ids": features.segment_ids[0][None]}
    np.testing.assert_allclose(logits, np.asarray(opened.model(arrays)["logits"]), rtol=1e-5, atol=1e-5)
    answer = opened.task.decode(logits)[0].label
    assert model.config.id2label[int(logits.argmax())] == opened.label_names[opened.task.labels.index(answer)]


def test_one_choice_of_several_opens_as_multiple_choice(finished, tmp_path):
    opened = finished("c3")
    folder = tmp_path / "out"
    folder.mkdir()
    huggingface.write(opened, folder)
    model, report = transformers.AutoModelForMultipleChoice.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    ids = np.random.default_rng(1).integers(5, 600, (2, 3, 12)).astype(np.int32)
    with torch.no_grad():
        logits = model.eval()(input_ids=torch.tensor(ids.astype(np.int64))).logits.numpy()
    flat = {"input_ids": ids.reshape(6, 12)}
    np.testing.assert_allclose(logits.reshape(6, 1), np.asarray(opened.model(flat)["logits"]), rtol=1e-5, atol=1e-5)


def test_what_the_source_lacks_is_not_written(finished, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    huggingface.write(finished("encoder"), folder)
    assert not any(name.startswith("cls/") for name in pretrained.find(folder).shapes)
