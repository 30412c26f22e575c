"""Laws of the vocabulary that build-vocab makes, and of the shipped one."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.files import InputError
from albert_zh.text.characters import is_chinese
from albert_zh.text.vocabulary import (
    ASCII_LETTERS_AND_DIGITS,
    ASCII_PUNCTUATION,
    SPECIAL_ENTRIES,
    BuildVocabOptions,
    build_vocabulary,
    coverage,
    run,
)
from albert_zh.text.wordpiece import WordPieceTokenizer, read_vocabulary

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "albert_config" / "vocab.txt"
TEXT = "研究生命的起源，我用iPhone15搜索𠮷野家。\nCafé 深度学习 transformer transformer ★☆\n龘龘😀\n"
TOKENIZER = WordPieceTokenizer(SHIPPED)
CASED = WordPieceTokenizer(SHIPPED, lower_case=False)


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_the_same_text_gives_the_same_bytes(tmp_path, text_file):
    for name in ("first", "second"):
        run(BuildVocabOptions(str(tmp_path / name), (str(text_file),)))
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert len(read_vocabulary(tmp_path / "first")) == 21128


@pytest.mark.parametrize("entries", [build_vocabulary(Counter()), read_vocabulary(SHIPPED)], ids=["no text", "shipped"])
def test_a_vocabulary_has_its_size_and_the_usual_special_ids(entries):
    assert len(entries) == len(set(entries)) == 21128
    assert entries[0] == "[PAD]"
    assert entries[1:100] == [f"[unused{number}]" for number in range(1, 100)]
    assert entries[100:104] == ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.mark.parametrize("entries", [build_vocabulary(Counter()), read_vocabulary(SHIPPED)], ids=["no text", "shipped"])
def test_every_ideograph_has_its_twin(entries):
    known = set(entries)
    ideographs = {entry for entry in entries if len(entry) == 1 and is_chinese(entry)}
    assert {f"##{character}" for character in ideographs} <= known
    common = {bytes([row, cell]).decode("gb2312") for row in range(0xB0, 0xD7) for cell in range(0xA1, 0xFF)}
    assert common <= ideographs


def test_what_the_text_holds_is_covered(tmp_path, text_file, capsys):
    for size in (600, 21128):
        result = run(BuildVocabOptions(str(tmp_path / "vocab.txt"), str(text_file), vocab_size=size))
        assert (result.missing, result.unknown) == (0, 0)
        assert result.covered == result.characters == sum(not c.isspace() for c in TEXT)
        assert "100.0000%" in capsys.readouterr().out
        assert len(read_vocabulary(tmp_path / "vocab.txt")) == size
    assert WordPieceTokenizer(tmp_path / "vocab.txt").tokenize("transformer") == ["transformer"]


def test_coverage_counts_what_is_unknown():
    result = coverage(TOKENIZER, ["艾灸\U0002a6a5\U0002a6a5 a"])
    assert (result.characters, result.covered, result.missing, result.tokens, result.unknown) == (5, 3, 1, 5, 2)


def test_the_shipped_vocabulary_covers_the_shipped_corpus():
    lines = [line for path in sorted(ROOT.glob("data/*.txt")) for line in path.read_text(encoding="utf-8").splitlines()]
    result = coverage(TOKENIZER, lines)
    assert result.characters > 0
    assert result.unknown == 0


@given(word=st.text(alphabet=ASCII_LETTERS_AND_DIGITS, min_size=1, max_size=30))
def test_no_ascii_word_is_unknown(word):
    for tokenizer in (TOKENIZER, CASED):
        assert tokenizer.unk_id not in tokenizer.encode(word).ids


def test_punctuation_and_symbols_of_chinese_text_have_entries():
    for character in "，。！？；：、“”‘’（）《》〈〉【】「」『』…—～·％＋－×÷℃№★①⑩Ⅷ￥〇":
        assert TOKENIZER.unk_id not in TOKENIZER.encode(f"3{character}").ids, character


def test_a_small_vocabulary_takes_the_frequent_first():
    least = len(SPECIAL_ENTRIES) + len(ASCII_PUNCTUATION) + 2 * len(ASCII_LETTERS_AND_DIGITS)
    entries = build_vocabulary(Counter({"罕": 1, "常": 5, "见": 3}), least + 4)
    assert set(entries[104:]) >= {"常", "##常", "见", "##见"}
    assert "罕" not in entries


@pytest.mark.parametrize(("size", "message"), [(200, "Use more"), (10**6, "Use 4.... or less")])
def test_an_impossible_size_is_refused_and_nothing_written(tmp_path, text_file, size, message):
    with pytest.raises(InputError, match=message):
        run(BuildVocabOptions(str(tmp_path / "vocab.txt"), (str(text_file),), vocab_size=size))
    assert not (tmp_path / "vocab.txt").exists()


def test_text_that_is_missing_or_not_utf8_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        run(BuildVocabOptions(str(tmp_path / "vocab.txt"), (str(tmp_path / "nowhere.txt"),)))
    (tmp_path / "gbk.txt").write_bytes("好\n中文".encode("gbk"))
    with pytest.raises(InputError, match=r"gbk\.txt:1: not UTF-8"):
        run(BuildVocabOptions(str(tmp_path / "vocab.txt"), (str(tmp_path / "gbk.txt"),)))
    assert not (tmp_path / "vocab.txt").exists()
