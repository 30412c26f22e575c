"""Laws of the word numbers."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from albert_zh.files import InputError
from albert_zh.text import words as module
from albert_zh.text.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer
from albert_zh.text.words import make_segmenter, read_user_dictionary, segment, tag_words, word_numbers

SENTENCE = "研究生命的起源，我用iPhone搜索中华人民共和国艾灸。"
TOKENIZER = WordPieceTokenizer(Path(__file__).parent.parent / "golden" / "tokenization_vocab.txt")
PARTS = [
    "中华人民共和国",
    "艾灸",
    "研究生命",
    "iPhone15",
    "running",
    "café",
    "3.14kg",
    *"\t\r\n\u3000。“[\u0301\u200ba1-é\ud800",
]
TEXTS = st.lists(st.sampled_from(PARTS) | st.just(" ") | st.characters()).map("".join)
ENGINES = pytest.mark.parametrize("name", ["rjieba", "jieba", "none"])


def numbers(text, segmenter, tokenizer=TOKENIZER):
    return word_numbers(tokenizer.encode(text), segment(text, segmenter), tokenizer)


@pytest.mark.parametrize("name", ["rjieba", "jieba"])
def test_the_sentence_of_the_design_has_its_words(tmp_path, name):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL_TOKENS, "iphone", *dict.fromkeys(SENTENCE)]), encoding="utf-8")
    found = numbers(SENTENCE, make_segmenter(name), WordPieceTokenizer(path))
    assert found == [0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 8, 8, 8, 8, 8, 8, 9, 9, 10]


@ENGINES
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_cutting_loses_no_character(name, text):
    segmenter = make_segmenter(name)
    assert "".join(segmenter.cut(text)) == text
    ends = segment(text, segmenter)
    assert ends is None or ends == sorted(set(ends))


@ENGINES
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_each_token_has_a_word_and_words_are_counted_without_gaps(name, text):
    found = numbers(text, make_segmenter(name))
    assert len(found) == len(TOKENIZER.encode(text).ids)
    assert found == [] or found[0] == 0
    assert set(np.diff(found).tolist()) <= {0, 1}


@ENGINES
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_a_continuation_piece_is_in_the_word_of_the_piece_before(name, text):
    found = numbers(text, make_segmenter(name))
    for place, number in enumerate(TOKENIZER.encode(text).ids):
        if TOKENIZER.is_continuation[number]:
            assert found[place] == found[place - 1]


@pytest.mark.parametrize("name", ["rjieba", "jieba"])
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_tokens_share_a_word_when_their_first_characters_do(name, text):
    encoding, segmenter = TOKENIZER.encode(text), make_segmenter(name)
    word_of = [number for number, word in enumerate(segmenter.cut(text)) for _ in word]
    found = numbers(text, segmenter)
    firsts = [i for i, number in enumerate(encoding.ids) if not TOKENIZER.is_continuation[number]]
    for one, other in pairwise(firsts):
        together = word_of[encoding.starts[one]] == word_of[encoding.starts[other]]
        assert (found[one] == found[other]) == together


@ENGINES
@settings(max_examples=100, deadline=None)
@given(lines=st.lists(TEXTS.map(lambda text: "".join(text.splitlines())), max_size=5))
def test_a_document_at_once_equals_line_after_line(name, lines):
    segmenter = make_segmenter(name)
    tagged = tag_words(lines, TOKENIZER, segmenter)
    assert len(tagged) == len(lines)
    for line, (ids, words) in zip(lines, tagged, strict=True):
        assert ids.dtype == words.dtype == np.int32
        assert ids.tolist() == TOKENIZER.encode(line).ids
        assert words.tolist() == numbers(line, segmenter)


def test_the_same_string_twice_belongs_to_two_words():
    segmenter = make_segmenter("rjieba")
    text = "艾灸，艾灸"
    assert segmenter.cut(text) == ["艾灸", "，", "艾灸"]
    assert numbers(text, segmenter) == [0, 0, 1, 2, 2]


def test_without_a_segmenter_each_piece_that_is_no_continuation_begins_a_word():
    none = make_segmenter("none")
    assert segment("unaffable running", none) is None
    assert TOKENIZER.tokenize("unaffable running 中国") == ["u", "##na", "##ff", "##able", "running", "中", "国"]
    assert numbers("unaffable running 中国", none) == [0, 0, 0, 0, 1, 2, 3]


def test_both_engines_cut_chinese_text_the_same():
    text = SENTENCE + "他来到了网易杭研大厦，小明硕士毕业于中国科学院计算所，后在日本京都大学深造。"
    assert make_segmenter("rjieba").cut(text) == make_segmenter("jieba").cut(text)


def test_engines_are_built_once_and_tell_what_they_are(tmp_path):
    dictionary = tmp_path / "words.txt"
    dictionary.write_text("云计算 5\n", encoding="utf-8")
    for name in ("rjieba", "jieba"):
        segmenter = make_segmenter(name)
        assert segmenter is make_segmenter(name)
        assert segmenter.name == name
        assert segmenter.version[0].isdigit()
        prints = {segmenter.fingerprint, make_segmenter(name, str(dictionary)).fingerprint}
        assert len(prints) == 2
        assert all(len(each) == 64 for each in prints)


@pytest.mark.parametrize("name", ["rjieba", "jieba"])
@pytest.mark.parametrize("line", ["艾灸养生馆子 2000 n", "艾灸养生馆子 2000", "艾灸养生馆子"])
def test_a_user_dictionary_makes_words_in_its_own_segmenter_only(tmp_path, name, line):
    dictionary = tmp_path / "words.txt"
    dictionary.write_text(f"\ufeff{line}\n\n", encoding="utf-8")
    text = "这家艾灸养生馆子开了"
    assert "艾灸养生馆子" in make_segmenter(name, str(dictionary)).cut(text)
    assert "艾灸养生馆子" not in make_segmenter(name).cut(text)


def test_the_lines_of_a_user_dictionary(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("云计算 5 n\n\n艾灸 7\nC++\n", encoding="utf-8")
    assert list(read_user_dictionary(path)) == [("云计算", 5, "n"), ("艾灸", 7, ""), ("C++", None, "")]
    assert list(read_user_dictionary(None)) == []


@pytest.mark.parametrize("line", ["云计算 many", "云计算 n 5", "云计算 1 n x", "云计算 -3"])
def test_a_broken_user_dictionary_is_refused_with_its_line(tmp_path, line):
    path = tmp_path / "words.txt"
    path.write_text(f"好词 3\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"words\.txt:2: got"):
        make_segmenter("rjieba", str(path))


def test_a_segmenter_that_is_unknown_or_takes_no_dictionary_is_refused(tmp_path):
    with pytest.raises(InputError, match="--segmenter=hanlp: not one of rjieba, jieba, none"):
        make_segmenter("hanlp")
    with pytest.raises(InputError, match="means nothing without a segmenter"):
        make_segmenter("none", str(tmp_path / "words.txt"))


def test_without_rjieba_words_come_from_jieba_with_a_notice(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rjieba", None)
    assert module.make_segmenter.__wrapped__("rjieba").name == "jieba"
    assert "slower" in capsys.readouterr().err


def test_jieba_says_nothing(capfd):
    module.Jieba().cut(SENTENCE)
    assert capfd.readouterr() == ("", "")
