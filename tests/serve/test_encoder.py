"""Vectors are the pooled hidden states; the nearest sentences are those that comparing with all would give."""

import numpy as np
import pytest

from albert_zh import pretrained
from albert_zh.files import InputError
from albert_zh.opened import open_model
from albert_zh.serve import encoder as encoder_module
from albert_zh.serve.encoder import Encoder, Near

TEXTS = ["天地人和", "山", "春夏秋冬东西南北" * 5, "木天", "花草 树木", "\u200b"]  # the last has no token


@pytest.fixture(scope="module")
def opened(pretrained_model):
    return open_model(pretrained_model)


@pytest.fixture(scope="module")
def encoder(opened):
    return Encoder(opened)


def by_hand(opened, text, pooling, length=128):
    ids = opened.tokenizer.encode(text).ids[: min(length, 64) - 2]
    ids = np.array([[opened.tokenizer.cls_id, *ids, opened.tokenizer.sep_id]], np.int32)
    layers = opened.model.encoder({"input_ids": ids}, every_layer=True)["encoder_outputs"]
    hidden = np.asarray(layers[-2 if pooling == "penultimate" else -1], np.float64)[0]
    return hidden[0] if pooling == "cls" else (hidden[1:-1] if len(hidden) > 2 else hidden).mean(axis=0)


@pytest.mark.parametrize("pooling", ["mean", "cls", "penultimate"])
def test_a_vector_is_the_pooled_hidden_states_of_its_text_alone(opened, pooling):
    wanted = np.array([by_hand(opened, text, pooling) for text in TEXTS])
    found = Encoder(opened, pooling, normalise=False).encode(TEXTS, batch_size=3)
    assert found.dtype == np.float32
    assert found.shape == (6, 16)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    unit = Encoder(opened, pooling).encode(TEXTS)
    np.testing.assert_allclose(unit, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-5)


def test_a_vector_does_not_depend_on_the_batch_and_the_thread(encoder, in_threads):
    together = encoder.encode(TEXTS)
    np.testing.assert_allclose(np.concatenate([encoder.encode([text]) for text in TEXTS]), together, atol=1e-6)
    np.testing.assert_allclose(encoder.encode(TEXTS[::-1], batch_size=2)[::-1], together, atol=1e-6)
    for found in in_threads(lambda: encoder.encode(TEXTS)):
        np.testing.assert_allclose(found, together, atol=1e-6)
    assert encoder.encode([]).shape == (0, 16)


def test_a_longer_text_is_cut_at_the_length_asked_for(opened):
    short = Encoder(opened, max_seq_length=6)
    np.testing.assert_allclose(short.encode(["天地人和上下左右"]), short.encode(["天地人和"]), atol=1e-6)


def test_similarity_is_the_cosine_of_the_pair(opened, encoder):
    pairs = [(TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[2]), (TEXTS[3], TEXTS[4])]
    vectors = [[by_hand(opened, text, "mean") for text in pair] for pair in pairs]
    wanted = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in vectors]
    np.testing.assert_allclose(encoder.similarity(pairs), wanted, atol=1e-5)
    np.testing.assert_allclose(Encoder(opened, normalise=False).similarity(pairs), wanted, atol=1e-5)
    assert encoder.similarity([]).shape == (0,)


@pytest.fixture
def sentences():
    dice = np.random.default_rng(8)
    made = ["".join(dice.choice(list("天地人和上下左右东西南北春夏秋冬"), dice.integers(1, 9))) for _ in range(40)]
    return [*made, *made[:7]]  # equal sentences are equally near


def brute_force(encoder, query, sentences, k, first=0):
    scores = [round(float(encoder.similarity([(query, text)])[0]), 6) for text in sentences]
    order = sorted(range(len(sentences)), key=lambda place: (-scores[place], place))[:k]
    return [(place + first, sentences[place], scores[place]) for place in order]


def test_the_nearest_are_those_of_comparing_with_all_whatever_the_blocks(encoder, sentences, monkeypatch):
    queries = ["天地", "春夏秋冬", sentences[3]]
    for block in (4096, 6):
        monkeypatch.setattr(encoder_module, "_BLOCK", block)
        for query, found in zip(queries, encoder.nearest(queries, iter(sentences), 5), strict=True):
            wanted = brute_force(encoder, query, sentences, 5)
            assert [near.text for near in found] == [text for _, text, _ in wanted]
            np.testing.assert_allclose([near.similarity for near in found], [score for *_, score in wanted], atol=2e-6)
    best = encoder.nearest([sentences[3]], sentences, 2)[0]
    assert [near.place for near in best] == [3, 43], "the same sentence twice, the first one first"
    assert len(encoder.nearest(["天"], sentences, 100)[0]) == len(sentences)


def test_a_file_is_searched_by_its_lines(encoder, tmp_path):
    path = tmp_path / "sentences.txt"
    path.write_text("天地人和\n\n山水\r\n天地人\n", encoding="utf-8")
    for given in (path, str(path)):
        (found,) = encoder.nearest(["山水"], given, 2)
        assert found[0] == Near(3, "山水", 1.0)
        assert found[1].place in (1, 4)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda e: e.encode("天地"), "texts: one text, '天地', where a list is needed"),
        (lambda e: e.encode(["天", " "]), "text 2: ' ' where some text is needed"),
        (lambda e: e.encode([None]), "text 1: None where some text"),
        (lambda e: e.encode(["天"], batch_size=0), "batch_size is 0: it must be a whole number, 1 or more"),
        (lambda e: e.similarity([("天",)]), r"pair 1: \('天',\) where a pair of texts is needed"),
        (lambda e: e.similarity([("天", "地"), ("天", "")]), "pair 2: '' where some text"),
        (lambda e: e.similarity("天地"), "pairs: one text"),
        (lambda e: e.nearest("天", ["地"]), "queries: one text"),
        (lambda e: e.nearest(["天"], ["地", 3]), "text 2: 3 where some text"),
        (lambda e: e.nearest(["天"], []), "nothing to search"),
        (lambda e: e.nearest(["天"], ["地"], 0), "k is 0"),
        (lambda e: e.nearest(["天"], "missing.txt"), "missing.txt: cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_told(encoder, ask, message):
    with pytest.raises(InputError, match=message):
        ask(encoder)


def test_settings_that_the_model_does_not_have_are_refused(opened, make_pretrained):
    with pytest.raises(InputError, match="pooling is 'max': it must be one of mean, cls, penultimate"):
        Encoder(opened, "max")
    with pytest.raises(InputError, match="max_seq_length is 65: this model takes 3 to 64"):
        Encoder(opened, max_seq_length=65)
    with pytest.raises(InputError, match="one layer, so none before the last"):
        Encoder(make_pretrained(num_hidden_layers=1), "penultimate")


def test_a_finetuned_folder_encodes_with_the_weights_it_was_tuned_to(finetuned):
    tuned = open_model(finetuned)
    assert Encoder(finetuned).max_seq_length == 24
    wanted = by_hand(tuned, "天地人和", "mean")
    np.testing.assert_allclose(Encoder(finetuned, normalise=False).encode(["天地人和"])[0], wanted, atol=1e-5)
    assert pretrained.find(finetuned).config.hidden_size == 16
