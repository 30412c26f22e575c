"""The tokenizer inside a graph answers what the tokenizer answers, for all of Unicode."""

import json
import random
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from albert_zh.export.graph_tokenizer import GraphTokenizer
from albert_zh.files import InputError
from albert_zh.text.tokenizer import WordPieceTokenizer

GOLDEN = Path(__file__).parents[1] / "golden"
ROWS = [json.loads(line) for line in (GOLDEN / "tokenization.jsonl").read_text(encoding="utf-8").splitlines()]
TOKENIZERS = {
    name: WordPieceTokenizer(GOLDEN / "tokenization_vocab.txt", name == "lower") for name in ("lower", "cased")
}
BOTH = pytest.mark.parametrize("name", TOKENIZERS)


def in_graph(tokenizer):
    """A function of texts that gives ids, starts and ends of each."""
    specs = [tf.TensorSpec([None], tf.string)]
    function = tf.function(GraphTokenizer(tokenizer).encode, input_signature=specs, autograph=False)

    def encode(texts):
        *parts, counts = (part.numpy() for part in function(tf.constant([text.encode() for text in texts], tf.string)))
        bounds = np.cumsum(counts)[:-1]
        return list(zip(*(np.split(part, bounds) for part in parts), strict=True)) if len(counts) else []

    return encode


@pytest.fixture(scope="module")
def graphs():
    return {name: in_graph(tokenizer) for name, tokenizer in TOKENIZERS.items()}


def wrong(texts, tokenizer, encode):
    """The texts for which ids, or the characters of a token, are not the tokenizer's."""
    return [
        text
        for text, found in zip(texts, encode(texts), strict=True)
        if [part.tolist() for part in found] != list(map(list, tokenizer.encode(text)))
    ]


@BOTH
def test_the_golden_lines_come_out_as_the_reference_has_them(name, graphs):
    found = [TOKENIZERS[name].tokens(ids) for ids, _, _ in graphs[name]([row["text"] for row in ROWS])]
    assert found == [row[name] for row in ROWS]


@BOTH
def test_every_code_point_is_taken_alone_and_beside_letters_as_the_tokenizer_takes_it(name, graphs):
    points = [chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n < 0xE000]
    known = [c for c in points if unicodedata.category(c) not in ("Cn", "Co")]
    rare = [c for c in known if not "㐀" <= c <= "\U0003ffff" or not c.isalpha()]  # but ideographs and Hangul
    texts = [*rare, *(f"a{c}\u0301bΣ" for c in rare), *points[:: len(points) // 2000]]
    assert not wrong(texts, TOKENIZERS[name], graphs[name])


PIECES = (
    *[
        "我",
        "用",
        "é",
        "e\u0301\u0323\u0301",
        "\u0301",
        "\u0307\u0323\u0323",
        "İ",
        "ǅ",
        "ß",
        "ﬁ",
        "½",
        "한",
        "국",
        "ｱ",
        "Ａ",
    ],
    *["Σ", "ΟΔΟΣ", "ΑΣ'Α", "Σ\u0301", "a\u00adΣ", "İΣ", "\u1fef", "\u0344", "\u302e\u1b44\u0323", "\u1b44\u0c4d\u302f"],
    *["\0", "\x07", "\u200b", "\ufeff", "\ufffd", "\ufffe", "\u2028", "\u3000", "\t", "\n", " ", " ", "\U000e0041"],
    *[
        "[SEP]",
        "[MASK]",
        "##a",
        "#",
        "iPhone15",
        "unaffable",
        "的",
        "。",
        "—",
        "😀",
        "👩\u200d👧",
        "\U0002a6d6",
        "\ue000",
    ],
    *["a" * 199, "a" * 200, "a" * 201, "x" * 260, "好a", "a好", "1", "2024", "Müller", "\U0001d165\u0301\U0001d16d"],
)


@BOTH
@pytest.mark.parametrize("seed", range(4))
def test_texts_of_all_that_is_hard_come_out_as_the_tokenizer_has_them(name, seed, graphs):
    dice = random.Random(seed)
    texts = ["".join(dice.choices(PIECES, k=dice.randrange(12))) for _ in range(500)]
    assert not wrong(texts, TOKENIZERS[name], graphs[name])


@BOTH
def test_thousands_of_accents_on_a_letter_belong_to_it_in_their_order(name, graphs):
    dice = random.Random(1)
    same, mixed = "\u0301" * 9000, "".join(dice.choices("\u0301\u0323\u0345\u0e31\u1b44\u200b", k=9000))
    assert not wrong([f"我a{same}b{same}。{same}", f"a{mixed}", mixed], TOKENIZERS[name], graphs[name])


@BOTH
def test_no_text_changes_what_its_neighbours_are(name, graphs):
    texts = ["ΟΔΟΣ", "\u0301a", "a", "", "\u0323\u302e", "b", "Σ", "Σ", " ", "ab"]
    together, alone = graphs[name](texts), [graphs[name]([text])[0] for text in texts]
    for mine, own in zip(together, alone, strict=True):
        np.testing.assert_array_equal(mine, own)


@BOTH
@pytest.mark.parametrize("texts", [[], [""], ["", " \t", "\u200b"]])
def test_nothing_has_no_tokens(name, texts, graphs):
    assert [part.size for found in graphs[name](texts) for part in found] == [0] * 3 * len(texts)


def test_a_word_is_unknown_as_a_whole_and_its_longest_entries_come_first(tmp_path):
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "ab", "##c", "##cd", "##d", "##", "x", "##b"]
    (tmp_path / "vocab.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
    encode = in_graph(WordPieceTokenizer(tmp_path / "vocab.txt"))
    found = encode(["abcdd abce", "ac 中x", "b ab"])
    assert [ids.tolist() for ids, _, _ in found] == [[6, 8, 9, 1], [5, 7, 1, 11], [1, 6]]
    assert [starts.tolist() for _, starts, _ in found] == [[0, 2, 4, 6], [0, 1, 3, 4], [0, 2]]
    assert [ends.tolist() for _, _, ends in found] == [[2, 4, 5, 10], [1, 2, 4, 5], [1, 4]]


def test_bytes_that_are_no_utf8_are_dropped():
    encode = tf.function(GraphTokenizer(TOKENIZERS["lower"]).encode, autograph=False)
    ids = encode(tf.constant([b"\xe6\x88\x91\xff\xe7\x94", b"\xed\xa0\x80", b"\xe6\x88\x91"])).ids
    assert TOKENIZERS["lower"].tokens(ids.numpy()) == ["我", "我"]


def test_a_sentencepiece_model_is_refused_with_the_reason():
    class Other:
        path = "spm.model"

    with pytest.raises(InputError, match=r"spm\.model: a SentencePiece model, .* Send token ids\."):
        GraphTokenizer(Other())
