"""A SavedModel answers as the model does, from ids and from raw text, without this package."""

import json
import subprocess
import sys

import numpy as np
import pytest
import sentencepiece

from albert_zh import save_pretrained
from albert_zh.export import savedmodel
from albert_zh.export.network import network_of
from albert_zh.files import InputError
from albert_zh.models.heads import AlbertModel
from albert_zh.opened import open_model
from albert_zh.serve.batches import by_length
from albert_zh.tasks.entity_reader import TaggedRow
from albert_zh.tasks.span_reader import SpanRow
from albert_zh.tasks.task import Row
from albert_zh.text.tokenizer import Encoding


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """``saved(opened, signature)``: the model written, loaded, as a function of the signature's inputs."""
    folders = {}

    def load(opened, signature="serving_default"):
        if id(opened) not in folders:
            folders[id(opened)] = tmp_path_factory.mktemp("savedmodel") / "name", opened
            savedmodel.write(opened, folders[id(opened)][0])
        return savedmodel.load(folders[id(opened)][0], signature)

    return load


def logits_of(opened, features):
    """What Keras answers for every sequence: (n, C), or (n, L, C) with zeros for padding."""
    width, answers = max(map(len, features.input_ids)), {}
    for part, inputs in by_length(features.input_ids, features.segment_ids, 16, opened.tokenizer.pad_id):
        for place, row in zip(part, np.asarray(opened.model(inputs, heads_only=True)["logits"]), strict=True):
            answers[place] = row if row.ndim == 1 else np.pad(row, ((0, max(width - len(row), 0)), (0, 0)))[:width]
    return np.stack([answers[place] for place in range(len(features))])


def featurized(opened, rows):
    return opened.task.featurize(rows, opened.tokenizer, opened.max_seq_length)


def rows_of(lines):
    return [Row("", first, second) for first, second in zip(lines, [*lines[7:], *lines[:7]], strict=True)]


# Ids


@pytest.mark.parametrize("name", ["lcqmc", "c3", "squad2", "cluener", ""])
def test_from_ids_it_answers_what_keras_answers_at_any_batch_and_length(name, finished, saved, batch):
    opened = finished(name)
    run, network = saved(opened), network_of(opened)
    for rows, length in ((1, 1), (3, 20), (8, 64)):
        inputs = batch(rows, length)
        answers, wanted = run(inputs), network(inputs)
        assert answers.keys() == wanted.keys()
        for output, value in wanted.items():
            np.testing.assert_allclose(answers[output], np.asarray(value), rtol=1e-5, atol=1e-5)


def test_a_pretrained_model_gives_the_scores_of_words_at_every_place(finished, saved, batch):
    opened, inputs = finished(""), batch(2, 10)
    answers = saved(opened)(inputs)
    assert answers["mlm_logits"].shape == (2, 10, opened.source.config.vocab_size)
    some = {**inputs, "masked_lm_positions": np.array([[3, 7], [0, 4]], np.int32)}
    wanted = np.asarray(opened.model(some)["mlm_logits"])
    np.testing.assert_allclose(answers["mlm_logits"][[[0], [1]], [[3, 7], [0, 4]]], wanted, rtol=1e-5, atol=1e-5)


# Raw text


@pytest.mark.parametrize(("name", "lower_case"), [("lcqmc", True), ("tnews", False), ("cluewsc2020", True)])
def test_of_sentences_it_answers_what_the_task_answers(name, lower_case, finished, saved, lines):
    opened = finished(name, lower_case=lower_case)
    rows = rows_of(lines) if name == "lcqmc" else [Row("", line) for line in lines]
    features = featurized(opened, rows)
    assert 0 < features.truncated < len(rows)
    logits = logits_of(opened, features)
    wanted = opened.task.decode(logits, features)
    given = {"text_a": [row.text_a for row in rows], "text_b": [row.text_b for row in rows]}
    answers = saved(opened, "text")(given if name == "lcqmc" else {"text": given["text_a"]})
    np.testing.assert_allclose(answers["logits"], logits, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(answers["probabilities"], [each.probabilities for each in wanted], atol=1e-5)
    assert [label.decode() for label in answers["label"]] == [each.label for each in wanted]
    number = [opened.task.labels.index(each.label) for each in wanted]
    assert [label.decode() for label in answers["label_name"]] == [opened.label_names[n] for n in number]


def test_a_pair_is_cut_as_the_task_cuts_it(finished, saved):
    opened = finished("lcqmc", length=13)
    texts = ["我" * n for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 20)]
    rows = [Row("", first, second + "用") for first in texts for second in texts]
    answers = saved(opened, "text")({"text_a": [r.text_a for r in rows], "text_b": [r.text_b for r in rows]})
    np.testing.assert_allclose(answers["logits"], logits_of(opened, featurized(opened, rows)), rtol=1e-5, atol=1e-5)


def test_a_cloze_asks_as_the_task_asks(finished, saved, lines, prompt):
    opened, rows = finished("lcqmc", prompt=prompt, length=30), rows_of(lines)
    features = featurized(opened, rows)
    assert 0 < features.truncated < len(rows)
    answers = saved(opened, "text")({"text_a": [r.text_a for r in rows], "text_b": [r.text_b for r in rows]})
    np.testing.assert_allclose(answers["logits"], logits_of(opened, features), rtol=1e-5, atol=1e-5)


def test_a_regression_gives_its_number(finished, saved, lines):
    opened, rows = finished("stsb"), rows_of(lines)
    features = featurized(opened, rows)
    answers = saved(opened, "text")({"text_a": [r.text_a for r in rows], "text_b": [r.text_b for r in rows]})
    wanted = [each.value for each in opened.task.decode(logits_of(opened, features), features)]
    np.testing.assert_allclose(answers["value"], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("crf", [False, True])
def test_of_a_text_to_be_tagged_it_finds_the_entities_the_task_finds(crf, finished, saved, lines):
    opened = finished("cluener", crf=crf)
    texts = [*lines, "".join(lines[:9]), "".join(lines[9:30]), "", " "]
    rows = [TaggedRow("", 0, text, None) for text in texts]
    features = featurized(opened, rows)
    assert np.bincount(features.row_numbers).max() > 5  # windows
    wanted = opened.task.decode(logits_of(opened, features), features, **opened.model.decoding_weights())
    answers = saved(opened, "text")({"text": texts})
    for row, prediction in enumerate(wanted):
        count, found = answers["count"][row], []
        for name, start, end in zip(*(answers[part][row, :count] for part in ("tags", "starts", "ends")), strict=True):
            letter, _, kind = name.decode().partition("-")
            if letter == "B":
                found.append((kind, start, end))
            elif letter == "I":
                found[-1] = (kind, found[-1][1], end)
        assert found == list(map(tuple, prediction.entities))
        assert set(answers["tags"][row, count:]) <= {b""}
    assert sum(len(each.entities) for each in wanted) > 20
    np.testing.assert_allclose(answers["probabilities"][0].sum(axis=-1)[: answers["count"][0]], 1, rtol=1e-5)


SPAN = {"length": 32, "doc_stride": 10, "max_query_length": 8, "max_answer_length": 6, "null_threshold": 0.4}


def test_of_a_passage_it_gives_the_answer_the_task_gives(finished, saved, lines):
    opened = finished("squad2", **SPAN)
    passages = [*lines[:20], "".join(lines[:6]), "".join(lines[20:32]), lines[3] * 5]
    rows = [SpanRow("", str(n), lines[n], passage, None) for n, passage in enumerate(passages)]
    features = featurized(opened, rows)
    assert np.bincount(features.row_numbers).max() > 5
    wanted = opened.task.decode(logits_of(opened, features), features)
    answers = saved(opened, "text")({"passage": passages, "question": [row.question for row in rows]})
    assert [text.decode() for text in answers["answer"]] == [each.text for each in wanted]
    best = [each.candidates[0] for each in wanted]
    assert list(zip(answers["start"], answers["end"], strict=True)) == [(each.start, each.end) for each in best]
    np.testing.assert_allclose(answers["score"], [each.score for each in best], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(answers["null_odds"], [each.null_odds for each in wanted], rtol=1e-4, atol=1e-4)
    assert {text == b"" for text in answers["answer"]} == {True, False}


def test_a_passage_without_tokens_has_no_answer_and_harms_no_other(finished, saved):
    run = saved(finished("squad2", **SPAN), "text")
    both = run({"passage": [" ", "我用的"], "question": ["我", "用"]})
    alone = run({"passage": ["我用的"], "question": ["用"]})
    assert (both["answer"][0], both["start"][0], both["end"][0], both["score"][0]) == (b"", 0, 0, -np.inf)
    assert (both["answer"][1], both["start"][1]) == (alone["answer"][0], alone["start"][0])


def test_of_a_pretrained_model_text_gives_vectors_and_the_tokens_they_are_of(finished, saved, lines):
    opened = finished("encoder")
    answers = saved(opened, "text")({"text": lines})
    ids = opened.tokenizer.encode(lines[0]).ids[: opened.max_seq_length - 2]
    wanted = [opened.tokenizer.cls_id, *ids, opened.tokenizer.sep_id]
    assert answers["input_ids"][0, : len(wanted)].tolist() == wanted
    assert answers["input_mask"][0].sum() == len(wanted)
    keras = opened.model({"input_ids": np.array([wanted], np.int32)})
    np.testing.assert_allclose(answers["pooled_output"][0], np.asarray(keras["pooled_output"])[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["lcqmc", "cluener", "squad2"])
def test_no_texts_have_no_answers(name, finished, saved):
    run = saved(finished(name), "text")
    inputs = run.loaded.signatures["text"].structured_input_signature[1]
    assert {len(value) for value in run({key: [] for key in inputs}).values()} == {0}


# The file


def test_where_there_is_no_raw_text_the_reason_is_told_and_ids_are_taken(finished, saved):
    opened = finished("c3")
    assert savedmodel.no_text(opened) == "a row of a task of kind 'choice' is more than texts"
    assert list(saved(opened).loaded.signatures) == ["serving_default"]
    assert savedmodel.no_text(finished("lcqmc")) == ""


def test_a_model_with_a_sentencepiece_vocabulary_takes_ids_alone(tiny_config, batch, saved, tmp_path):
    (tmp_path / "text.txt").write_text("the model reads words\nand learns pieces of it\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text.txt"),
        model_prefix=str(tmp_path / "spm"),
        vocab_size=40,
        **{"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "pad_piece": "<pad>", "unk_piece": "<unk>"},
        **{"control_symbols": "[CLS],[SEP],[MASK]", "minloglevel": 2, "num_threads": 1, "hard_vocab_limit": False},
    )
    save_pretrained(AlbertModel(tiny_config(family="google")), tmp_path / "model", vocabulary=tmp_path / "spm.model")
    opened, inputs = open_model(tmp_path / "model"), batch(vocabulary=40)
    assert "SentencePiece model, whose search for pieces is no operation of TensorFlow" in savedmodel.no_text(opened)
    run = saved(opened)
    assert list(run.loaded.signatures) == ["serving_default"]
    wanted = np.asarray(network_of(opened)(inputs)["sequence_output"])
    np.testing.assert_allclose(run(inputs)["sequence_output"], wanted, rtol=1e-5, atol=1e-5)


def test_a_graph_that_tokenises_otherwise_is_not_written(finished, tmp_path, monkeypatch):
    opened = finished("lcqmc")
    monkeypatch.setattr(opened.tokenizer, "encode", lambda text: Encoding([7], [0], [1]))
    with pytest.raises(InputError, match=r"not written: .* is tokenised otherwise inside the graph"):
        savedmodel.write(opened, tmp_path)
    assert not list(tmp_path.iterdir())


def test_it_is_loaded_and_called_by_name_in_plain_tensorflow(finished, tmp_path):
    opened = finished("lcqmc")
    savedmodel.write(opened, tmp_path / "model")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["1"]
    assert (tmp_path / "model/1/assets/vocab.txt").read_bytes() == open(opened.tokenizer.path, "rb").read()
    program = """
import json, sys
sys.modules["keras"] = None  # TensorFlow itself imports it where it is there
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
ids = tf.constant([[2, 5, 3, 6, 3]], tf.int32)
named = {"input_ids": ids, "input_mask": tf.ones_like(ids), "segment_ids": tf.constant([[0, 0, 0, 1, 1]], tf.int32)}
by_ids = loaded.signatures["serving_default"](**named)["logits"].numpy().tolist()
text = loaded.signatures["text"](text_a=tf.constant(["我用"]), text_b=tf.constant(["的"]))
v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as session:  # as a server reads it: tensors by the names in the signature
    signature = v1.saved_model.load(session, ["serve"], sys.argv[1]).signature_def["text"]
    given = {signature.inputs[name].name: [text] for name, text in (("text_a", "我用"), ("text_b", "的"))}
    served = session.run(signature.outputs["logits"].name, given).tolist()
told = [name for name in ("albert_zh", "keras", "tensorflow_text") if sys.modules.get(name)]
by_text = text["logits"].numpy().tolist()
print(json.dumps([told, by_ids, by_text, served, text["label_name"].numpy()[0].decode()]))
"""
    line = [sys.executable, "-c", program, str(tmp_path / "model/1")]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    told, by_ids, by_text, served, name = json.loads(done.stdout.splitlines()[-1])
    assert told == []
    arrays = np.array([[2, 5, 3, 6, 3]], np.int32), np.ones((1, 5), np.int32), np.array([[0, 0, 0, 1, 1]], np.int32)
    named = dict(zip(("input_ids", "input_mask", "segment_ids"), arrays, strict=True))
    np.testing.assert_allclose(by_ids, np.asarray(opened.model(named)["logits"]), rtol=1e-5, atol=1e-5)
    features = featurized(opened, [Row("", "我用", "的")])
    np.testing.assert_allclose(by_text, logits_of(opened, features), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(served, by_text, rtol=1e-5, atol=1e-5)
    assert name in opened.label_names
